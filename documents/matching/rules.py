"""Matching rules: which email led to a gift. Pure: no database, no clock.

Fundraisers call it matchback. A gift has one of four classes:

- `link`: the gift names its email.
- `address`: the donor's address leads to an email.
- `pinned`: staff chose the email.
- `none`: no email matches.

The rules, in order:

1. `pin`: staff chose an email (`pinned`), or chose that no email led to the gift (`none`).
2. `recurring`: a later instalment takes the email and the class of the first.
3. `link_token`, `email_id`: the gift names an email of its fundraiser (`link`).
4. `other_fundraiser`: the gift names another fundraiser's email, and the policy allows it (`link`).
5. `donor_address`: the fundraiser sent an email to the donor within the window before the gift
   (`address`). An email that did not arrive does not count as sent.
6. `none`: no other rule applies (`none`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bson import ObjectId

from documents.matching.fitting import Candidate, MatchedGift, list_fitting, sort_fitting
from documents.matching.policy import MatchPolicy, TouchKind
from documents.rows.donation import StoredReason

MatchKind = Literal["link", "address", "pinned", "none"]
MatchRule = Literal[
    "pin", "recurring", "link_token", "email_id", "other_fundraiser", "donor_address", "none"
]
MAX_NAMED_CANDIDATES = 10  # per decision, because the reasons repeat after that


@dataclass(frozen=True)
class Pin:
    """The choice of staff: an email, or None if no email led to the gift."""

    email: Candidate | None
    is_gone: bool = False  # whether the pinned email was deleted


@dataclass(frozen=True)
class Decision:
    """The result of matching one gift.

    Attributes:
        touch: the donor's best touch of the email, if the donor's address decided.
        considered: IDs of the considered emails, each with the reason for its choice or rejection.
        note: a fact that staff should know about the decision.
    """

    match: MatchKind
    rule: MatchRule
    email: Candidate | None = None
    touch: TouchKind | None = None
    considered: tuple[tuple[ObjectId, str], ...] = ()
    note: str | None = None


@dataclass(frozen=True)
class MatchEvidence:
    """The evidence for one gift.

    Attributes:
        pin: the choice of staff.
        first: the decision on the first instalment, if the gift is a later one.
        named: the email that the gift names, if the organization has that email.
        named_by: the kind of reference by which the gift names the email.
        donors: emails to the user with the donor's address.
    """

    pin: Pin | None = None
    first: Decision | None = None
    named: Candidate | None = None
    named_by: Literal["link_token", "email_id"] = "email_id"
    donors: Sequence[Candidate] = ()


def match_gift(gift: MatchedGift, evidence: MatchEvidence, policy: MatchPolicy) -> Decision:
    """Decide which email led to the gift."""
    pin, first, named = evidence.pin, evidence.first, evidence.named
    if pin and not pin.is_gone:
        return _pinned(pin)
    if first:
        reasons = ((first.email.id, "matched to the first instalment"),) if first.email else ()
        return Decision(first.match, "recurring", first.email, first.touch, reasons)
    if named and named.fundraiser_id == gift.fundraiser_id:
        named_it: Decision = Decision("link", evidence.named_by, named)
        return _with_note(replace(named_it, considered=((named.id, "named by the gift"),)), pin)
    if named and policy.other_fundraiser == "match":
        reason = "named by the gift, of another fundraiser"
        other = Decision("link", "other_fundraiser", named, considered=((named.id, reason),))
        return _with_note(other, pin)
    return _with_note(_by_address(gift, named, evidence.donors, policy), pin)


def _pinned(pin: Pin) -> Decision:
    if pin.email is None:
        return Decision("none", "pin", note="Staff decided that no email led to this gift.")
    return Decision("pinned", "pin", pin.email, considered=((pin.email.id, "pinned by staff"),))


def _with_note(decision: Decision, pin: Pin | None) -> Decision:
    if pin is None:
        return decision
    return replace(decision, note="The email that staff had pinned was deleted.")


def _by_address(
    gift: MatchedGift, named: Candidate | None, donors: Iterable[Candidate], policy: MatchPolicy
) -> Decision:
    """Decide by the best of the emails to the donor's address."""
    lost: list[tuple[ObjectId, str]] = []
    if named:
        lost.append((named.id, "named by the gift, but of another fundraiser"))
    fitting = list_fitting(gift, sorted(donors, key=lambda email: email.id), policy, lost)
    if not fitting:
        return Decision("none", "none", considered=tuple(lost[:MAX_NAMED_CANDIDATES]))
    (best, touch), *others = sort_fitting(fitting, policy)
    why = [(best.id, f"to the donor's address, {touch}, the {policy.touch} of these")]
    why += [(email.id, _why_lost(touch, other, policy)) for email, other in others]
    return Decision(
        "address", "donor_address", best, touch, tuple((why + lost)[:MAX_NAMED_CANDIDATES])
    )


def _why_lost(best: TouchKind, touch: TouchKind, policy: MatchPolicy) -> str:
    if touch != best:
        return f"only {touch}, and another was {best}"
    return "sent earlier" if policy.touch == "last" else "sent later"


def list_reasons(considered: Sequence[tuple[ObjectId, str]]) -> list[StoredReason]:
    """Return the stored form of a decision's reasons."""
    return [{"email_id": id_, "reason": reason} for id_, reason in considered]
