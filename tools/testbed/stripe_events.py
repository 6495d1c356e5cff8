"""Stripe's events with the documented fields and the project's own values."""

import json
import time
from typing import Any

from stripe import WebhookSignature

from tools.testbed.cast import BOB, Answer, University

SECRET = "whsec_test-of-matchback"
AT = 1_763_800_000  # 2025-11-22T08:26:40Z
INTENT, CHARGE, INVOICE = "pi_1", "ch_1", "in_1"
BASIL, OLDER = "2025-03-31.basil", "2024-06-20"

Event = dict[str, Any]


def _event(type_: str, at: int, thing: Event) -> Event:
    return {
        "id": f"evt_{type_}_{at}",
        "object": "event",
        "type": type_,
        "created": AT + at,
        "livemode": True,
        "data": {"object": thing},
    }


def intent(type_: str, status: str, at: int = 0, **more: Any) -> Event:
    thing = {
        "id": INTENT,
        "object": "payment_intent",
        "status": status,
        "amount": 2500,
        "amount_received": 2500 if status == "succeeded" else 0,
        "currency": "usd",
        "created": AT,
        "receipt_email": None,
        "last_payment_error": {"code": "card_declined"} if type_ == "payment_failed" else None,
        "metadata": {},
    }
    return _event(f"payment_intent.{type_}", at, thing | more)


def charge(type_: str, at: int = 0, **more: Any) -> Event:
    thing = {
        "id": CHARGE,
        "object": "charge",
        "payment_intent": INTENT,
        "status": "succeeded",
        "captured": True,
        "amount": 2500,
        "amount_captured": 2500,
        "amount_refunded": 0,
        "currency": "usd",
        "created": AT + 1,
        "receipt_email": None,
        "billing_details": BOB,
        "metadata": {},
    }
    return _event(f"charge.{type_}", at, thing | more)


def failed(thing: Event) -> Event:
    """Change a charge to a declined one."""
    thing["data"]["object"] |= {"status": "failed", "captured": False, "amount_captured": 0}
    return thing


def refund(
    type_: str, id_: str, amount: int, at: int, status: str = "succeeded", **more: Any
) -> Event:
    thing = {
        "id": id_,
        "object": "refund",
        "charge": CHARGE,
        "payment_intent": INTENT,
        "amount": amount,
        "currency": "usd",
        "status": status,
        "created": AT + at,
    }
    return _event(type_, at, thing | more)


def dispute(type_: str, status: str, at: int) -> Event:
    thing = {
        "id": "du_1",
        "object": "dispute",
        "charge": CHARGE,
        "payment_intent": INTENT,
        "amount": 2500,
        "currency": "usd",
        "status": status,
    }
    return _event(f"charge.dispute.{type_}", at, thing)


def invoice(type_: str, at: int = 0, **more: Any) -> Event:
    """Return an invoice of newer API versions, which lack the payment."""
    thing = {
        "id": INVOICE,
        "object": "invoice",
        "status": "paid" if type_ in ("paid", "payment_succeeded") else "open",
        "attempted": True,
        "amount_due": 2500,
        "amount_paid": 2500 if type_ in ("paid", "payment_succeeded") else 0,
        "currency": "usd",
        "created": AT,
        "customer_email": BOB["email"],
        "customer_name": BOB["name"],
        "status_transitions": {"paid_at": AT + 2},
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {}}},
        "metadata": {},
    }
    return _event(f"invoice.{type_}", at, thing | more)


def invoice_payment(at: int = 0) -> Event:
    thing = {
        "id": "inpay_1",
        "object": "invoice_payment",
        "invoice": INVOICE,
        "payment": {"type": "payment_intent", "payment_intent": INTENT},
        "status": "paid",
    }
    return _event("invoice_payment.paid", at, thing)


def session(type_: str, at: int = 0, **more: Any) -> Event:
    """Return an event about a Checkout Session, as a Payment Link creates it."""
    thing = {
        "id": "cs_1",
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": INTENT,
        "invoice": None,
        "subscription": None,
        "payment_link": None,
        "client_reference_id": None,
        "amount_total": 2500,
        "currency": "usd",
        "created": AT - 60,
        "customer_details": BOB,
        "customer_email": None,
        "metadata": {},
    }
    return _event(f"checkout.session.{type_}", at, thing | more)


def in_mode(livemode: Any, event: Event) -> Event:
    """Set the mode in the event and in its object, or remove it if it is `...`."""
    modes = {} if livemode is ... else {"livemode": livemode}
    thing = {name: it for name, it in event["data"]["object"].items() if name != "livemode"}
    rest = {name: it for name, it in event.items() if name != "livemode"}
    return {**rest, **modes, "data": {"object": thing | modes}}


def sent_by(version: str | None, event: Event) -> Event:
    """Set the API version of the endpoint that receives the event."""
    return event | {"api_version": version}


def ours(event: Event, **metadata: str) -> Event:
    """Add a fundraising platform's metadata."""
    thing = event["data"]["object"]
    return event | {"data": {"object": thing | {"metadata": metadata}}}


def stories() -> dict[str, tuple[list[Event], tuple[str, int]]]:
    """Return Stripe's events for a gift of 25 USD, with its final status and refunded amount."""
    begun = intent("created", "requires_payment_method")
    succeeded = [intent("succeeded", "succeeded", 2), charge("succeeded", 1)]
    part = charge("refunded", 5, amount_refunded=1000)
    whole = charge("refunded", 7, amount_refunded=2500)
    return {
        "a card": ([begun, *succeeded, charge("updated", 3)], ("succeeded", 0)),
        "a subscription": (
            [*succeeded, invoice("paid", 3), invoice_payment(3)],
            ("succeeded", 0),
        ),
        "declined, then taken": (
            [
                failed(charge("failed", 1, id="ch_0")),
                intent("payment_failed", "requires_payment_method", 1),
                charge("succeeded", 9),
                intent("succeeded", "succeeded", 9),
            ],
            ("succeeded", 0),
        ),
        "declined": (
            [failed(charge("failed", 1)), intent("payment_failed", "requires_payment_method", 1)],
            ("failed", 0),
        ),
        "cancelled": ([begun, intent("canceled", "canceled", 4)], ("failed", 0)),
        "from a bank, and failed later": (
            [
                intent("processing", "processing", 1),
                charge("pending", 1, status="pending", captured=False),
                *succeeded,
                failed(charge("failed", 90)),
            ],
            ("failed", 0),
        ),
        "refunded in part": (
            [*succeeded, refund("refund.created", "re_1", 1000, 5), part],
            ("succeeded", 1000),
        ),
        "refunded in two parts": ([*succeeded, part, whole], ("refunded", 2500)),
        "a refund that failed": (
            [
                *succeeded,
                part,
                refund("refund.created", "re_2", 1500, 7, "pending"),
                whole,
                refund("refund.failed", "re_2", 1500, 8, "failed", created=AT + 7),
            ],
            ("succeeded", 1000),
        ),
        "a dispute won": (
            [*succeeded, dispute("created", "needs_response", 5), dispute("closed", "won", 9)],
            ("succeeded", 0),
        ),
        "a dispute lost": (
            [
                *succeeded,
                dispute("created", "needs_response", 5),
                dispute("funds_withdrawn", "needs_response", 5),
                dispute("closed", "lost", 9),
            ],
            ("disputed", 0),
        ),
        "an inquiry": (
            [*succeeded, dispute("created", "warning_needs_response", 5)],
            ("succeeded", 0),
        ),
    }


def tell(place: University, event: Any, secret: str = SECRET, *, body: str | None = None) -> Answer:
    """Post an event as Stripe does."""
    text = json.dumps(event) if body is None else body
    header = WebhookSignature.generate_signature_header(text, secret, int(time.time()))
    return place.api.call(
        "POST",
        f"/v1/webhooks/stripe/{place.id}",
        body=text.encode(),
        headers={"Stripe-Signature": header},
    )


def set_secret(place: University, secret: str = SECRET, **flags: Any) -> None:
    answer = place.call("PUT", "/v1/webhook-keys/stripe", {"secret": secret, **flags})
    assert answer.status == 200, answer.content
