"""Stripe's charges, payment intents, refunds and disputes as facts of a payment. Pure.

Sources: https://docs.stripe.com/api/charges/object, /api/payment_intents/object,
/api/refunds/object and /api/disputes/object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from documents.payments.facts import (
    CAPTURE_KIND,
    FAILED_STATUS,
    PENDING_STATUS,
    SUCCEEDED_STATUS,
    PaymentFact,
    PaymentFacts,
)
from documents.payments.stripe.event import StripeEvent
from documents.values.stripe_values import (
    METADATA_FIELDS,
    StripeObject,
    convert_amount,
    convert_reported_amount,
    read_currency,
    read_currency_code,
    read_metadata,
    read_object_id,
    read_reference,
    read_string,
    read_unix_seconds,
)

CLOSED_DISPUTE_STATUSES = ("won", "lost", "warning_closed", "prevented")
NOT_BEGUN_STATUSES = ("requires_payment_method", "requires_confirmation", "requires_action")
RELEASE_REASON = "expired_uncaptured_charge"  # the only refund reason that Stripe itself sets
MAX_EMBEDDED_REFUNDS = 100


def read_charge(event: StripeEvent) -> tuple[str | None, PaymentFacts]:
    """Return the key of a charge's payment, and the facts: charge, capture and refunds."""
    charge, id_ = event.thing, read_object_id(event.thing)
    fact = _charge(charge) | {"is_basil": event.is_basil}
    facts = {id_: fact}
    if fact["captured"] and fact["is_final"]:
        facts[f"{id_}:{CAPTURE_KIND}{':basil' if event.is_basil else ''}"] = {
            "kind": CAPTURE_KIND,
            "charge": id_,
            "is_capture": event.type == "charge.captured",
            **{name: fact[name] for name in ("captured", "amount_refunded", "is_basil")},
        }
    for refund in _listed(charge):
        facts[read_object_id(refund)] = _refund(refund, event) | {"charge": id_}
    return read_reference(charge.get("payment_intent")) or id_, facts


def _charge(charge: StripeObject) -> PaymentFact:
    currency = read_currency(charge)
    whole = convert_amount(charge.get("amount"), currency)
    captured = convert_amount(charge.get("amount_captured") or 0, currency)
    is_final = charge.get("captured") is not False
    # With several captures, `captured` is false until the last, but each takes money.
    taken = charge.get("status") == "succeeded" and (is_final or captured > 0)
    status = (
        SUCCEEDED_STATUS
        if taken
        else FAILED_STATUS
        if charge.get("status") == "failed"
        else PENDING_STATUS
    )
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
        "amount_refunded": convert_amount(charge.get("amount_refunded") or 0, currency),
        "is_refunded": charge.get("refunded") is True,
        "donated_at": read_unix_seconds(charge.get("created")),
        "email": read_string(charge.get("receipt_email"), "email")
        or read_string(billing.get("email"), "email"),
        "name": read_string(billing.get("name"), "name"),
        **read_metadata(charge.get("metadata")),
    }


def _listed(charge: StripeObject) -> Iterator[StripeObject]:
    """Yield the refunds that a charge lists.

    Since API version 2022-11-15, Stripe lists them only on request.
    """
    refunds = charge.get("refunds")
    listed = refunds.get("data") if isinstance(refunds, Mapping) else None
    for refund in listed[:MAX_EMBEDDED_REFUNDS] if isinstance(listed, list) else ():
        if isinstance(refund, Mapping) and read_reference(refund.get("id")):
            yield refund


def read_intent(event: StripeEvent) -> tuple[str | None, PaymentFacts]:
    """Return the key of a payment intent, and its fact."""
    intent, told = event.thing, event.thing.get("status")
    currency = read_currency(intent)
    received = convert_amount(intent.get("amount_received") or 0, currency)
    authorized = convert_amount(intent.get("amount") or intent.get("amount_received"), currency)
    failed = event.type == "payment_intent.payment_failed" or bool(intent.get("last_payment_error"))
    status = PENDING_STATUS
    if told == "succeeded" or (told in ("requires_capture", "canceled") and received):
        status = SUCCEEDED_STATUS
    elif told == "canceled" or (told == "requires_payment_method" and failed):
        status = FAILED_STATUS
    return read_object_id(intent), {
        read_object_id(intent): {
            "kind": "intent",
            "status": status,
            "is_begun": status != PENDING_STATUS or told not in NOT_BEGUN_STATUSES,
            "currency": currency,
            "amount": received or authorized,
            "authorized": authorized,
            "captured": (received or authorized) if status == SUCCEEDED_STATUS else 0,
            "is_final": told != "requires_capture",
            "is_basil": event.is_basil,
            "donated_at": read_unix_seconds(intent.get("created")),
            "email": read_string(intent.get("receipt_email"), "email"),
            **read_metadata(intent.get("metadata")),
        }
    }


def read_refund(event: StripeEvent) -> tuple[str | None, PaymentFacts]:
    """Return the key of a refund's payment, and its fact."""
    refund = event.thing
    key = read_reference(refund.get("payment_intent")) or read_reference(refund.get("charge"))
    return key, {read_object_id(refund): _refund(refund, event)}


def _refund(refund: StripeObject, event: StripeEvent) -> PaymentFact:
    status = read_string(refund.get("status")) or "pending"
    currency, reason = read_currency_code(refund), refund.get("reason")
    return {
        "kind": "refund",
        "status": "failed" if event.type == "refund.failed" else status,
        "is_closed": status in ("succeeded", "failed", "canceled"),
        "currency": currency,
        "amount": convert_reported_amount(refund.get("amount"), currency),
        "charge": read_reference(refund.get("charge")),
        "is_release": reason == RELEASE_REASON,
        # A person may set a reason or metadata. Stripe sets neither for a release.
        "is_given_back": reason != RELEASE_REASON
        and bool(reason or _is_noted(refund.get("metadata"))),
        "is_basil": event.is_basil,
        "created": read_unix_seconds(refund.get("created")) or 0,
    }


def _is_noted(metadata: Any) -> bool:
    return isinstance(metadata, Mapping) and not set(metadata) <= set(METADATA_FIELDS)


def read_dispute(event: StripeEvent) -> tuple[str | None, PaymentFacts]:
    """Return the key of a dispute's payment, and its fact."""
    dispute = event.thing
    status = read_string(dispute.get("status")) or ""
    key = read_reference(dispute.get("payment_intent")) or read_reference(dispute.get("charge"))
    currency = read_currency_code(dispute) if dispute.get("currency") is not None else None
    return key, {
        read_object_id(dispute): {
            "kind": "dispute",
            "status": status,
            "is_closed": status in CLOSED_DISPUTE_STATUSES,
            **({"currency": currency} if currency else {}),
        }
    }
