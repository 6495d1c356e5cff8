"""Settings that wait for a sign-in, because single sign-on is required.

An incorrect claim, role or secret would lock everyone out. So new settings take effect only when an
admin signs in with them, and stays an admin. Until then, the present ones apply to everyone else.
"""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from documents.access.roles import StaffRole
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.sealed import seal_secret

DRAFT_FIELDS = ("draft_id", "draft_secret", "draft_rules")


def propose_rules(provider: SignOnProvider, values: Mapping[str, Any]) -> SignOnProvider:
    """Keep rules until a sign-in proves them. The present rules end an earlier proposal."""

    def edit(kept: SignOnProvider) -> None:
        is_new = any(kept[name] != value for name, value in values.items())
        kept.draft_rules = dict(values) if is_new else {}
        _renew_draft(kept)

    return provider.change(edit)


def propose_secret(provider: SignOnProvider, secret: str) -> SignOnProvider:
    """Keep a client secret until a sign-in proves it."""
    sealed = seal_secret(secret)

    def edit(kept: SignOnProvider) -> None:
        kept.draft_secret = sealed
        _renew_draft(kept)

    return provider.change(edit)


def discard_draft(provider: SignOnProvider) -> SignOnProvider:
    """Drop the settings that wait."""
    return provider.change(clear_draft)


def build_tried_provider(provider: SignOnProvider) -> SignOnProvider:
    """Return the provider with the settings that wait. It is not stored."""
    tried: SignOnProvider = SignOnProvider._from_son(provider.to_mongo())
    tried.put_on(_list_values(provider))
    return tried


def check_admin_stays(current_role: StaffRole | None, role: StaffRole) -> None:
    """Check that a sign-in with the settings that wait shows an admin who stays one.

    Raises:
        SignOnRejected: the person was no admin before, or the claims give another role.
    """
    if not current_role == role == "admin":
        raise SignOnRejected("draft_not_admin")


def adopt_draft(organization_id: ObjectId, draft_id: ObjectId) -> SignOnProvider:
    """Let the settings take effect that an admin has signed in with, and return the provider.

    Raises:
        SignOnRejected: an admin has changed them meanwhile.
    """

    def edit(kept: SignOnProvider) -> None:
        if kept.draft_id != draft_id:
            raise SignOnRejected("provider_changed")
        kept.put_on(_list_values(kept))
        clear_draft(kept)

    provider = SignOnProvider.of(organization_id)
    if provider is None:
        raise SignOnRejected("provider_changed")
    return provider.change(edit)


def _list_values(provider: SignOnProvider) -> dict[str, Any]:
    secret = {"client_secret": provider.draft_secret} if provider.draft_secret else {}
    return {**provider.draft_rules, **secret}


def _renew_draft(kept: SignOnProvider) -> None:
    kept.draft_id = ObjectId() if _list_values(kept) else None


def clear_draft(kept: SignOnProvider) -> None:
    """Drop the settings that wait, without storing that."""
    kept.draft_id, kept.draft_secret, kept.draft_rules = None, None, {}
