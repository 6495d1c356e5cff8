"""Stripe's events with the documented fields and the project's own values."""

import json
import time
from typing import Any

from stripe import WebhookSignature

from tools.testbed.cast import BOB, ApiAnswer, University

STRIPE_SECRET = "whsec_test-of-matchback"
FIRST_EVENT_AT = 1_763_800_000  # 2025-11-22T08:26:40Z
INTENT_ID, CHARGE_ID, INVOICE_ID = "pi_1", "ch_1", "in_1"
BASIL_API_VERSION, OLDER_API_VERSION = "2025-03-31.basil", "2024-06-20"

StripeEvent = dict[str, Any]


def _event(type_: str, at: int, thing: StripeEvent) -> StripeEvent:
    return {
        "id": f"evt_{type_}_{at}",
        "object": "event",
        "type": type_,
        "created": FIRST_EVENT_AT + at,
        "livemode": True,
        "data": {"object": thing},
    }


def make_intent_event(type_: str, status: str, at: int = 0, **more: Any) -> StripeEvent:
    thing = {
        "id": INTENT_ID,
        "object": "payment_intent",
        "status": status,
        "amount": 2500,
        "amount_received": 2500 if status == "succeeded" else 0,
        "currency": "usd",
        "created": FIRST_EVENT_AT,
        "receipt_email": None,
        "last_payment_error": {"code": "card_declined"} if type_ == "payment_failed" else None,
        "metadata": {},
    }
    return _event(f"payment_intent.{type_}", at, thing | more)


def make_charge_event(type_: str, at: int = 0, **more: Any) -> StripeEvent:
    thing = {
        "id": CHARGE_ID,
        "object": "charge",
        "payment_intent": INTENT_ID,
        "status": "succeeded",
        "captured": True,
        "amount": 2500,
        "amount_captured": 2500,
        "amount_refunded": 0,
        "currency": "usd",
        "created": FIRST_EVENT_AT + 1,
        "receipt_email": None,
        "billing_details": BOB,
        "metadata": {},
    }
    return _event(f"charge.{type_}", at, thing | more)


def mark_charge_failed(thing: StripeEvent) -> StripeEvent:
    """Change a charge to a declined one."""
    thing["data"]["object"] |= {"status": "failed", "captured": False, "amount_captured": 0}
    return thing


def make_refund_event(
    type_: str, id_: str, amount: int, at: int, status: str = "succeeded", **more: Any
) -> StripeEvent:
    thing = {
        "id": id_,
        "object": "refund",
        "charge": CHARGE_ID,
        "payment_intent": INTENT_ID,
        "amount": amount,
        "currency": "usd",
        "status": status,
        "created": FIRST_EVENT_AT + at,
    }
    return _event(type_, at, thing | more)


def make_dispute_event(type_: str, status: str, at: int) -> StripeEvent:
    thing = {
        "id": "du_1",
        "object": "dispute",
        "charge": CHARGE_ID,
        "payment_intent": INTENT_ID,
        "amount": 2500,
        "currency": "usd",
        "status": status,
    }
    return _event(f"charge.dispute.{type_}", at, thing)


def make_invoice_event(type_: str, at: int = 0, **more: Any) -> StripeEvent:
    """Return an invoice of newer API versions, which lack the payment."""
    thing = {
        "id": INVOICE_ID,
        "object": "invoice",
        "status": "paid" if type_ in ("paid", "payment_succeeded") else "open",
        "attempted": True,
        "amount_due": 2500,
        "amount_paid": 2500 if type_ in ("paid", "payment_succeeded") else 0,
        "currency": "usd",
        "created": FIRST_EVENT_AT,
        "customer_email": BOB["email"],
        "customer_name": BOB["name"],
        "status_transitions": {"paid_at": FIRST_EVENT_AT + 2},
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {}}},
        "metadata": {},
    }
    return _event(f"invoice.{type_}", at, thing | more)


def make_invoice_payment_event(at: int = 0) -> StripeEvent:
    thing = {
        "id": "inpay_1",
        "object": "invoice_payment",
        "invoice": INVOICE_ID,
        "payment": {"type": "payment_intent", "payment_intent": INTENT_ID},
        "status": "paid",
    }
    return _event("invoice_payment.paid", at, thing)


def make_session_event(type_: str, at: int = 0, **more: Any) -> StripeEvent:
    """Return an event about a Checkout Session, as a Payment Link creates it."""
    thing = {
        "id": "cs_1",
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": INTENT_ID,
        "invoice": None,
        "subscription": None,
        "payment_link": None,
        "client_reference_id": None,
        "amount_total": 2500,
        "currency": "usd",
        "created": FIRST_EVENT_AT - 60,
        "customer_details": BOB,
        "customer_email": None,
        "metadata": {},
    }
    return _event(f"checkout.session.{type_}", at, thing | more)


def set_livemode(livemode: Any, event: StripeEvent) -> StripeEvent:
    """Set the mode in the event and in its object, or remove it if it is `...`."""
    modes = {} if livemode is ... else {"livemode": livemode}
    thing = {name: it for name, it in event["data"]["object"].items() if name != "livemode"}
    rest = {name: it for name, it in event.items() if name != "livemode"}
    return {**rest, **modes, "data": {"object": thing | modes}}


def set_api_version(version: str | None, event: StripeEvent) -> StripeEvent:
    """Set the API version of the endpoint that receives the event."""
    return event | {"api_version": version}


def set_metadata(event: StripeEvent, **metadata: str) -> StripeEvent:
    """Add a fundraising platform's metadata."""
    thing = event["data"]["object"]
    return event | {"data": {"object": thing | {"metadata": metadata}}}


def list_payment_stories() -> dict[str, tuple[list[StripeEvent], tuple[str, int]]]:
    """Return Stripe's events for a gift of 25 USD, with its final status and refunded amount."""
    begun = make_intent_event("created", "requires_payment_method")
    succeeded = [make_intent_event("succeeded", "succeeded", 2), make_charge_event("succeeded", 1)]
    part = make_charge_event("refunded", 5, amount_refunded=1000)
    whole = make_charge_event("refunded", 7, amount_refunded=2500)
    return {
        "a card": ([begun, *succeeded, make_charge_event("updated", 3)], ("succeeded", 0)),
        "a subscription": (
            [*succeeded, make_invoice_event("paid", 3), make_invoice_payment_event(3)],
            ("succeeded", 0),
        ),
        "declined, then taken": (
            [
                mark_charge_failed(make_charge_event("failed", 1, id="ch_0")),
                make_intent_event("payment_failed", "requires_payment_method", 1),
                make_charge_event("succeeded", 9),
                make_intent_event("succeeded", "succeeded", 9),
            ],
            ("succeeded", 0),
        ),
        "declined": (
            [
                mark_charge_failed(make_charge_event("failed", 1)),
                make_intent_event("payment_failed", "requires_payment_method", 1),
            ],
            ("failed", 0),
        ),
        "cancelled": ([begun, make_intent_event("canceled", "canceled", 4)], ("failed", 0)),
        "from a bank, and failed later": (
            [
                make_intent_event("processing", "processing", 1),
                make_charge_event("pending", 1, status="pending", captured=False),
                *succeeded,
                mark_charge_failed(make_charge_event("failed", 90)),
            ],
            ("failed", 0),
        ),
        "refunded in part": (
            [*succeeded, make_refund_event("refund.created", "re_1", 1000, 5), part],
            ("succeeded", 1000),
        ),
        "refunded in two parts": ([*succeeded, part, whole], ("refunded", 2500)),
        "a refund that failed": (
            [
                *succeeded,
                part,
                make_refund_event("refund.created", "re_2", 1500, 7, "pending"),
                whole,
                make_refund_event(
                    "refund.failed", "re_2", 1500, 8, "failed", created=FIRST_EVENT_AT + 7
                ),
            ],
            ("succeeded", 1000),
        ),
        "a dispute won": (
            [
                *succeeded,
                make_dispute_event("created", "needs_response", 5),
                make_dispute_event("closed", "won", 9),
            ],
            ("succeeded", 0),
        ),
        "a dispute lost": (
            [
                *succeeded,
                make_dispute_event("created", "needs_response", 5),
                make_dispute_event("funds_withdrawn", "needs_response", 5),
                make_dispute_event("closed", "lost", 9),
            ],
            ("disputed", 0),
        ),
        "an inquiry": (
            [*succeeded, make_dispute_event("created", "warning_needs_response", 5)],
            ("succeeded", 0),
        ),
    }


def post_stripe_event(
    place: University, event: Any, secret: str = STRIPE_SECRET, *, body: str | None = None
) -> ApiAnswer:
    """Post an event as Stripe does."""
    text = json.dumps(event) if body is None else body
    header = WebhookSignature.generate_signature_header(text, secret, int(time.time()))
    return place.api.call(
        "POST",
        f"/v1/webhooks/stripe/{place.id}",
        body=text.encode(),
        headers={"Stripe-Signature": header},
    )


def set_stripe_secret(place: University, secret: str = STRIPE_SECRET, **flags: Any) -> None:
    answer = place.call("PUT", "/v1/webhook-keys/stripe", {"secret": secret, **flags})
    assert answer.status == 200, answer.content
