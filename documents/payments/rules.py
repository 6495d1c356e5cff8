"""The state of a gift, from the facts of its payment. Pure.

The state is a function of the facts, so the order in which they came cannot matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bson import ObjectId

from documents.payments.facts import RANK, SUCCEEDED, Fact, Facts, merge
from documents.payments.refunds import is_foreign, refunded_of
from documents.values.donation_state import ANONYMOUS

__all__ = ["Facts", "State", "in_currency", "merge", "oddities", "plans_of", "state_of"]

# Money that is away, or may be: https://docs.stripe.com/api/disputes/object (status).
DISPUTED = ("needs_response", "under_review", "lost")


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


def state_of(facts: Mapping[str, Fact], gift_currency: str | None = None) -> State | None:
    """Return what the gift is to be; None while there is no money to make one of.

    Args:
        gift_currency: of a gift that a client recorded. Refunds of a payment in another currency
            take nothing off it.
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
    refunded = 0 if is_abroad else refunded_of(facts, id_, money)
    if status == SUCCEEDED and refunded == money["amount"]:
        status = "refunded"
    elif status == SUCCEEDED and _is_disputed(facts.values()):
        status = "disputed"
    return State(
        status=status,
        amount=money["amount"],
        currency=money["currency"],
        refunded_amount=refunded,
        donated_at=_first(told, "donated_at") or money["at"],
        fundraiser_id=_fundraiser(told),
        email_ref=_first(told, "email_ref") or _first(told, "reference"),
        recurring_id=_first(told, "recurring_id"),
        donor_name=_first(told, "name") or ANONYMOUS,
        donor_email=_first(told, "email") or "",
    )


def in_currency(state: State, facts: Mapping[str, Fact], gift_currency: str) -> State:
    """Return the state as it holds for a gift that a client recorded in this currency."""
    found = state_of(facts, gift_currency) or state
    return replace(state, status=found.status, refunded_amount=found.refunded_amount)


def oddities(facts: Mapping[str, Fact], gift_currency: str | None = None) -> dict[str, str]:
    """Return the facts that change nothing although they look as if they should, by ID, and why.

    Args:
        gift_currency: of a gift that a client recorded; its ID here is "gift".
    """
    found = _money(_in_order(facts))
    if found is None:
        return {}
    currency = found[1]["currency"]
    odd = {
        id_: f"a {fact['kind']} in another currency than the gift's changes nothing"
        for id_, fact in sorted(facts.items())
        if is_foreign(fact, currency)
    }
    if gift_currency not in (None, currency):
        odd["gift"] = "refunds of a payment in another currency than its gift's change nothing"
    return odd


def plans_of(facts: Mapping[str, Fact]) -> list[str]:
    """Return the plans that facts name. A plan's own row has its name as a key."""
    return sorted({fact["plan"] for fact in facts.values() if fact.get("plan")})


# The most specific first: the nearer to the money, the sooner its metadata holds.
KINDS = ("post", "charge", "intent", "invoice", "session")
PAID_ONLY = ("invoice", "session")  # these know no more of the outcome than that it is paid


def _in_order(facts: Mapping[str, Fact]) -> list[tuple[str, Fact]]:
    """The facts of the payment itself, the most specific first: of charges the one that
    succeeded, then the latest."""
    telling = [(id_, fact) for id_, fact in facts.items() if fact["kind"] in KINDS]

    def order(item: tuple[str, Fact]) -> tuple[int, bool, float, str]:
        id_, fact = item
        return KINDS.index(fact["kind"]), fact["status"] != SUCCEEDED, -fact["at"], id_

    return sorted(telling, key=order)


def _money(payments: Iterable[tuple[str, Fact]]) -> tuple[str, Fact] | None:
    """The fact that states the amount, with its ID: the first that was paid, or the first."""
    stating = [(id_, fact) for id_, fact in payments if (fact.get("amount") or 0) > 0]
    paid = (one for one in stating if one[1]["status"] == SUCCEEDED)
    return next(paid, stating[0] if stating else None)


def _first(facts: Iterable[Fact], name: str) -> Any:
    return next((fact[name] for fact in facts if fact.get(name)), None)


def _fundraiser(facts: Iterable[Fact]) -> str | None:
    """The first fundraiser that can be one; else the first that was named."""
    named = [fact["fundraiser_id"] for fact in facts if fact.get("fundraiser_id")]
    return next(filter(ObjectId.is_valid, named), named[0] if named else None)


def _status(told: Iterable[Fact]) -> str:
    """A charge that succeeded shows that the money was taken, whatever other attempts failed.
    Otherwise the latest charge or intent decides."""
    told = list(told)
    if any(fact["kind"] == "charge" and fact["status"] == SUCCEEDED for fact in told):
        return SUCCEEDED
    heard = [fact for fact in told if fact["kind"] not in PAID_ONLY or fact["status"] == SUCCEEDED]
    return str(max(heard or told, key=lambda fact: (fact["at"], RANK[fact["status"]]))["status"])


def _is_disputed(facts: Iterable[Fact]) -> bool:
    """Return whether any part of the money is disputed, in whatever currency.

    Stripe says that a dispute's amount may differ from the charge's because of currency
    fluctuation. Source: https://docs.stripe.com/api/disputes/object (amount).
    """
    return any(
        fact.get("is_disputed") or (fact["kind"] == "dispute" and fact["status"] in DISPUTED)
        for fact in facts
    )
