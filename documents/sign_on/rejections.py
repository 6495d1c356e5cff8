"""Reasons for which a single sign-on is rejected. Pure."""

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
    "draft_not_admin",
]


class SignOnRejected(Exception):
    """A sign-on, or a notice of the provider, that must have no effect.

    Args:
        reason: why. The dashboard has a text for each, which contains no value of the token.
    """

    def __init__(self, reason: SignOnReason) -> None:
        super().__init__(reason)
        self.reason: SignOnReason = reason
