"""Stripe invoices and Checkout Sessions as facts of a payment. Pure.

Sources: https://docs.stripe.com/api/invoices/object, /api/invoice-payment/object and
/api/checkout/sessions/object.
"""

from collections.abc import Mapping
from typing import Any

from documents.giving_links.damaged_links import find_email_ids, find_token_candidates
from documents.payments.facts import FAILED_STATUS, PENDING_STATUS, SUCCEEDED_STATUS, PaymentFacts
from documents.payments.stripe.event import StripeEvent
from documents.values.stripe_values import (
    StripeObject,
    convert_amount,
    read_currency,
    read_metadata,
    read_object_id,
    read_reference,
    read_string,
    read_unix_seconds,
)

CLOSED_INVOICE_STATUSES = ("void", "uncollectible")


def read_invoice(event: StripeEvent) -> tuple[str | None, PaymentFacts]:
    """Return the key of an invoice's payment, and its fact.

    The key is the invoice's own ID if the payment is unknown.
    """
    invoice = event.thing
    if invoice.get("paid_out_of_band") or not invoice.get(
        "id"
    ):  # an invoice without an ID is a preview
        return None, {}
    paid = invoice.get("status") == "paid" or invoice.get("paid") is True
    failed = (
        event.type == "invoice.payment_failed" or invoice.get("status") in CLOSED_INVOICE_STATUSES
    )
    currency = read_currency(invoice)
    told = invoice.get("status_transitions")
    paid_at = told.get("paid_at") if isinstance(told, Mapping) else None
    subscription, metadata = _subscription(invoice)
    plan = {"recurring_id": subscription, "plan": subscription} if subscription else {}
    return find_payment_key(invoice) or read_object_id(invoice), {
        read_object_id(invoice): {
            "kind": "invoice",
            "status": SUCCEEDED_STATUS if paid else FAILED_STATUS if failed else PENDING_STATUS,
            "is_begun": paid or bool(invoice.get("attempted")),
            "currency": currency,
            "amount": convert_amount(
                invoice.get("amount_paid") or invoice.get("amount_due"), currency
            ),
            "donated_at": read_unix_seconds(paid_at) or read_unix_seconds(invoice.get("created")),
            "email": read_string(invoice.get("customer_email"), "email"),
            "name": read_string(invoice.get("customer_name"), "name"),
            **plan,
            **read_metadata(metadata),
            **read_metadata(invoice.get("metadata")),
        }
    }


def _subscription(invoice: StripeObject) -> tuple[str | None, Any]:
    """Return the subscription and its metadata, from old and new versions of the API."""
    parent = invoice.get("parent")
    newer = parent.get("subscription_details") if isinstance(parent, Mapping) else None
    older = invoice.get("subscription_details")
    id_ = read_reference(invoice.get("subscription"))
    metadata = None
    for details in (newer, older):
        if isinstance(details, Mapping):
            id_ = id_ or read_reference(details.get("subscription"))
            metadata = metadata or details.get("metadata")
    return id_, metadata


def find_payment_key(invoice: StripeObject) -> str | None:
    """Return the key of the payment that an invoice names, if it names one."""
    key = read_reference(invoice.get("payment_intent")) or read_reference(invoice.get("charge"))
    payments = invoice.get("payments")
    listed = payments.get("data") if isinstance(payments, Mapping) else None
    for payment in listed if isinstance(listed, list) else ():
        key = key or find_paying_key(payment)
    return key


def find_paying_key(invoice_payment: Any) -> str | None:
    """Return the key of the payment that an invoice payment names, if it names one."""
    payment = invoice_payment.get("payment") if isinstance(invoice_payment, Mapping) else None
    if not isinstance(payment, Mapping):
        return None
    return read_reference(payment.get("payment_intent")) or read_reference(payment.get("charge"))


def read_session(event: StripeEvent) -> tuple[str | None, PaymentFacts]:
    """Return the key of a Checkout Session's payment or first invoice, and its fact.

    A Payment Link creates a session for each visit, with the link's metadata. The amount of a
    session counts only until a more specific object states one.
    """
    session, intent = event.thing, read_reference(event.thing.get("payment_intent"))
    subscription = read_reference(session.get("subscription"))
    paid = session.get("payment_status") == "paid"
    customer = session.get("customer_details")
    customer = customer if isinstance(customer, Mapping) else {}
    reference = read_string(session.get("client_reference_id")) or ""
    fact: dict[str, Any] = {
        "kind": "session",
        "status": SUCCEEDED_STATUS if paid else PENDING_STATUS,
        # A session without an intent is for a plan, and does not know later instalments.
        "is_begun": bool(intent) and (paid or session.get("status") == "complete"),
        "donated_at": read_unix_seconds(session.get("created")),
        "email": read_string(customer.get("email"), "email")
        or read_string(session.get("customer_email"), "email"),
        "name": read_string(customer.get("name"), "name"),
        "reference": reference if _may_name_email(reference) else None,
        **({"recurring_id": subscription, "plan": subscription} if subscription else {}),
        **read_metadata(session.get("metadata")),
    }
    if intent and session.get("currency") is not None:
        currency = read_currency(session)
        fact |= {
            "currency": currency,
            "amount": convert_amount(session.get("amount_total") or 0, currency),
        }
    return intent or read_reference(session.get("invoice")) or subscription, {
        read_object_id(session): fact
    }


def _may_name_email(reference: str) -> bool:
    """Return whether a client_reference_id may contain a link token or an email's ID."""
    return (
        any(True for _ in find_token_candidates(reference)) or len(find_email_ids(reference)) == 1
    )
