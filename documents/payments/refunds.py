"""The refunded amount of a payment. Pure.

After a partial capture, Stripe releases the rest of the charge, which is not a refund. Before API
version 2025-03-31 (basil), Stripe created a refund of the released part and included it in
`amount_refunded`. Newer versions do neither. The version of the capture request decides. No event
states it, so this module infers the release from evidence.

Source: https://docs.stripe.com/changelog/basil/2025-03-31/remove-refund-from-partial-capture-and-payment-cancellation-flow.
docs/reference/payments.md documents the rule for users.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from documents.payments.facts import CAPTURE_KIND, SUCCEEDED_STATUS, PaymentFact

FAILED_REFUND_STATUSES = ("failed", "canceled")
# Stripe creates the refund of a release in the capture request.
RELEASE_WINDOW_SECONDS = 10


@dataclass(frozen=True)
class CaptureEvidence:
    """The evidence about one captured payment.

    Attributes:
        money: the captured charge or payment intent.
        released: the amount that was authorized but not captured.
        refunds: the refunds in the payment's currency, oldest first.
        captures: snapshots of the last capture, with the charge's own API version first.
    """

    money: PaymentFact
    released: int
    refunds: tuple[PaymentFact, ...]
    captures: tuple[PaymentFact, ...]

    @property
    def captured_at(self) -> float | None:
        return min((one["at"] for one in self.captures if one["is_capture"]), default=None)

    @property
    def captured_by(self) -> float:
        """The time of the first snapshot that shows the capture."""
        return float(min(one["at"] for one in (self.money, *self.captures)))


def compute_refunded_amount(facts: Mapping[str, PaymentFact], id_: str, money: PaymentFact) -> int:
    """Return the refunded amount in minor units, from 0 to the amount of the payment.

    The charge reports a cumulative sum. Subtract refunds that failed after that report. Single
    refunds may be newer than the sum, so the larger of both totals counts.

    Args:
        id_: the ID of the charge, payment intent or post that states the amount.
    """
    if money["kind"] == "post" or "authorized" not in money:
        return _refunded_plainly(facts.values(), money)
    if money["status"] != SUCCEEDED_STATUS:
        return 0  # without a capture, Stripe only returned an authorization
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


def is_foreign_refund(fact: PaymentFact, currency: str) -> bool:
    """Return whether a refund has another currency than the payment."""
    return bool(fact["kind"] == "refund" and fact.get("currency", currency) != currency)


def _refunded_plainly(facts: Iterable[PaymentFact], money: PaymentFact) -> int:
    """Return the refunded amount of a post, or of facts in an earlier form, without a release."""
    facts = list(facts)
    told = [fact for fact in facts if fact.get("refunded") is not None]
    refunds = [one for one in facts if one["kind"] == "refund"]
    refunds = [one for one in refunds if not is_foreign_refund(one, money["currency"])]
    at = max((fact["at"] for fact in told), default=0)
    total: int = sum(fact["refunded"] for fact in told) - _failed_since(refunds, at)
    amount: int = money["amount"]
    return max(0, min(amount, max(total, _standing(refunds))))


def _evidence(facts: Mapping[str, PaymentFact], id_: str, money: PaymentFact) -> CaptureEvidence:
    refunds = [
        (fact["created"], key, fact)
        for key, fact in facts.items()
        if fact["kind"] == "refund"
        and not is_foreign_refund(fact, money["currency"])
        and (money["kind"] != "charge" or fact.get("charge") in (None, id_))
    ]
    captures = [
        fact
        for fact in facts.values()
        if fact["kind"] == CAPTURE_KIND
        and (fact["charge"], fact["captured"]) == (id_, money["captured"])
    ]
    captures.sort(key=lambda one: one["is_basil"] != money["is_basil"])
    released = max(0, money["authorized"] - money["captured"]) if money["is_final"] else 0
    ordered = tuple(fact for *_, fact in sorted(refunds, key=lambda one: one[:2]))
    return CaptureEvidence(money, released, ordered, tuple(captures))


def _includes_release(evidence: CaptureEvidence) -> bool:
    """Return whether `amount_refunded` includes the released part, by the best evidence."""
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


def _by_captures(captures: Iterable[PaymentFact], released: int) -> bool | None:
    """Return what snapshots of the capture show; None if they are inconclusive."""
    for one in captures:
        if one["amount_refunded"] < released:
            return False
        if one["is_capture"]:
            return True
    return None


def _given_back_by(evidence: CaptureEvidence) -> int:
    """Return the sum of refunds in the charge's snapshot that cannot be a release."""
    at = evidence.money["at"]
    return sum(
        one["amount"]
        for one in evidence.refunds
        if one["created"] <= at
        and (one["status"] not in FAILED_REFUND_STATUSES or one["at"] > at)
        and not _may_be_release(one, evidence)
    )


def _may_be_release(refund: PaymentFact, evidence: CaptureEvidence) -> bool:
    is_late = refund["created"] > evidence.captured_by + RELEASE_WINDOW_SECONDS
    is_it = refund["amount"] == evidence.released and not is_late
    return is_it and not refund.get("is_given_back")


def _is_at_capture(refund: PaymentFact, evidence: CaptureEvidence) -> bool:
    """Return whether Stripe created a refund with the capture, or marks it as a release."""
    at = evidence.captured_at
    is_near = at is not None and abs(refund["created"] - at) <= RELEASE_WINDOW_SECONDS
    return _may_be_release(refund, evidence) and (is_near or bool(refund.get("is_release")))


def _release(evidence: CaptureEvidence) -> PaymentFact | None:
    """Return the refund of the released part; None if Stripe created none."""
    money = evidence.money
    if not evidence.released:
        return None
    if money["kind"] == "charge":
        # The cumulative sum includes all refunds before its snapshot. So omitting one of them does
        # no harm, even if it is not the release.
        earlier = [
            one
            for one in evidence.refunds
            if one["amount"] == evidence.released and one["created"] <= money["at"]
        ]
        found = [one for one in evidence.refunds if _may_be_release(one, evidence)] or earlier
        return found[0] if found and _includes_release(evidence) else None
    # No event has reported the charge yet.
    first = next((one for one in evidence.refunds if _may_be_release(one, evidence)), None)
    if first is None:
        return None
    is_too_much = first["amount"] > money["captured"]
    return first if is_too_much or first.get("is_release") or not first.get("is_basil") else None


def _standing(refunds: Iterable[PaymentFact]) -> int:
    return sum(one["amount"] for one in refunds if one["status"] not in FAILED_REFUND_STATUSES)


def _failed_since(refunds: Iterable[PaymentFact], at: float) -> int:
    return sum(
        one["amount"]
        for one in refunds
        if one["status"] in FAILED_REFUND_STATUSES and one["created"] <= at <= one["at"]
    )
