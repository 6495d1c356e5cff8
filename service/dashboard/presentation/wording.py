"""The dashboard's labels for stored values. Pure."""

from collections.abc import Mapping
from typing import Any

from documents.outgoing.event_delivery import DeliveryState
from documents.outgoing.event_types import OutgoingEventType
from documents.outgoing.webhook_endpoint import DisabledReason
from documents.payments.reasons import MissingGiftReason
from documents.tracking.rules import MachineReason
from documents.values.money import count_decimals
from documents.webhook_rejections import RejectionReason
from service.dashboard.presentation.language import Marked, marked

NOT_MATCHED = marked("Not matched yet")
SET_BY_STAFF = marked("Set by staff")
MATCH_LABELS = {
    "link": marked("By link"),
    "address": marked("By address"),
    "pinned": SET_BY_STAFF,
    "none": marked("No email"),
}
RULE_SENTENCES = {
    "pin": SET_BY_STAFF,
    "recurring": marked("The gift follows the first gift of its recurring plan"),
    "link_token": marked("The gift came through this email's giving link"),
    "email_id": marked("The gift named this email"),
    "other_fundraiser": marked("The gift named an email of another fundraiser"),
    "donor_address": marked("This email was sent to the donor's address"),
    "none": marked("No email matches the gift"),
}
TOUCH_PHRASES = {
    "clicked": marked("The donor clicked this email before the gift"),
    "opened": marked("The donor opened this email before the gift"),
    "sent": marked("This email was sent to the donor before the gift"),
}
ACCEPTED_TOUCH_LABELS = {
    "clicked": marked("The donor clicked the email"),
    "opened": marked("The donor opened the email"),
    "sent": marked("The email was sent to the donor"),
}
STATUS_LABELS = {
    "pending": marked("Pending"),
    "succeeded": marked("Succeeded"),
    "failed": marked("Failed"),
    "refunded": marked("Refunded"),
    "disputed": marked("Disputed"),
}
EVENT_LABELS = {
    "processed": marked("Accepted by email provider"),
    "deferred": marked("Delayed by recipient's server"),
    "delivered": marked("Delivered"),
    "bounce": marked("Bounced"),
    "dropped": marked("Dropped"),
    "open": marked("Opened"),
    "click": marked("Clicked"),
    "spamreport": marked("Reported as spam"),
    "unsubscribe": marked("Unsubscribed"),
    "resubscribe": marked("Subscribed again"),
    "group_unsubscribe": marked("Unsubscribed from a group"),
    "group_resubscribe": marked("Resubscribed to a group"),
}
MACHINE_REASON_LABELS: dict[MachineReason, Marked] = {
    "trap": marked("trap link clicked"),
    "provider": marked("reported by email provider"),
    "agent": marked("known user agent"),
    "delivery": marked("no later than delivery"),
    "burst": marked("several links at once"),
    "cadence": marked("links at equal intervals"),
    "shared_ip": marked("one IP address for several recipients"),
}
REQUEST_TYPE_LABELS = EVENT_LABELS | {"test": marked("Test event")}
REJECTION_LABELS: dict[RejectionReason, Marked] = {
    "no_key": marked("No key was set. Set the key on this page."),
    "unsigned": marked("The signature or password was missing. Switch it on at the provider."),
    "wrong_signature": marked(
        "The signature or password did not match the key, or the request was too old. "
        "Copy the key again from the provider."
    ),
    "too_large": marked("The request was too large. Send fewer events at once."),
    "too_slow": marked("The request arrived too slowly. Check the network and the proxy."),
    "unreadable_body": marked("The request ended early. Check the network and the proxy."),
    "damaged_compression": marked("The compressed request was damaged. Check the proxy."),
    "unknown_compression": marked("The compression is not gzip. Switch it off at the provider."),
}
PAYMENT_REASON_LABELS: dict[MissingGiftReason, Marked] = {
    "no_fundraiser": marked("The payment names no fundraiser."),
    "unknown_fundraiser": marked("The payment names an unknown fundraiser."),
    "unlinked_invoice": marked("The invoice is not linked to a payment yet."),
    "no_amount": marked("No amount was reported yet."),
    "unknown_currency": marked("The currency is unknown."),
    "test_mode": marked("This is a test payment."),
    "not_paid": marked("The donor has not paid yet."),
}
STAGE_LABELS = {
    "sent": marked("Sent"),
    "delivered": marked("Delivered"),
    "opened": marked("Opened"),
    "clicked": marked("Clicked"),
    "donated": marked("Gave"),
    "bounced": marked("Bounced"),
    "dropped": marked("Dropped"),
    "unsubscribed": marked("Unsubscribed"),
    "spam_reported": marked("Spam reports"),
}
RATE_LABELS = {
    "delivery": marked("Delivery rate"),
    "open": marked("Open rate"),
    "click": marked("Click rate"),
    "conversion": marked("Conversion"),
}
WAITING_LABELS = {
    "donations": marked("Gifts"),
    "deliveries": marked("Provider reports"),
    "emails": marked("Emails"),
    "mailings": marked("Mailings"),
    "late_touches": marked("Late opens and clicks"),
}
JOB_LABELS = {
    "update_email_donation": marked("Match and count a gift"),
    "count_email": marked("Count an email"),
    "count_mailing": marked("Count a mailing"),
    "tally_delivery": marked("Process a provider report"),
}
ROLE_LABELS = {
    "admin": marked("Admin"),
    "editor": marked("Editor"),
    "viewer": marked("Viewer"),
}
ADMISSION_LABELS = {
    "invited": marked("Invited people only"),
    "domain": marked("Everyone with an address of a verified domain"),
    "group": marked("People of a verified domain with one of the groups below"),
}
SCOPE_LABELS = {
    "read": marked("Read only"),
    "write": marked("Read and write"),
    "admin": marked("Full access"),
}
OUTGOING_EVENT_LABELS: dict[OutgoingEventType, Marked] = {
    "donation.matched": marked("Gift matched to an email"),
    "donation.rematched": marked("Gift matched to another email"),
    "donation.unmatched": marked("Gift matched to no email"),
    "donation.refunded": marked("Gift refunded"),
    "email.bounced": marked("Email bounced"),
    "email.unsubscribed": marked("Recipient unsubscribed"),
    "import.finished": marked("Import finished"),
    "recount.drift_found": marked("Incorrect figure found"),
    "endpoint.test": marked("Test event"),
}
DELIVERY_STATE_LABELS: dict[DeliveryState, Marked] = {
    "pending": marked("Waiting"),
    "failed": marked("Failed"),
    "delivered": marked("Delivered"),
}
DISABLED_REASON_SENTENCES: dict[DisabledReason, Marked] = {
    "staff": marked("An admin or a program disabled this endpoint."),
    "failing": marked("Matchback disabled this endpoint after three days without a success."),
    "gone": marked("Matchback disabled this endpoint because its server answered 410 (gone)."),
}
DIGEST_LABELS = {
    "none": marked("No digest"),
    "daily": marked("Daily"),
    "weekly": marked("Weekly"),
}
WINDOW_ORDER_LABELS = {"last": marked("Latest email"), "first": marked("Earliest email")}
OTHER_FUNDRAISER_LABELS = {
    "note": marked("Match by the donor's address"),
    "match": marked("Match to that email"),
}


def match_label(match: str | None) -> Marked:
    """Return the label of a gift's match class."""
    return NOT_MATCHED if match is None else MATCH_LABELS[match]


def explain_decision(decision: Mapping[str, Any] | None) -> str:
    """Return the reason why a gift was matched to its email."""
    if not decision:
        return NOT_MATCHED
    rule: str = decision["rule"]
    touch: str = decision.get("touch") or ""
    if rule == "donor_address" and touch in TOUCH_PHRASES:
        return TOUCH_PHRASES[touch]
    return RULE_SENTENCES.get(rule, rule)


def format_amount(amount: int, currency: str) -> str:
    """Format money without its currency, as 1234.56, for a cell that a sheet adds up."""
    decimals = count_decimals(currency)
    if decimals is None:
        return f"{amount} minor units"
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{part:0{decimals}d}" if decimals else f"{sign}{whole}"
