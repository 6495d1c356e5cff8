"""Fitting emails: those to the donor's address that a gift can match, and their order. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bson import ObjectId

from documents.matching.policy import MatchPolicy, TouchKind

DeliveryFailure = Literal["bounced", "dropped"]


@dataclass(frozen=True)
class MatchedGift:
    """The facts of a gift that the rules read."""

    fundraiser_id: ObjectId
    donated_at: datetime


@dataclass(frozen=True)
class Candidate:
    """An email that a gift can match. Opens and clicks by machines do not count.

    A block is a bounce here, because a blocked email did not arrive either.
    """

    id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId | None
    user_id: ObjectId
    sent_at: datetime | None
    first_opened_at: datetime | None = None
    first_clicked_at: datetime | None = None
    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    dropped_at: datetime | None = None


FittingEmail = tuple[Candidate, TouchKind]  # an email that a gift can match, and its touch


def list_fitting(
    gift: MatchedGift,
    donors: Iterable[Candidate],
    policy: MatchPolicy,
    lost: list[tuple[ObjectId, str]] | None = None,
) -> list[FittingEmail]:
    """Return the emails to the donor's address that the gift can match, each with its touch.

    Args:
        lost: receives the other emails, each with the reason.
    """
    fitting: list[FittingEmail] = []
    for email in donors:
        reason = _obstacle(gift, email, policy)
        touch = None if reason else _touch(gift, email, policy)
        if touch is not None:
            fitting.append((email, touch))
        elif lost is not None:
            lost.append((email.id, reason or _why_untouched(email, policy)))
    return fitting


def sort_fitting(fitting: Iterable[FittingEmail], policy: MatchPolicy) -> list[FittingEmail]:
    """Return the emails in the policy's order of preference."""
    return sorted(fitting, key=lambda pair: _rank(pair, policy))


def find_delivery_failure(email: Candidate) -> DeliveryFailure | None:
    """Return why an email did not arrive, or None if it arrived or may have arrived.

    A person's open or click shows that the email arrived. A bounce overrides an earlier delivery,
    because a server can accept an email and return it later. A delivery overrides an earlier
    bounce, and any drop, because they concern an attempt that failed before.
    """
    if email.first_opened_at or email.first_clicked_at:
        return None
    delivered_at, bounced_at = email.delivered_at, email.bounced_at
    if bounced_at is not None and (delivered_at is None or delivered_at <= bounced_at):
        return "bounced"
    return "dropped" if email.dropped_at is not None and delivered_at is None else None


def _why_untouched(email: Candidate, policy: MatchPolicy) -> str:
    return find_delivery_failure(email) or f"not {' nor '.join(policy.prefer)}"


def _obstacle(gift: MatchedGift, email: Candidate, policy: MatchPolicy) -> str | None:
    """Return the reason why the email cannot match the gift, or None if it can."""
    if email.fundraiser_id != gift.fundraiser_id:
        return "of another fundraiser"
    if email.sent_at is None:
        return "not sent yet"
    if email.sent_at > gift.donated_at:
        return "sent after the gift"
    return None if is_within(gift, email.sent_at, policy.window) else "outside the window"


def is_within(gift: MatchedGift, sent_at: datetime, window: timedelta) -> bool:
    """Return whether an email that was sent before the gift is within the window."""
    return gift.donated_at - sent_at <= window


def _touch(gift: MatchedGift, email: Candidate, policy: MatchPolicy) -> TouchKind | None:
    """Return the policy's most preferred touch before the gift, or None.

    An email that did not arrive does not count as sent. The time of its bounce does not matter,
    because the donor had not received the email before the gift either.
    """

    def happened(at: datetime | None) -> bool:
        return at is not None and at <= gift.donated_at

    clicked = happened(email.first_clicked_at)
    did = {
        "clicked": clicked,
        "opened": clicked or happened(email.first_opened_at),
        "sent": find_delivery_failure(email) is None,
    }
    return next((touch for touch in policy.prefer if did[touch]), None)


def _rank(pair: FittingEmail, policy: MatchPolicy) -> tuple[int, float, int]:
    # The ID breaks the tie between emails sent at the same time, so that the result does not depend
    # on the order of the candidates.
    email, touch = pair
    sign = -1 if policy.touch == "last" else 1
    sent = email.sent_at.timestamp() if email.sent_at else 0.0
    return policy.prefer.index(touch), sign * sent, sign * int.from_bytes(email.id.binary)
