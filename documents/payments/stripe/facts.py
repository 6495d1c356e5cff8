"""Facts in Stripe's events, and the payments that they belong to. Pure.

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
    """Return the facts that an event states, by the key of the payment that they are of.

    The key is the payment intent's ID, or the charge's where there is none. An invoice that does
    not name its payment has its own ID as a key; `link_of` returns the payment once it is known.
    A Checkout Session of a subscription states facts of the whole plan: their key is the
    subscription's ID.

    Raises:
        Unusable: it cannot be understood; with a reason that repeats nothing of it.
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
    """Whether an event is of Stripe's live mode.

    Raises:
        Unusable: it is not an event, or states a mode that does not exist.
    """
    return open_event(event).is_live


def find_invoice_link(event: Any) -> tuple[str, str] | None:
    """Return an invoice and the payment that it is of, if the event states both."""
    thing = open_event(event).thing
    if thing.get("object") == "invoice":
        key = find_payment_key(thing)
        return (read_object_id(thing), key) if key else None
    if thing.get("object") == "invoice_payment":
        invoice, key = read_reference(thing.get("invoice")), find_paying_key(thing)
        return (invoice, key) if invoice and key else None
    return None
