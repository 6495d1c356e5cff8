"""Matching rules: which email led to a gift. Pure: no database, no clock.

Fundraisers call it matchback. A gift is `direct` when it names its email or staff have pinned one,
`indirect` when its donor's address leads to one, and otherwise `unresolved`. The rules, in order:

1. `pin`: the choice of a person.
2. `recurring`: a later instalment follows the first.
3. `link_token`, `email_id`: the gift names an email of its fundraiser.
4. `other_fundraiser`: it names an email of another fundraiser, and the policy allows it.
5. `donor_address`: an email to the donor, of its fundraiser, sent within the window before it.
6. `none`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bson import ObjectId

from documents.matching.policy import MatchPolicy, Touch
from documents.rows.donation import StoredReason

Match = Literal["direct", "indirect", "unresolved"]
Rule = Literal[
    "pin", "recurring", "link_token", "email_id", "other_fundraiser", "donor_address", "none"
]
LONGEST_LIST = 10  # how many candidates a decision names; the reasons repeat after that


@dataclass(frozen=True)
class Gift:
    """What is known of a donation when it is matched."""

    fundraiser_id: ObjectId
    donated_at: datetime


@dataclass(frozen=True)
class Candidate:
    """An email that might have led to the gift. Opens and clicks are people's."""

    id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId | None
    user_id: ObjectId
    sent_at: datetime | None
    first_opened_at: datetime | None = None
    first_clicked_at: datetime | None = None


@dataclass(frozen=True)
class Pin:
    """What staff have said: this email, or none at all."""

    email: Candidate | None
    is_gone: bool = False  # an email that was pinned and is deleted


@dataclass(frozen=True)
class Decision:
    """The answer, with what was considered: (email, why it was chosen or not)."""

    match: Match
    rule: Rule
    email: Candidate | None = None
    touch: Touch | None = None
    considered: tuple[tuple[ObjectId, str], ...] = ()
    note: str | None = None


@dataclass(frozen=True)
class Evidence:
    """What speaks for one email or another.

    pin: by staff.
    first: what was decided of the first instalment, when this is a later one.
    named: the email that the gift names, if it is one of the organization's, and how.
    donors: emails to the user with the donor's address.
    """

    pin: Pin | None = None
    first: Decision | None = None
    named: Candidate | None = None
    named_by: Literal["link_token", "email_id"] = "email_id"
    donors: Sequence[Candidate] = ()


def match(gift: Gift, evidence: Evidence, policy: MatchPolicy) -> Decision:
    """Decide which email led to the gift."""
    pin, first, named = evidence.pin, evidence.first, evidence.named
    if pin and not pin.is_gone:
        return _pinned(pin)
    if first:
        reasons = ((first.email.id, "matched to the first instalment"),) if first.email else ()
        return Decision(first.match, "recurring", first.email, first.touch, reasons)
    if named and named.fundraiser_id == gift.fundraiser_id:
        named_it: Decision = Decision("direct", evidence.named_by, named)
        return _with_note(replace(named_it, considered=((named.id, "named by the gift"),)), pin)
    if named and policy.other_fundraiser == "match":
        reason = "named by the gift, of another fundraiser"
        other = Decision("direct", "other_fundraiser", named, considered=((named.id, reason),))
        return _with_note(other, pin)
    return _with_note(_by_address(gift, named, evidence.donors, policy), pin)


def _pinned(pin: Pin) -> Decision:
    if pin.email is None:
        return Decision("unresolved", "pin", note="Staff said that no email led to it.")
    return Decision("direct", "pin", pin.email, considered=((pin.email.id, "pinned by staff"),))


def _with_note(decision: Decision, pin: Pin | None) -> Decision:
    if pin is None:
        return decision
    return replace(decision, note="The email that staff had pinned was deleted.")


def _by_address(
    gift: Gift, named: Candidate | None, donors: Iterable[Candidate], policy: MatchPolicy
) -> Decision:
    """The best of the emails to the donor."""
    lost: list[tuple[ObjectId, str]] = []
    if named:
        lost.append((named.id, "named by the gift, but of another fundraiser"))
    fitting: list[tuple[Candidate, Touch]] = []
    for email in sorted(donors, key=lambda email: email.id):
        reason, touch = _obstacle(gift, email, policy), _touch(gift, email, policy)
        if reason is None and touch is not None:
            fitting.append((email, touch))
        else:
            lost.append((email.id, reason or f"not {' nor '.join(policy.prefer)}"))
    if not fitting:
        return Decision("unresolved", "none", considered=tuple(lost[:LONGEST_LIST]))
    fitting.sort(key=lambda pair: _rank(pair, policy))
    (best, touch), *others = fitting
    why = [(best.id, f"to the donor's address, {touch}, the {policy.touch} of these")]
    why += [(email.id, _why_lost(touch, other, policy)) for email, other in others]
    return Decision("indirect", "donor_address", best, touch, tuple((why + lost)[:LONGEST_LIST]))


def _why_lost(best: Touch, touch: Touch, policy: MatchPolicy) -> str:
    if touch != best:
        return f"only {touch}, and another was {best}"
    return "sent earlier" if policy.touch == "last" else "sent later"


def _obstacle(gift: Gift, email: Candidate, policy: MatchPolicy) -> str | None:
    """Why this email to the donor cannot have led to the gift, or None when it can."""
    if email.fundraiser_id != gift.fundraiser_id:
        return "of another fundraiser"
    if email.sent_at is None:
        return "not sent yet"
    if email.sent_at > gift.donated_at:
        return "sent after the gift"
    if gift.donated_at - email.sent_at > policy.window:
        return "outside the window"
    return None


def _touch(gift: Gift, email: Candidate, policy: MatchPolicy) -> Touch | None:
    """The best thing that the donor did with it before the gift, as the policy sees it."""

    def happened(at: datetime | None) -> bool:
        return at is not None and at <= gift.donated_at

    clicked = happened(email.first_clicked_at)
    did = {"clicked": clicked, "opened": clicked or happened(email.first_opened_at), "sent": True}
    return next((touch for touch in policy.prefer if did[touch]), None)


def _rank(pair: tuple[Candidate, Touch], policy: MatchPolicy) -> tuple[int, float, int]:
    # Two emails sent at the same instant: the one recorded last (or first), so that the answer
    # is one.
    email, touch = pair
    sign = -1 if policy.touch == "last" else 1
    sent = email.sent_at.timestamp() if email.sent_at else 0.0
    return policy.prefer.index(touch), sign * sent, sign * int.from_bytes(email.id.binary)


def reasons(considered: Sequence[tuple[ObjectId, str]]) -> list[StoredReason]:
    """Return the stored form of a decision's reasons."""
    return [{"email_id": id_, "reason": reason} for id_, reason in considered]
