"""Stripe payments that cannot count, which lists show with their reason. Pure."""

from collections.abc import Callable
from typing import Any

from documents.errors import Unusable
from documents.payments.facts import PaymentFacts
from documents.payments.stripe.event import StripeEvent, open_event
from documents.payments.stripe.invoices import find_payment_key
from documents.values.money import MAX_AMOUNT
from documents.values.stripe_values import (
    StripeObject,
    read_currency_code,
    read_object_id,
    read_reference,
)

KEY_READERS: dict[str, Callable[[StripeEvent], str | None]] = {
    "charge": lambda event: (
        read_reference(event.thing.get("payment_intent")) or read_object_id(event.thing)
    ),
    "payment_intent": lambda event: read_object_id(event.thing),
    "invoice": lambda event: find_payment_key(event.thing) or read_object_id(event.thing),
    "checkout.session": lambda event: read_reference(event.thing.get("payment_intent")),
}
AMOUNT_FIELDS = ("amount", "amount_due", "amount_total")


def read_unusable_fact(event: Any, reason: str) -> dict[str, PaymentFacts]:
    """Return a fact that makes no gift, by the key of its payment.

    Return an empty dictionary for objects without a payment. The amount is in Stripe's smallest
    unit.

    Raises:
        Unusable: the event is not valid.
    """
    opened = open_event(event)
    find = KEY_READERS.get(str(opened.thing.get("object")))
    key = find(opened) if find else None
    if key is None:
        return {}
    fact = {"at": opened.at, "kind": reason, **_money(opened.thing)}
    return {key: {f"{read_object_id(opened.thing)}:{reason}": fact}}


def _money(thing: StripeObject) -> dict[str, Any]:
    """Return the currency and the amount if the event states valid ones."""
    try:
        currency = read_currency_code(thing)
    except Unusable:
        return {}
    amount = next((value for name in AMOUNT_FIELDS if (value := thing.get(name))), None)
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= MAX_AMOUNT:
        return {"currency": currency}
    return {"currency": currency, "amount": amount}
