"""The end of sessions and grants that an organization's provider began."""

import re
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.access.staff_session import StaffSession
from documents.sign_on.person import build_identity


def end_signed_on_sessions(
    organization_id: ObjectId,
    issuer: str,
    *,
    subject: str | None,
    session_id: str | None,
    until: datetime,
) -> int:
    """End the sessions that the provider began until then. Return their number.

    Args:
        subject: the person; None if only `session_id` names the sessions.
        session_id: the provider's session; None for all sessions of the person.
        until: time by the provider's clock.
    """
    named: dict[str, Any] = {
        "proof.organization_id": organization_id,
        "proof.issued_at": {"$lte": until},
    }
    if subject is not None:
        named["proof.identity"] = build_identity(issuer, subject)
    if session_id is not None:
        # Some providers name the session in logout tokens only.
        known = [session_id] if subject is None else [session_id, None]
        named["proof.session_id"] = {"$in": known}
    return int(StaffSession.objects(__raw__={"grants": {"$elemMatch": named}}).delete())


def end_proofs(
    organization_id: ObjectId, *, kept_issuer: str | None = None, kept_session: str | None = None
) -> None:
    """End what providers have proved to the organization.

    A session that shows another organization stays, and loses the grant for this one.

    Args:
        kept_issuer: provider whose proofs stay.
        kept_session: ID of a session that stays, of the admin who changes the provider. Otherwise,
            an admin without a password could not correct the new provider.
    """
    own: dict[str, Any] = {"proof.organization_id": organization_id}
    if kept_issuer is not None:
        kept = f"^{re.escape(build_identity(kept_issuer, ''))}"
        own["proof.identity"] = {"$not": re.compile(kept)}
    named = {"_id": {"$ne": kept_session}, "grants": {"$elemMatch": own}}
    StaffSession.objects(__raw__={**named, "organization_id": organization_id}).delete()
    StaffSession.objects(__raw__=named).update(__raw__={"$pull": {"grants": own}})
