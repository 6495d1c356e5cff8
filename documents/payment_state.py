"""From what was told of a payment to the state of its gift. Pure, and the order does not matter.

A fact is the latest snapshot that is known of one object: a charge, a payment intent, an invoice, a
refund, a dispute, or a plain post. Merging keeps the later of two, by the time its event was made,
so facts may come in any order and any number of times. The state is a function of the facts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Fact = dict[str, Any]
Facts = dict[str, Fact]  # by the id of what it is a snapshot of

FAILED, PENDING, SUCCEEDED = "failed", "pending", "succeeded"
RANK = {PENDING: 0, FAILED: 1, SUCCEEDED: 2}  # of two that were told at the same time
REFUND_GONE = ("failed", "canceled")
# Money that is away, or may be: https://docs.stripe.com/api/disputes/object (status).
DISPUTED = ("needs_response", "under_review", "lost")
NOBODY = "Anonymous"


@dataclass(frozen=True)
class State:
    """What a gift is to be, by its payment. Money in ISO 4217's minor units.

    donated_at: Unix seconds.
    """

    status: str
    amount: int
    currency: str
    refunded_amount: int
    donated_at: float
    fundraiser_id: str | None
    email_ref: str | None
    recurring_id: str | None
    donor_name: str
    donor_email: str


def merge(known: Mapping[str, Fact], new: Mapping[str, Fact]) -> Facts:
    """The later snapshot of each object. Commutative, associative and idempotent."""
    result = dict(known)
    for id_, fact in new.items():
        result[id_] = max(result.get(id_, fact), fact, key=_lateness)
    return result


def _lateness(fact: Fact) -> tuple[float, int, int, int, str]:
    # Told in the same second: the one that is further on, or says more; else either, but
    # always the same.
    rank = RANK.get(fact.get("status", ""), 0) + (fact.get("is_closed") or 0)
    told = sum(value is not None for value in fact.values())
    return fact["at"], rank, fact.get("refunded") or 0, told, json.dumps(fact, sort_keys=True)


def state_of(facts: Mapping[str, Fact]) -> State | None:
    """What the gift is to be; None while there is nothing to make one of."""
    payments = _in_order(facts)
    begun = [fact for fact in payments if fact.get("is_begun", True)]
    money = next((fact for fact in begun if (fact.get("amount") or 0) > 0), None)
    if money is None:
        return None
    status = _status(begun)
    refunded = _refunded(facts.values(), money["amount"])
    if status == SUCCEEDED and refunded == money["amount"]:
        status = "refunded"
    elif status == SUCCEEDED and _is_disputed(facts.values()):
        status = "disputed"
    return State(
        status=status,
        amount=money["amount"],
        currency=money["currency"],
        refunded_amount=refunded,
        donated_at=_first(payments, "donated_at") or money["at"],
        fundraiser_id=_first(payments, "fundraiser_id"),
        email_ref=_first(payments, "email_ref"),
        recurring_id=_first(payments, "recurring_id"),
        donor_name=_first(payments, "name") or NOBODY,
        donor_email=_first(payments, "email") or "",
    )


KINDS = ("post", "charge", "intent", "invoice")


def _in_order(facts: Mapping[str, Fact]) -> list[Fact]:
    """What tells of the payment itself, the most telling first: of charges the one that
    succeeded, then the latest."""
    telling = [(id_, fact) for id_, fact in facts.items() if fact["kind"] in KINDS]

    def order(item: tuple[str, Fact]) -> tuple[int, bool, float, str]:
        id_, fact = item
        return KINDS.index(fact["kind"]), fact["status"] != SUCCEEDED, -fact["at"], id_

    return [fact for _, fact in sorted(telling, key=order)]


def _first(facts: Iterable[Fact], name: str) -> Any:
    return next((fact[name] for fact in facts if fact.get(name)), None)


def _status(told: Iterable[Fact]) -> str:
    """A charge that succeeded says that the money was taken, whatever other tries failed. Else the
    latest word of a charge or an intent has it; an invoice knows no more than that it is paid."""
    told = list(told)
    if any(fact["kind"] == "charge" and fact["status"] == SUCCEEDED for fact in told):
        return SUCCEEDED
    heard = [fact for fact in told if fact["kind"] != "invoice" or fact["status"] == SUCCEEDED]
    return str(max(heard or told, key=lambda fact: (fact["at"], RANK[fact["status"]]))["status"])


def _refunded(facts: Iterable[Fact], amount: int) -> int:
    """What was given back in all: set by the payment's own cumulative sum, never added up twice.

    A refund that failed after that sum was told is taken off it. Refunds that are known one by one
    may be ahead of it.
    """
    facts = list(facts)
    told = [fact for fact in facts if fact.get("refunded") is not None]
    refunds = [fact for fact in facts if fact["kind"] == "refund"]
    cumulative = sum(fact["refunded"] for fact in told)
    at = max((fact["at"] for fact in told), default=0)
    failed_since = sum(
        refund["amount"]
        for refund in refunds
        if refund["status"] in REFUND_GONE and refund["created"] <= at <= refund["at"]
    )
    standing = sum(refund["amount"] for refund in refunds if refund["status"] not in REFUND_GONE)
    return min(amount, max(cumulative - failed_since, standing, 0))


def _is_disputed(facts: Iterable[Fact]) -> bool:
    return any(
        fact.get("is_disputed") or (fact["kind"] == "dispute" and fact["status"] in DISPUTED)
        for fact in facts
    )
