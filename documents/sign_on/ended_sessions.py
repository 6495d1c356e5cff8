"""The end of sessions that an organization's provider began."""

import re
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.access.staff_session import StaffSession
from documents.sign_on.person import IDENTITY_SEPARATOR


def end_former_sessions(
    organization_id: ObjectId, issuer: str, *, kept_id: str | None = None
) -> None:
    """End what other providers than this one have proved to the organization.

    A session that shows another organization stays, and loses the grant for this one.

    Args:
        kept_id: session of the admin who changes the provider. Otherwise, an admin without a
            password could not correct the new provider.
    """
    current = f"^{re.escape(issuer + IDENTITY_SEPARATOR)}"
    former = {"organization_id": organization_id, "identity": {"$not": re.compile(current)}}
    own = {f"proof.{name}": value for name, value in former.items()}
    named = {"_id": {"$ne": kept_id}, "grants": {"$elemMatch": own}}
    StaffSession.objects(__raw__={**named, "organization_id": organization_id}).delete()
    StaffSession.objects(__raw__=named).update(__raw__={"$pull": {"grants": own}})


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
        named["proof.identity"] = f"{issuer}{IDENTITY_SEPARATOR}{subject}"
    if session_id is not None:
        # Some providers name the session in logout tokens only.
        known = [session_id] if subject is None else [session_id, None]
        named["proof.session_id"] = {"$in": known}
    return int(StaffSession.objects(__raw__={"grants": {"$elemMatch": named}}).delete())
