"""Names and codes in Postmark's webhooks, and the types that Matchback stores for them. Pure.

Source: Postmark's developer documentation ("Webhooks" and "Bounce types").
"""

RECORD_TYPES = {
    "Delivery": "delivered",
    "Open": "open",
    "Click": "click",
    "SpamComplaint": "spamreport",
}
TIME_FIELDS = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")
# Postmark does not mark Apple's opens, but Apple's proxy is known to send exactly this user agent.
# Source: Mailgun's article on its bot detection.
APPLE_PROXY_AGENT = "Mozilla/5.0"

BOUNCE_TYPE_CODES: dict[float, str] = {  # a body that is not valid JSON has floats
    1: "HardBounce",
    2: "Transient",
    16: "Unsubscribe",
    32: "Subscribe",
    64: "AutoResponder",
    128: "AddressChange",
    256: "DnsError",
    512: "SpamNotification",
    1024: "OpenRelayTest",
    2048: "Unknown",
    4096: "SoftBounce",
    8192: "VirusNotification",
    16384: "ChallengeVerification",
    100000: "BadEmailAddress",
    100001: "SpamComplaint",
    100002: "ManuallyDeactivated",
    100003: "Unconfirmed",
    100006: "Blocked",
    100007: "SMTPApiError",
    100008: "InboundError",
    100009: "DMARCPolicy",
    100010: "TemplateRenderingFailed",
}
HARD_BOUNCE_TYPES = frozenset({"HardBounce", "BadEmailAddress"})
# The message was delivered, or the record is about no sent message.
UNCOUNTED_BOUNCE_TYPES = frozenset(
    {"AutoResponder", "AddressChange", "OpenRelayTest", "InboundError"}
)
BOUNCE_TYPES = {
    **dict.fromkeys(HARD_BOUNCE_TYPES, "bounce"),
    "SoftBounce": "bounce",
    "Blocked": "bounce",
    "DMARCPolicy": "bounce",
    "SpamNotification": "bounce",
    "VirusNotification": "bounce",
    "ChallengeVerification": "bounce",
    "Unknown": "bounce",
    "Transient": "deferred",
    "DnsError": "deferred",
    "SMTPApiError": "dropped",
    "TemplateRenderingFailed": "dropped",
    "ManuallyDeactivated": "dropped",
    "Unconfirmed": "dropped",
    "SpamComplaint": "spamreport",
    "Unsubscribe": "unsubscribe",
    "Subscribe": "resubscribe",
}
# A person's unsubscription has the reason ManualSuppression, too.
SUPPRESSION_TYPES = {
    "HardBounce": "bounce",
    "SpamComplaint": "spamreport",
    "ManualSuppression": "unsubscribe",
}
