"""The refunded amount of a payment. Pure.

If a charge is captured in part, the rest is released, which is not a refund. Before API version
2025-03-31 (basil), Stripe counted the released part as refunded: it created a refund of it, and
`amount_refunded` includes it. Since then, it does neither. The version is that of the request that
captured the charge. No event states it, so the evidence must show the release.

Source: https://docs.stripe.com/changelog/basil/2025-03-31/remove-refund-from-partial-capture-and-payment-cancellation-flow.
docs/reference/payments.md documents the rule for users.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from documents.payments.facts import CAPTURE, SUCCEEDED, Fact

REFUND_GONE = ("failed", "canceled")
# Stripe creates the refund of a release in the request that captures.
AT_CAPTURE_SECONDS = 10


@dataclass(frozen=True)
class Evidence:
    """What is known of one captured payment.

    money: the charge or payment intent that was captured.
    released: the part that was authorized and not captured.
    refunds: in the payment's currency, the first first.
    captures: snapshots of the last capture, those of the charge's own API version first.
    """

    money: Fact
    released: int
    refunds: tuple[Fact, ...]
    captures: tuple[Fact, ...]

    @property
    def captured_at(self) -> float | None:
        return min((one["at"] for one in self.captures if one["is_capture"]), default=None)

    @property
    def captured_by(self) -> float:
        """The time of the first snapshot that shows the capture."""
        return float(min(one["at"] for one in (self.money, *self.captures)))


def refunded_of(facts: Mapping[str, Fact], id_: str, money: Fact) -> int:
    """Return how much was given back: at least 0, at most the amount of the money.

    The charge's cumulative sum is set, never added up. A refund that failed after that sum was
    reported is taken off it. Refunds that are known one by one may be ahead of it.

    Args:
        id_: the ID of the charge, payment intent or post that states the amount.
    """
    if money["kind"] == "post" or "authorized" not in money:
        return _refunded_plainly(facts.values(), money)
    if money["status"] != SUCCEEDED:
        return 0  # nothing was captured, so all that went back was an authorization
    evidence = _evidence(facts, id_, money)
    release = _release(evidence)
    refunds = [one for one in evidence.refunds if one is not release]
    total = _standing(refunds)
    if money["kind"] == "charge":
        included = evidence.released if _includes_release(evidence) else 0
        cumulative = money["amount_refunded"] - included
        total = max(total, cumulative - _failed_since(refunds, money["at"]))
    amount: int = money["amount"]
    return max(0, min(total, amount))


def is_foreign(fact: Fact, currency: str) -> bool:
    """Return whether a refund is in another currency than the payment."""
    return bool(fact["kind"] == "refund" and fact.get("currency", currency) != currency)


def _refunded_plainly(facts: Iterable[Fact], money: Fact) -> int:
    """The same of a post, and of facts in an earlier version's form, without the release."""
    facts = list(facts)
    told = [fact for fact in facts if fact.get("refunded") is not None]
    refunds = [one for one in facts if one["kind"] == "refund"]
    refunds = [one for one in refunds if not is_foreign(one, money["currency"])]
    at = max((fact["at"] for fact in told), default=0)
    total: int = sum(fact["refunded"] for fact in told) - _failed_since(refunds, at)
    amount: int = money["amount"]
    return max(0, min(amount, max(total, _standing(refunds))))


def _evidence(facts: Mapping[str, Fact], id_: str, money: Fact) -> Evidence:
    refunds = [
        (fact["created"], key, fact)
        for key, fact in facts.items()
        if fact["kind"] == "refund"
        and not is_foreign(fact, money["currency"])
        and (money["kind"] != "charge" or fact.get("charge") in (None, id_))
    ]
    captures = [
        fact
        for fact in facts.values()
        if fact["kind"] == CAPTURE
        and (fact["charge"], fact["captured"]) == (id_, money["captured"])
    ]
    captures.sort(key=lambda one: one["is_basil"] != money["is_basil"])
    released = max(0, money["authorized"] - money["captured"]) if money["is_final"] else 0
    ordered = tuple(fact for *_, fact in sorted(refunds, key=lambda one: one[:2]))
    return Evidence(money, released, ordered, tuple(captures))


def _includes_release(evidence: Evidence) -> bool:
    """Whether the charge's `amount_refunded` includes the released part, by the best evidence."""
    charge, released = evidence.money, evidence.released
    refunded = charge["amount_refunded"]
    if not released or refunded < released:
        return False
    if refunded > charge["captured"]:
        return True
    if charge["is_refunded"] or _given_back_by(evidence) > refunded - released:
        return False
    own = [one for one in evidence.captures if one["is_basil"] == charge["is_basil"]]
    others = [one for one in evidence.captures if one["is_basil"] != charge["is_basil"]]
    for found in (
        _by_captures(own, released),
        any(_is_at_capture(one, evidence) for one in evidence.refunds) or None,
        _by_captures(others, released),
    ):
        if found is not None:
            return found
    return not charge["is_basil"]


def _by_captures(captures: Iterable[Fact], released: int) -> bool | None:
    """What snapshots of the capture say; None when they leave it open."""
    for one in captures:
        if one["amount_refunded"] < released:
            return False
        if one["is_capture"]:
            return True
    return None


def _given_back_by(evidence: Evidence) -> int:
    """The sum of the refunds that the charge's snapshot includes and that no release can be."""
    at = evidence.money["at"]
    return sum(
        one["amount"]
        for one in evidence.refunds
        if one["created"] <= at
        and (one["status"] not in REFUND_GONE or one["at"] > at)
        and not _may_be_release(one, evidence)
    )


def _may_be_release(refund: Fact, evidence: Evidence) -> bool:
    is_late = refund["created"] > evidence.captured_by + AT_CAPTURE_SECONDS
    is_it = refund["amount"] == evidence.released and not is_late
    return is_it and not refund.get("is_given_back")


def _is_at_capture(refund: Fact, evidence: Evidence) -> bool:
    """Whether a refund was created with the capture, or says that it is a release."""
    at = evidence.captured_at
    is_near = at is not None and abs(refund["created"] - at) <= AT_CAPTURE_SECONDS
    return _may_be_release(refund, evidence) and (is_near or bool(refund.get("is_release")))


def _release(evidence: Evidence) -> Fact | None:
    """The refund that is of the released part; None when there is none."""
    money = evidence.money
    if not evidence.released:
        return None
    if money["kind"] == "charge":
        # The cumulative sum includes what was there before its snapshot, so that one of those is
        # left out costs nothing, even if it is not the release.
        earlier = [
            one
            for one in evidence.refunds
            if one["amount"] == evidence.released and one["created"] <= money["at"]
        ]
        found = [one for one in evidence.refunds if _may_be_release(one, evidence)] or earlier
        return found[0] if found and _includes_release(evidence) else None
    # The charge is not known yet.
    first = next((one for one in evidence.refunds if _may_be_release(one, evidence)), None)
    if first is None:
        return None
    is_too_much = first["amount"] > money["captured"]
    return first if is_too_much or first.get("is_release") or not first.get("is_basil") else None


def _standing(refunds: Iterable[Fact]) -> int:
    return sum(one["amount"] for one in refunds if one["status"] not in REFUND_GONE)


def _failed_since(refunds: Iterable[Fact], at: float) -> int:
    return sum(
        one["amount"]
        for one in refunds
        if one["status"] in REFUND_GONE and one["created"] <= at <= one["at"]
    )
