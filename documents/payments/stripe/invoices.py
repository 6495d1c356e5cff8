"""Stripe's invoices and Checkout Sessions as facts of a payment. Pure.

Sources: https://docs.stripe.com/api/invoices/object, /api/invoice-payment/object and
/api/checkout/sessions/object.
"""

from collections.abc import Mapping
from typing import Any

from documents.giving_links.damaged_links import ids_in, tokens_in
from documents.payments.facts import FAILED, PENDING, SUCCEEDED, Facts
from documents.payments.stripe.event import Event
from documents.values.stripe_values import amount, currency_of, id_of, ours, ref, seconds, text

GIVEN_UP = ("void", "uncollectible")

Object = Mapping[str, Any]


def read_invoice(event: Event) -> tuple[str | None, Facts]:
    """Return the key of an invoice's payment, or its own while that is unknown, and its fact."""
    invoice = event.thing
    if invoice.get("paid_out_of_band") or not invoice.get("id"):  # only planned
        return None, {}
    paid = invoice.get("status") == "paid" or invoice.get("paid") is True
    failed = event.type == "invoice.payment_failed" or invoice.get("status") in GIVEN_UP
    currency = currency_of(invoice)
    told = invoice.get("status_transitions")
    paid_at = told.get("paid_at") if isinstance(told, Mapping) else None
    subscription, metadata = _subscription(invoice)
    plan = {"recurring_id": subscription, "plan": subscription} if subscription else {}
    return key_of_invoice(invoice) or id_of(invoice), {
        id_of(invoice): {
            "kind": "invoice",
            "status": SUCCEEDED if paid else FAILED if failed else PENDING,
            "is_begun": paid or bool(invoice.get("attempted")),
            "currency": currency,
            "amount": amount(invoice.get("amount_paid") or invoice.get("amount_due"), currency),
            "donated_at": seconds(paid_at) or seconds(invoice.get("created")),
            "email": text(invoice.get("customer_email"), "email"),
            "name": text(invoice.get("customer_name"), "name"),
            **plan,
            **ours(metadata),
            **ours(invoice.get("metadata")),
        }
    }


def _subscription(invoice: Object) -> tuple[str | None, Any]:
    """The subscription and its metadata, where older and newer versions of the API have them."""
    parent = invoice.get("parent")
    newer = parent.get("subscription_details") if isinstance(parent, Mapping) else None
    older = invoice.get("subscription_details")
    id_ = ref(invoice.get("subscription"))
    metadata = None
    for details in (newer, older):
        if isinstance(details, Mapping):
            id_ = id_ or ref(details.get("subscription"))
            metadata = metadata or details.get("metadata")
    return id_, metadata


def key_of_invoice(invoice: Object) -> str | None:
    """Return the key of the payment that an invoice names, if it names one."""
    key = ref(invoice.get("payment_intent")) or ref(invoice.get("charge"))
    payments = invoice.get("payments")
    listed = payments.get("data") if isinstance(payments, Mapping) else None
    for payment in listed if isinstance(listed, list) else ():
        key = key or paid_by(payment)
    return key


def paid_by(invoice_payment: Any) -> str | None:
    """Return the key of the payment that an invoice payment names, if it names one."""
    payment = invoice_payment.get("payment") if isinstance(invoice_payment, Mapping) else None
    if not isinstance(payment, Mapping):
        return None
    return ref(payment.get("payment_intent")) or ref(payment.get("charge"))


def read_session(event: Event) -> tuple[str | None, Facts]:
    """Return the key of a Checkout Session's payment, or of its first invoice, and its fact.

    A Payment Link makes a session for each visit, with the link's metadata. What a session states
    of money is used only while nothing nearer to the money is known.
    """
    session, intent = event.thing, ref(event.thing.get("payment_intent"))
    subscription = ref(session.get("subscription"))
    paid = session.get("payment_status") == "paid"
    customer = session.get("customer_details")
    customer = customer if isinstance(customer, Mapping) else {}
    reference = text(session.get("client_reference_id")) or ""
    fact: dict[str, Any] = {
        "kind": "session",
        "status": SUCCEEDED if paid else PENDING,
        # Without an intent it is of a plan, and knows nothing of the later instalments.
        "is_begun": bool(intent) and (paid or session.get("status") == "complete"),
        "donated_at": seconds(session.get("created")),
        "email": text(customer.get("email"), "email")
        or text(session.get("customer_email"), "email"),
        "name": text(customer.get("name"), "name"),
        "reference": reference if _may_name_email(reference) else None,
        **({"recurring_id": subscription, "plan": subscription} if subscription else {}),
        **ours(session.get("metadata")),
    }
    if intent and session.get("currency") is not None:
        currency = currency_of(session)
        fact |= {
            "currency": currency,
            "amount": amount(session.get("amount_total") or 0, currency),
        }
    return intent or ref(session.get("invoice")) or subscription, {id_of(session): fact}


def _may_name_email(reference: str) -> bool:
    """Whether a client_reference_id may hold a link token or an email's ID, damaged or not."""
    return any(True for _ in tokens_in(reference)) or len(ids_in(reference)) == 1
