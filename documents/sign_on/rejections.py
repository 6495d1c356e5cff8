"""Reasons for which a single sign-on is rejected, with the messages for people. Pure."""

from typing import Literal

SignOnReason = Literal[
    "provider_missing",
    "provider_changed",
    "provider_address",
    "provider_unavailable",
    "provider_busy",
    "provider_answer",
    "provider_metadata",
    "provider_issuer",
    "client_rejected",
    "code_missing",
    "code_rejected",
    "denied",
    "state_unknown",
    "issuer_mixed_up",
    "key_unknown",
    "token_malformed",
    "token_algorithm",
    "token_header",
    "token_signature",
    "token_issuer",
    "token_audience",
    "token_party",
    "token_expired",
    "token_early",
    "token_nonce",
    "token_subject",
    "token_claims",
    "logout_event",
    "logout_replayed",
    "address_missing",
    "address_unusual",
    "address_unverified",
    "verification_missing",
    "person_changed",
    "not_invited",
    "domain_not_admitted",
    "groups_missing",
    "groups_unreadable",
    "groups_overage",
    "no_group",
]
INVALID_MESSAGE = (
    "Your organization's sign-in service sent a token that is not valid. Start again. If it "
    "happens again, ask an admin to check the service's settings and its clock."
)
PROVIDER_MESSAGE = (
    "Your organization's sign-in service does not work with Matchback now. Ask an admin to check "
    "its settings."
)
RETRY_MESSAGE = "Your organization's sign-in service does not answer. Try again in a minute."
EXPIRED_MESSAGE = (
    "This sign-in has expired, was already used, or began in another browser. Start again."
)
GROUPS_MESSAGE = "Your organization's sign-in service does not report your groups. Ask an admin."
MESSAGES: dict[SignOnReason, str] = {
    "provider_missing": "Your organization does not use single sign-on. Sign in another way.",
    "provider_changed": "Your organization changed its sign-in service meanwhile. Start again.",
    "provider_unavailable": RETRY_MESSAGE,
    "provider_busy": "Many people are signing in now. Try again in a minute.",
    "provider_issuer": (
        "The sign-in service names another issuer than the settings. Copy the issuer exactly, with "
        "or without the final slash."
    ),
    "provider_address": "The sign-in service's URL is not a public https:// URL. Correct it.",
    "client_rejected": (
        "Your organization's sign-in service rejects Matchback's client ID or secret. Ask an admin "
        "to renew the secret."
    ),
    "code_missing": EXPIRED_MESSAGE,
    "code_rejected": EXPIRED_MESSAGE,
    "state_unknown": EXPIRED_MESSAGE,
    "denied": "Your organization's sign-in service did not sign you in. Start again.",
    "issuer_mixed_up": (
        "The answer comes from another sign-in service than your organization's. Start again."
    ),
    "address_missing": (
        "Your organization's sign-in service does not report your email address. Ask an admin to "
        "add the email claim."
    ),
    "address_unusual": (
        "Your organization's sign-in service reports an address that Matchback cannot compare "
        "safely. Ask an admin to correct the address."
    ),
    "address_unverified": (
        "Your organization's sign-in service has not verified your email address. Verify it there, "
        "then start again."
    ),
    "verification_missing": (
        "Your organization's sign-in service does not report whether your address is verified. Ask "
        "an admin to add the email_verified claim, or to accept addresses without it."
    ),
    "person_changed": (
        "Your address belonged to another person of your organization. Ask an admin to remove that "
        "member, then to invite you."
    ),
    "not_invited": "You are not invited. Ask an admin of your organization to invite you.",
    "domain_not_admitted": (
        "Your address's domain is not admitted. Ask an admin of your organization to invite you."
    ),
    "groups_missing": GROUPS_MESSAGE,
    "groups_unreadable": GROUPS_MESSAGE,
    "groups_overage": (
        "You are in too many groups for your organization's sign-in service to report them. Ask an "
        "admin to report only the groups that are assigned to Matchback."
    ),
    "no_group": "None of your groups gives access to Matchback. Ask an admin.",
}



class SignOnRejected(Exception):
    """A sign-on, or a notice of the provider, that must have no effect.

    Args:
        reason: why. The message for people follows from it, and contains no value of the token.
    """

    def __init__(self, reason: SignOnReason) -> None:
        super().__init__(reason)
        self.reason: SignOnReason = reason

    @property
    def message(self) -> str:
        """Explanation for people: the problem, and how to solve it."""
        is_about_provider = self.reason.startswith("provider_")
        return MESSAGES.get(self.reason, PROVIDER_MESSAGE if is_about_provider else INVALID_MESSAGE)
