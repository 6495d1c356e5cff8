"""Stripe's charges, payment intents, refunds and disputes as facts of a payment. Pure.

Sources: https://docs.stripe.com/api/charges/object, /api/payment_intents/object,
/api/refunds/object and /api/disputes/object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from documents.payments.facts import CAPTURE, FAILED, PENDING, SUCCEEDED, Fact, Facts
from documents.payments.stripe.event import Event
from documents.values.stripe_values import (
    METADATA,
    amount,
    code_of,
    currency_of,
    id_of,
    ours,
    ref,
    reported_amount,
    seconds,
    text,
)

CLOSED_DISPUTES = ("won", "lost", "warning_closed", "prevented")
NOT_BEGUN = ("requires_payment_method", "requires_confirmation", "requires_action")
RELEASED = "expired_uncaptured_charge"  # the one reason for a refund that Stripe gives by itself
REFUNDS_READ = 100

Object = Mapping[str, Any]


def read_charge(event: Event) -> tuple[str | None, Facts]:
    """Return the key of a charge's payment, and facts: the charge, its capture, its refunds."""
    charge, id_ = event.thing, id_of(event.thing)
    fact = _charge(charge) | {"is_basil": event.is_basil}
    facts = {id_: fact}
    if fact["captured"] and fact["is_final"]:
        facts[f"{id_}:{CAPTURE}{':basil' if event.is_basil else ''}"] = {
            "kind": CAPTURE,
            "charge": id_,
            "is_capture": event.type == "charge.captured",
            **{name: fact[name] for name in ("captured", "amount_refunded", "is_basil")},
        }
    for refund in _listed(charge):
        facts[id_of(refund)] = _refund(refund, event) | {"charge": id_}
    return ref(charge.get("payment_intent")) or id_, facts


def _charge(charge: Object) -> Fact:
    currency = currency_of(charge)
    whole = amount(charge.get("amount"), currency)
    captured = amount(charge.get("amount_captured") or 0, currency)
    is_final = charge.get("captured") is not False
    # Of several captures, the first ones leave `captured` false and take money all the same.
    taken = charge.get("status") == "succeeded" and (is_final or captured > 0)
    status = SUCCEEDED if taken else FAILED if charge.get("status") == "failed" else PENDING
    billing = charge.get("billing_details")
    billing = billing if isinstance(billing, Mapping) else {}
    return {
        "kind": "charge",
        "status": status,
        "currency": currency,
        "amount": (captured if taken else 0) or whole,
        "authorized": whole,
        "captured": (captured or whole) if taken else 0,
        "is_final": is_final,
        "amount_refunded": amount(charge.get("amount_refunded") or 0, currency),
        "is_refunded": charge.get("refunded") is True,
        "donated_at": seconds(charge.get("created")),
        "email": text(charge.get("receipt_email"), "email") or text(billing.get("email"), "email"),
        "name": text(billing.get("name"), "name"),
        **ours(charge.get("metadata")),
    }


def _listed(charge: Object) -> Iterator[Object]:
    """The refunds that a charge lists: by default before API version 2022-11-15, later if asked."""
    refunds = charge.get("refunds")
    listed = refunds.get("data") if isinstance(refunds, Mapping) else None
    for refund in listed[:REFUNDS_READ] if isinstance(listed, list) else ():
        if isinstance(refund, Mapping) and ref(refund.get("id")):
            yield refund


def read_intent(event: Event) -> tuple[str | None, Facts]:
    """Return the key of a payment intent, and its fact."""
    intent, told = event.thing, event.thing.get("status")
    currency = currency_of(intent)
    received = amount(intent.get("amount_received") or 0, currency)
    authorized = amount(intent.get("amount") or intent.get("amount_received"), currency)
    failed = event.type == "payment_intent.payment_failed" or bool(intent.get("last_payment_error"))
    status = PENDING
    if told == "succeeded" or (told in ("requires_capture", "canceled") and received):
        status = SUCCEEDED
    elif told == "canceled" or (told == "requires_payment_method" and failed):
        status = FAILED
    return id_of(intent), {
        id_of(intent): {
            "kind": "intent",
            "status": status,
            "is_begun": status != PENDING or told not in NOT_BEGUN,
            "currency": currency,
            "amount": received or authorized,
            "authorized": authorized,
            "captured": (received or authorized) if status == SUCCEEDED else 0,
            "is_final": told != "requires_capture",
            "is_basil": event.is_basil,
            "donated_at": seconds(intent.get("created")),
            "email": text(intent.get("receipt_email"), "email"),
            **ours(intent.get("metadata")),
        }
    }


def read_refund(event: Event) -> tuple[str | None, Facts]:
    """Return the key of a refund's payment, and its fact."""
    refund = event.thing
    key = ref(refund.get("payment_intent")) or ref(refund.get("charge"))
    return key, {id_of(refund): _refund(refund, event)}


def _refund(refund: Object, event: Event) -> Fact:
    status = text(refund.get("status")) or "pending"
    currency, reason = code_of(refund), refund.get("reason")
    return {
        "kind": "refund",
        "status": "failed" if event.type == "refund.failed" else status,
        "is_closed": status in ("succeeded", "failed", "canceled"),
        "currency": currency,
        "amount": reported_amount(refund.get("amount"), currency),
        "charge": ref(refund.get("charge")),
        "is_release": reason == RELEASED,
        # People give reasons and metadata. Stripe, for a release, gives neither.
        "is_given_back": reason != RELEASED and bool(reason or _is_noted(refund.get("metadata"))),
        "is_basil": event.is_basil,
        "created": seconds(refund.get("created")) or 0,
    }


def _is_noted(metadata: Any) -> bool:
    return isinstance(metadata, Mapping) and not set(metadata) <= set(METADATA)


def read_dispute(event: Event) -> tuple[str | None, Facts]:
    """Return the key of a dispute's payment, and its fact."""
    dispute = event.thing
    status = text(dispute.get("status")) or ""
    key = ref(dispute.get("payment_intent")) or ref(dispute.get("charge"))
    currency = code_of(dispute) if dispute.get("currency") is not None else None
    return key, {
        id_of(dispute): {
            "kind": "dispute",
            "status": status,
            "is_closed": status in CLOSED_DISPUTES,
            **({"currency": currency} if currency else {}),
        }
    }
