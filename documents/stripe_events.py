"""Stripe's events: what each tells of which payment. Pure.

Sources: https://docs.stripe.com/api/events/types, /api/charges/object, /api/payment_intents/object,
/api/invoices/object, /api/refunds/object and /api/disputes/object.
"""

from collections.abc import Callable, Mapping
from typing import Any

from documents.errors import Unusable
from documents.payment_state import FAILED, PENDING, SUCCEEDED, Fact
from documents.stripe_values import LONGEST_TEXT, amount, currency_of, id_of, ref, seconds, text

CLOSED_DISPUTES = ("won", "lost", "warning_closed", "prevented")
GIVEN_UP = ("void", "uncollectible")
NOT_BEGUN = ("requires_payment_method", "requires_confirmation", "requires_action")

Object = Mapping[str, Any]


def read(event: Any) -> dict[str, dict[str, Fact]]:
    """What an event tells: facts, by the key of the payment that they are of.

    The key is the payment intent's id, or the charge's where there is none. An invoice that does
    not say which payment it is of has its own id as a key; `link_of` says when that is known.

    Raises:
        Unusable: it cannot be understood; with a reason that repeats nothing of it.
    """
    type_, at, thing = _parts(event)
    readers: dict[str, Callable[[Object, str], tuple[str | None, Fact]]] = {
        "charge": _charge,
        "payment_intent": _intent,
        "invoice": _invoice,
        "refund": _refund,
        "dispute": _dispute,
    }
    reader = readers.get(str(thing.get("object")))
    if reader is None:
        return {}
    key, fact = reader(thing, type_)
    if key is None:
        return {}
    return {key: {id_of(thing): {"at": at, **fact}}}


def link_of(event: Any) -> tuple[str, str] | None:
    """An invoice and the payment that it is of, if the event tells of the two."""
    _, _, thing = _parts(event)
    if thing.get("object") == "invoice":
        key = _key_of_invoice(thing)
        return (id_of(thing), key) if key else None
    if thing.get("object") == "invoice_payment":
        invoice, key = ref(thing.get("invoice")), _paid_by(thing)
        return (invoice, key) if invoice and key else None
    return None


def _parts(event: Any) -> tuple[str, float, Object]:
    if not isinstance(event, Mapping) or event.get("object") != "event":
        raise Unusable("this is no event of Stripe's")
    data, created, type_ = event.get("data"), event.get("created"), event.get("type")
    thing = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(thing, Mapping) or not isinstance(type_, str):
        raise Unusable("the event has no object")
    if isinstance(created, bool) or not isinstance(created, int | float) or not 0 < created < 2**40:
        raise Unusable("the event has no time")
    return type_, created, thing


def _charge(charge: Object, type_: str) -> tuple[str | None, Fact]:
    taken = charge.get("status") == "succeeded" and charge.get("captured") is not False
    status = SUCCEEDED if taken else FAILED if charge.get("status") == "failed" else PENDING
    currency = currency_of(charge)
    whole = amount(charge.get("amount"), currency)
    captured = amount(charge.get("amount_captured") or 0, currency) if taken else 0
    # What is not captured is given back at once, as part of amount_refunded.
    released = whole - captured if captured else 0
    billing = charge.get("billing_details")
    billing = billing if isinstance(billing, Mapping) else {}
    return ref(charge.get("payment_intent")) or id_of(charge), {
        "kind": "charge",
        "status": status,
        "currency": currency,
        "amount": captured or whole,
        "refunded": max(0, amount(charge.get("amount_refunded") or 0, currency) - released),
        "donated_at": seconds(charge.get("created")),
        "email": text(charge.get("receipt_email"), "email") or text(billing.get("email"), "email"),
        "name": text(billing.get("name"), "name"),
        **_ours(charge.get("metadata")),
    }


def _intent(intent: Object, type_: str) -> tuple[str | None, Fact]:
    told = intent.get("status")
    failed = type_ == "payment_intent.payment_failed" or bool(intent.get("last_payment_error"))
    status = PENDING
    if told == "succeeded":
        status = SUCCEEDED
    elif told == "canceled" or (told == "requires_payment_method" and failed):
        status = FAILED
    currency = currency_of(intent)
    return id_of(intent), {
        "kind": "intent",
        "status": status,
        "is_begun": status != PENDING or told not in NOT_BEGUN,
        "currency": currency,
        "amount": amount(intent.get("amount_received") or intent.get("amount"), currency),
        "donated_at": seconds(intent.get("created")),
        "email": text(intent.get("receipt_email"), "email"),
        **_ours(intent.get("metadata")),
    }


def _invoice(invoice: Object, type_: str) -> tuple[str | None, Fact]:
    if invoice.get("paid_out_of_band") or not invoice.get("id"):  # only planned
        return None, {}
    paid = invoice.get("status") == "paid" or invoice.get("paid") is True
    failed = type_ == "invoice.payment_failed" or invoice.get("status") in GIVEN_UP
    status = SUCCEEDED if paid else FAILED if failed else PENDING
    currency = currency_of(invoice)
    told = invoice.get("status_transitions")
    paid_at = told.get("paid_at") if isinstance(told, Mapping) else None
    subscription, metadata = _subscription(invoice)
    ours = _ours(invoice.get("metadata"))
    for name, value in _ours(metadata).items():
        ours.setdefault(name, value)
    if subscription:
        ours.setdefault("recurring_id", subscription)
    return _key_of_invoice(invoice) or id_of(invoice), {
        "kind": "invoice",
        "status": status,
        "is_begun": paid or bool(invoice.get("attempted")),
        "currency": currency,
        "amount": amount(invoice.get("amount_paid") or invoice.get("amount_due"), currency),
        "donated_at": seconds(paid_at) or seconds(invoice.get("created")),
        "email": text(invoice.get("customer_email"), "email"),
        "name": text(invoice.get("customer_name"), "name"),
        **ours,
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


def _key_of_invoice(invoice: Object) -> str | None:
    key = ref(invoice.get("payment_intent")) or ref(invoice.get("charge"))
    payments = invoice.get("payments")
    listed = payments.get("data") if isinstance(payments, Mapping) else None
    for payment in listed if isinstance(listed, list) else ():
        key = key or _paid_by(payment)
    return key


def _paid_by(invoice_payment: Any) -> str | None:
    payment = invoice_payment.get("payment") if isinstance(invoice_payment, Mapping) else None
    if not isinstance(payment, Mapping):
        return None
    return ref(payment.get("payment_intent")) or ref(payment.get("charge"))


def _refund(refund: Object, type_: str) -> tuple[str | None, Fact]:
    status = str(refund.get("status") or "pending")[:LONGEST_TEXT]
    return ref(refund.get("payment_intent")) or ref(refund.get("charge")), {
        "kind": "refund",
        "status": "failed" if type_ == "refund.failed" else status,
        "is_closed": status in ("succeeded", "failed", "canceled"),
        "amount": amount(refund.get("amount"), currency_of(refund)),
        "created": seconds(refund.get("created")) or 0,
    }


def _dispute(dispute: Object, type_: str) -> tuple[str | None, Fact]:
    status = str(dispute.get("status") or "")[:LONGEST_TEXT]
    return ref(dispute.get("payment_intent")) or ref(dispute.get("charge")), {
        "kind": "dispute",
        "status": status,
        "is_closed": status in CLOSED_DISPUTES,
    }


def _ours(metadata: Any) -> dict[str, str]:
    """What fundraising platforms put into the metadata for us."""
    if not isinstance(metadata, Mapping):
        return {}
    names = {
        "fundraiser_id": "fundraiser_id",
        "email_id": "email_ref",
        "recurring_id": "recurring_id",
    }
    found = {ours: text(metadata.get(theirs)) for theirs, ours in names.items()}
    return {name: value for name, value in found.items() if value}
