"""Matching: which email led to a gift. Pure: no database, no clock.

The field calls it matchback. A gift is `direct` when it names its email, `indirect` when the
donor's address leads to an email sent within the window before the gift, else `unresolved`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from bson import ObjectId

Match = Literal["direct", "indirect", "unresolved"]
LONGEST_LIST = 10  # how many candidates a decision names; the reasons repeat after that


@dataclass(frozen=True)
class Gift:
    """What is known of a donation when it is matched."""

    fundraiser_id: ObjectId
    email_ref: str | None  # what the giving link carried: an id, nothing, or garbage
    donated_at: datetime


@dataclass(frozen=True)
class Candidate:
    """An email that might have led to the gift."""

    id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId | None
    user_id: ObjectId
    sent_at: datetime | None


@dataclass(frozen=True)
class Decision:
    """The answer, with what was considered: (email, why it was chosen or not)."""

    match: Match
    rule: Literal["email_id", "donor_address", "none"]
    email: Candidate | None
    considered: tuple[tuple[ObjectId, str], ...]


def match(
    gift: Gift, named: Candidate | None, donors: Iterable[Candidate], window: timedelta
) -> Decision:
    """Decide which email led to the gift.

    Args:
        gift: the gift.
        named: the email that the gift names, if it is one of the organization's.
        donors: emails to the user with the donor's address.
        window: how long after an email was sent a gift can be tied to it by address.
    """
    considered: list[tuple[ObjectId, str]] = []
    if named:
        if named.fundraiser_id == gift.fundraiser_id:
            return Decision("direct", "email_id", named, ((named.id, "named by the gift"),))
        considered.append((named.id, "named by the gift, but of another fundraiser"))
    fitting = []
    for email in donors:
        reason = _obstacle(gift, email, window)
        if reason is None:
            fitting.append(email)
        else:
            considered.append((email.id, reason))
    if not fitting:
        return Decision("unresolved", "none", None, tuple(considered[:LONGEST_LIST]))
    best = max(fitting, key=_recency)
    why = [(best.id, "to the donor's address, the latest before the gift")]
    why += [(email.id, "sent earlier") for email in fitting if email is not best]
    return Decision("indirect", "donor_address", best, tuple((why + considered)[:LONGEST_LIST]))


def _obstacle(gift: Gift, email: Candidate, window: timedelta) -> str | None:
    """Why this email to the donor cannot have led to the gift, or None when it can."""
    if email.fundraiser_id != gift.fundraiser_id:
        return "of another fundraiser"
    if email.sent_at is None:
        return "not sent yet"
    if email.sent_at > gift.donated_at:
        return "sent after the gift"
    if gift.donated_at - email.sent_at > window:
        return "outside the window"
    return None


def _recency(email: Candidate) -> tuple[Any, ObjectId]:
    # Two emails sent at the same instant: the one recorded last, so that the answer is one.
    return email.sent_at, email.id


def email_id_of(email_ref: str | None) -> ObjectId | None:
    """The id in what a giving link carried, or None for blank and garbage."""
    text = (email_ref or "").strip()
    return ObjectId(text) if len(text) == 24 and ObjectId.is_valid(text) else None


def reasons(considered: Sequence[tuple[ObjectId, str]]) -> list[dict[str, Any]]:
    """The form in which a decision's reasons are kept."""
    return [{"email_id": id_, "reason": reason} for id_, reason in considered]
