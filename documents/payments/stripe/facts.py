"""Facts in Stripe events, and the payments that they belong to. Pure.

Source: https://docs.stripe.com/api/events/types.
"""

from collections.abc import Callable
from typing import Any

from documents.payments.facts import PaymentFacts
from documents.payments.stripe.charges import read_charge, read_dispute, read_intent, read_refund
from documents.payments.stripe.event import StripeEvent, open_event
from documents.payments.stripe.invoices import (
    find_paying_key,
    find_payment_key,
    read_invoice,
    read_session,
)
from documents.values.stripe_values import read_object_id, read_reference

FACT_READERS: dict[str, Callable[[StripeEvent], tuple[str | None, PaymentFacts]]] = {
    "charge": read_charge,
    "payment_intent": read_intent,
    "invoice": read_invoice,
    "refund": read_refund,
    "dispute": read_dispute,
    "checkout.session": read_session,
}


def read_facts(event: Any) -> dict[str, PaymentFacts]:
    """Return the facts in an event, by the key of their payment.

    The key is the ID of the payment intent, or of the charge if no intent exists. If an invoice
    does not name its payment, the key is the invoice's ID. `find_invoice_link` later returns the
    payment. A Checkout Session of a subscription states facts about the whole plan, so their key is
    the subscription's ID.

    Raises:
        Unusable: the event is not valid. The message repeats none of its values.
    """
    opened = open_event(event)
    reader = FACT_READERS.get(str(opened.thing.get("object")))
    key, facts = reader(opened) if reader else (None, {})
    if key is None:
        return {}
    facts = {id_: {"at": opened.at, **fact} for id_, fact in facts.items()}
    sessions = [fact for fact in facts.values() if fact["kind"] == "session"]
    return {key: facts} | {one["plan"]: facts for one in sessions if "plan" in one}


def is_live_event(event: Any) -> bool:
    """Return whether an event is from Stripe's live mode.

    Raises:
        Unusable: the event is not valid, or its mode is not a boolean.
    """
    return open_event(event).is_live


def find_invoice_link(event: Any) -> tuple[str, str] | None:
    """Return the ID of an invoice and the key of its payment; None if the event lacks either."""
    thing = open_event(event).thing
    if thing.get("object") == "invoice":
        key = find_payment_key(thing)
        return (read_object_id(thing), key) if key else None
    if thing.get("object") == "invoice_payment":
        invoice, key = read_reference(thing.get("invoice")), find_paying_key(thing)
        return (invoice, key) if invoice and key else None
    return None
