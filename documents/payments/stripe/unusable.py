"""Stripe's payments that cannot count, listed with their reason. Pure."""

from collections.abc import Callable
from typing import Any

from documents.errors import Unusable
from documents.payments.facts import Facts
from documents.payments.stripe.event import Event, open_event
from documents.payments.stripe.invoices import key_of_invoice
from documents.values.money import LARGEST_AMOUNT
from documents.values.stripe_values import Object, code_of, id_of, ref

KEYS: dict[str, Callable[[Event], str | None]] = {
    "charge": lambda event: ref(event.thing.get("payment_intent")) or id_of(event.thing),
    "payment_intent": lambda event: id_of(event.thing),
    "invoice": lambda event: key_of_invoice(event.thing) or id_of(event.thing),
    "checkout.session": lambda event: ref(event.thing.get("payment_intent")),
}
AMOUNTS = ("amount", "amount_due", "amount_total")


def read(event: Any, reason: str) -> dict[str, Facts]:
    """Return a fact that makes no gift, by the key of its payment; none for other objects.

    The amount is in Stripe's smallest unit.

    Raises:
        Unusable: the event cannot be understood.
    """
    opened = open_event(event)
    find = KEYS.get(str(opened.thing.get("object")))
    key = find(opened) if find else None
    if key is None:
        return {}
    fact = {"at": opened.at, "kind": reason, **_money(opened.thing)}
    return {key: {f"{id_of(opened.thing)}:{reason}": fact}}


def _money(thing: Object) -> dict[str, Any]:
    """Return the currency and the amount as far as they can be read."""
    try:
        currency = code_of(thing)
    except Unusable:
        return {}
    amount = next((value for name in AMOUNTS if (value := thing.get(name))), None)
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= LARGEST_AMOUNT:
        return {"currency": currency}
    return {"currency": currency, "amount": amount}
