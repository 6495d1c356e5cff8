"""The state of a gift, from the facts of its payment. Pure.

The state is a function of the facts, so the order of their arrival does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bson import ObjectId

from documents.payments.facts import (
    STATUS_RANKS,
    SUCCEEDED_STATUS,
    PaymentFact,
    PaymentFacts,
    merge_facts,
)
from documents.payments.refunds import compute_refunded_amount, is_foreign_refund
from documents.values.donation_state import ANONYMOUS_DONOR_NAME

__all__ = [
    "GiftState",
    "PaymentFacts",
    "convert_state",
    "decide_gift_state",
    "find_odd_facts",
    "list_plans",
    "merge_facts",
]

# The donor's bank holds the money: https://docs.stripe.com/api/disputes/object (status).
OPEN_DISPUTE_STATUSES = ("needs_response", "under_review", "lost")


@dataclass(frozen=True)
class GiftState:
    """The state of a gift according to its payment. Amounts are in ISO 4217 minor units.

    Attributes:
        donated_at: the time of the donation in Unix seconds.
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


def decide_gift_state(
    facts: Mapping[str, PaymentFact], gift_currency: str | None = None
) -> GiftState | None:
    """Return the state of the gift; None if no fact states an amount yet.

    Args:
        gift_currency: the currency of a gift that a client recorded. If the payment has another
            currency, its refunds do not reduce the gift.
    """
    payments = _in_order(facts)
    begun = [(id_, fact) for id_, fact in payments if fact.get("is_begun", True)]
    found = _money(begun)
    if found is None:
        return None
    id_, money = found
    told = [fact for _, fact in payments]
    status = _status(fact for _, fact in begun)
    is_abroad = gift_currency not in (None, money["currency"])
    refunded = 0 if is_abroad else compute_refunded_amount(facts, id_, money)
    if status == SUCCEEDED_STATUS and refunded == money["amount"]:
        status = "refunded"
    elif status == SUCCEEDED_STATUS and _is_disputed(facts.values()):
        status = "disputed"
    return GiftState(
        status=status,
        amount=money["amount"],
        currency=money["currency"],
        refunded_amount=refunded,
        donated_at=_first(told, "donated_at") or money["at"],
        fundraiser_id=_fundraiser(told),
        email_ref=_first(told, "email_ref") or _first(told, "reference"),
        recurring_id=_first(told, "recurring_id"),
        donor_name=_first(told, "name") or ANONYMOUS_DONOR_NAME,
        donor_email=_first(told, "email") or "",
    )


def convert_state(
    state: GiftState, facts: Mapping[str, PaymentFact], gift_currency: str
) -> GiftState:
    """Return the state for a gift that a client recorded in this currency."""
    found = decide_gift_state(facts, gift_currency) or state
    return replace(state, status=found.status, refunded_amount=found.refunded_amount)


def find_odd_facts(
    facts: Mapping[str, PaymentFact], gift_currency: str | None = None
) -> dict[str, str]:
    """Return the reasons why some facts unexpectedly change nothing, by the ID of the fact.

    Args:
        gift_currency: the currency of a gift that a client recorded. Its ID here is "gift".
    """
    found = _money(_in_order(facts))
    if found is None:
        return {}
    currency = found[1]["currency"]
    odd = {
        id_: f"The {fact['kind']} has another currency than the gift and changes nothing."
        for id_, fact in sorted(facts.items())
        if is_foreign_refund(fact, currency)
    }
    if gift_currency not in (None, currency):
        odd["gift"] = "Refunds of a payment in another currency than its gift change nothing."
    return odd


def list_plans(facts: Mapping[str, PaymentFact]) -> list[str]:
    """Return the IDs of the plans that facts name. The ID is the key of the plan's own row."""
    return sorted({fact["plan"] for fact in facts.values() if fact.get("plan")})


# Most specific first: the metadata of an object closer to the money wins.
PAYMENT_KINDS = ("post", "charge", "intent", "invoice", "session")
# These prove only success, not failure.
PAID_ONLY_KINDS = ("invoice", "session")


def _in_order(facts: Mapping[str, PaymentFact]) -> list[tuple[str, PaymentFact]]:
    """Return the facts of the payment itself, most specific first.

    Of several charges, successful ones come first, then later ones.
    """
    telling = [(id_, fact) for id_, fact in facts.items() if fact["kind"] in PAYMENT_KINDS]

    def order(item: tuple[str, PaymentFact]) -> tuple[int, bool, float, str]:
        id_, fact = item
        return (
            PAYMENT_KINDS.index(fact["kind"]),
            fact["status"] != SUCCEEDED_STATUS,
            -fact["at"],
            id_,
        )

    return sorted(telling, key=order)


def _money(payments: Iterable[tuple[str, PaymentFact]]) -> tuple[str, PaymentFact] | None:
    """Return the fact that states the amount, with its ID: the first paid one, or the first."""
    stating = [(id_, fact) for id_, fact in payments if (fact.get("amount") or 0) > 0]
    paid = (one for one in stating if one[1]["status"] == SUCCEEDED_STATUS)
    return next(paid, stating[0] if stating else None)


def _first(facts: Iterable[PaymentFact], name: str) -> Any:
    return next((fact[name] for fact in facts if fact.get(name)), None)


def _fundraiser(facts: Iterable[PaymentFact]) -> str | None:
    """Return the first valid fundraiser ID, or the first ID if none is valid."""
    named = [fact["fundraiser_id"] for fact in facts if fact.get("fundraiser_id")]
    return next(filter(ObjectId.is_valid, named), named[0] if named else None)


def _status(told: Iterable[PaymentFact]) -> str:
    """Return "succeeded" if any charge succeeded, even if other attempts failed.

    Otherwise, return the status of the latest charge or intent.
    """
    told = list(told)
    if any(fact["kind"] == "charge" and fact["status"] == SUCCEEDED_STATUS for fact in told):
        return SUCCEEDED_STATUS
    heard = [
        fact
        for fact in told
        if fact["kind"] not in PAID_ONLY_KINDS or fact["status"] == SUCCEEDED_STATUS
    ]
    return str(
        max(heard or told, key=lambda fact: (fact["at"], STATUS_RANKS[fact["status"]]))["status"]
    )


def _is_disputed(facts: Iterable[PaymentFact]) -> bool:
    """Return whether any part of the payment is in dispute, in any currency.

    A dispute's amount may differ from the charge's because of currency fluctuation. Source:
    https://docs.stripe.com/api/disputes/object (amount).
    """
    return any(
        fact.get("is_disputed")
        or (fact["kind"] == "dispute" and fact["status"] in OPEN_DISPUTE_STATUSES)
        for fact in facts
    )
