"""Stories of charges that are captured in part, in several parts, or beyond their authorization."""

from typing import Any

from tools.testbed.stripe_events import (
    BASIL_API_VERSION,
    FIRST_EVENT_AT,
    OLDER_API_VERSION,
    StripeEvent,
    make_charge_event,
    make_intent_event,
    make_refund_event,
    set_api_version,
)

Ending = tuple[str, int, int]  # status, amount, refunded
Stories = dict[str, tuple[list[StripeEvent], Ending]]


def held(amount: int) -> StripeEvent:
    """Return an authorization without any capture."""
    return make_charge_event("succeeded", 1, amount=amount, captured=False, amount_captured=0)


def captured(type_: str, at: int, whole: int, part: int, back: int = 0, **more: Any) -> StripeEvent:
    amounts = {"amount": whole, "amount_captured": part, "amount_refunded": back}
    return make_charge_event(type_, at, **amounts, **more)


def received(at: int, whole: int, part: int) -> StripeEvent:
    return make_intent_event("succeeded", "succeeded", at, amount=whole, amount_received=part)


def release(amount: int, at: int, **more: Any) -> StripeEvent:
    """Return Stripe's refund of the uncaptured amount."""
    return make_refund_event("refund.created", "re_0", amount, at, reason=None, metadata={}, **more)


def of_one_version() -> Stories:
    """Return stories with the same API version for capture and refund."""
    return {
        f"{name}, {version}": ([set_api_version(version, event) for event in events], ending)
        for version, stories in (
            (BASIL_API_VERSION, _since_basil()),
            (OLDER_API_VERSION, _before_basil()),
        )
        for name, (events, ending) in stories.items()
    }


def _since_basil() -> Stories:
    back = {"reason": "requested_by_customer"}
    return {
        "a part, nothing given back": (
            [held(10_000), captured("captured", 3, 10_000, 4000), received(3, 10_000, 4000)],
            ("succeeded", 4000, 0),
        ),
        "a part, all of it given back": (
            [
                held(10_000),
                captured("captured", 3, 10_000, 4000),
                captured("refunded", 9, 10_000, 4000, 4000),
                make_refund_event("refund.created", "re_1", 4000, 9, **back),
            ],
            ("refunded", 4000, 4000),
        ),
        "a large part, as much given back as was released": (
            [
                held(10_000),
                captured("captured", 3, 10_000, 6000),
                captured("refunded", 90, 10_000, 6000, 4000),
                make_refund_event("refund.created", "re_1", 4000, 90),
            ],
            ("succeeded", 6000, 4000),
        ),
        "the same, with only the refund reported": (
            [captured("refunded", 90, 10_000, 6000, 4000)],
            ("succeeded", 6000, 4000),
        ),
        "a large part, given back in two parts": (
            [
                captured("captured", 3, 10_000, 6000),
                captured("refunded", 50, 10_000, 6000, 4500),
                captured("refunded", 90, 10_000, 6000, 6000, refunded=True),
                make_refund_event("refund.created", "re_1", 4500, 50),
                make_refund_event("refund.created", "re_2", 1500, 90),
            ],
            ("refunded", 6000, 6000),
        ),
        "a refund of a part that failed": (
            [
                captured("captured", 3, 10_000, 6000),
                captured("refunded", 50, 10_000, 6000, 4000),
                make_refund_event("refund.created", "re_1", 4000, 50, "pending"),
                make_refund_event(
                    "refund.failed", "re_1", 4000, 70, "failed", created=FIRST_EVENT_AT + 50
                ),
            ],
            ("succeeded", 6000, 0),
        ),
        "more than was authorized": (
            [held(10_000), captured("captured", 3, 10_000, 11_500), received(3, 10_000, 11_500)],
            ("succeeded", 11_500, 0),
        ),
        "more than was authorized, and some given back": (
            [
                captured("captured", 3, 10_000, 11_500),
                captured("refunded", 9, 10_000, 11_500, 1500),
                make_refund_event("refund.created", "re_1", 1500, 9),
            ],
            ("succeeded", 11_500, 1500),
        ),
        "several captures, 1000 given back": (
            [
                held(10_000),
                captured("captured", 3, 10_000, 3000, captured=False),
                captured("captured", 5, 10_000, 7000),
                captured("refunded", 90, 10_000, 7000, 1000),
                make_refund_event("refund.created", "re_1", 1000, 90),
            ],
            ("succeeded", 7000, 1000),
        ),
        "given back between two captures": (
            [
                captured("captured", 3, 10_000, 5000, captured=False),
                captured("refunded", 50, 10_000, 5000, 5000, captured=False),
                captured("captured", 90, 10_000, 9000, 5000),
                make_refund_event("refund.created", "re_1", 5000, 50),
            ],
            ("succeeded", 9000, 5000),
        ),
        "a first capture while the rest is held": (
            [
                held(10_000),
                captured("captured", 3, 10_000, 3000, captured=False),
                make_intent_event(
                    "amount_capturable_updated",
                    "requires_capture",
                    3,
                    amount=10_000,
                    amount_received=3000,
                ),
            ],
            ("succeeded", 3000, 0),
        ),
        "cancelled, nothing captured": (
            [
                held(10_000),
                make_charge_event("expired", 90, amount=10_000, captured=False, amount_captured=0),
                make_intent_event("canceled", "canceled", 90, amount=10_000),
            ],
            ("failed", 10_000, 0),
        ),
    }


def _before_basil() -> Stories:
    return {
        "a part, nothing given back": (
            [
                held(10_000),
                captured("captured", 3, 10_000, 4000, 6000),
                captured("refunded", 3, 10_000, 4000, 6000),
                release(6000, 3),
                received(3, 10_000, 4000),
            ],
            ("succeeded", 4000, 0),
        ),
        "a part, all of it given back": (
            [
                captured("captured", 3, 10_000, 4000, 6000),
                captured("refunded", 90, 10_000, 4000, 10_000, refunded=True),
                release(6000, 3),
                make_refund_event("refund.created", "re_1", 4000, 90),
            ],
            ("refunded", 4000, 4000),
        ),
        "a large part, nothing given back": (
            [held(10_000), captured("refunded", 3, 10_000, 6000, 4000), release(4000, 3)],
            ("succeeded", 6000, 0),
        ),
        "a large part, some given back": (
            [
                captured("captured", 3, 10_000, 6000, 4000),
                captured("refunded", 90, 10_000, 6000, 4500),
                release(4000, 3),
                make_refund_event("refund.created", "re_1", 500, 90),
            ],
            ("succeeded", 6000, 500),
        ),
        "a large part, as much given back as was released": (
            [
                captured("captured", 3, 10_000, 6000, 4000),
                captured("refunded", 90, 10_000, 6000, 8000),
                release(4000, 3),
                make_refund_event("refund.created", "re_1", 4000, 90),
            ],
            ("succeeded", 6000, 4000),
        ),
        "the refunds listed with the charge": (
            [
                captured(
                    "refunded",
                    90,
                    10_000,
                    6000,
                    4500,
                    refunds={
                        "object": "list",
                        "data": [
                            release(4000, 3)["data"]["object"],
                            make_refund_event("x", "re_1", 500, 90)["data"]["object"],
                        ],
                    },
                ),
                held(10_000),
            ],
            ("succeeded", 6000, 500),
        ),
        "several captures, 1000 given back": (
            [
                captured("captured", 3, 10_000, 3000, captured=False),
                captured("captured", 5, 10_000, 7000, 3000),
                captured("refunded", 90, 10_000, 7000, 4000),
                release(3000, 5),
                make_refund_event("refund.created", "re_1", 1000, 90),
            ],
            ("succeeded", 7000, 1000),
        ),
        "cancelled, nothing captured": (
            [
                held(10_000),
                make_charge_event(
                    "refunded",
                    90,
                    amount=10_000,
                    captured=False,
                    amount_captured=0,
                    amount_refunded=10_000,
                    refunded=True,
                ),
                make_refund_event(
                    "refund.created", "re_0", 10_000, 90, reason="expired_uncaptured_charge"
                ),
                make_intent_event("canceled", "canceled", 90, amount=10_000),
            ],
            ("failed", 10_000, 0),
        ),
        "a refund whose charge was not reported again": (
            [
                captured("refunded", 3, 10_000, 6000, 4000),
                release(4000, 3),
                make_refund_event("refund.created", "re_1", 4000, 90),
            ],
            ("succeeded", 6000, 4000),
        ),
        "a refund without the release's": (
            [
                captured("refunded", 3, 10_000, 6000, 4000),
                make_refund_event("refund.created", "re_1", 4000, 90),
            ],
            ("succeeded", 6000, 4000),
        ),
        "only the intent and the release": (
            [received(3, 10_000, 6000), release(4000, 3)],
            ("succeeded", 6000, 0),
        ),
    }


def of_two_versions() -> Stories:
    """Return stories in which the endpoint's version changes.

    The version of the capture matters.
    """

    def new(event: StripeEvent) -> StripeEvent:
        return set_api_version(BASIL_API_VERSION, event)

    def old(event: StripeEvent) -> StripeEvent:
        return set_api_version(OLDER_API_VERSION, event)

    return {
        "captured by an old client, the endpoint is new": (
            [
                new(captured("captured", 3, 10_000, 6000, 4000)),
                new(captured("updated", 9, 10_000, 6000, 4000)),
                new(release(4000, 3)),
            ],
            ("succeeded", 6000, 0),
        ),
        "captured by a new client, the endpoint is old": (
            [
                old(captured("captured", 3, 10_000, 6000)),
                old(captured("refunded", 90, 10_000, 6000, 4000)),
                old(make_refund_event("refund.created", "re_1", 4000, 90)),
            ],
            ("succeeded", 6000, 4000),
        ),
        "the endpoint is upgraded after the capture": (
            [
                old(captured("captured", 3, 10_000, 6000, 4000)),
                old(release(4000, 3)),
                new(captured("updated", 90, 10_000, 6000, 4000)),
            ],
            ("succeeded", 6000, 0),
        ),
        "the endpoint is upgraded, then some is given back": (
            [
                old(captured("captured", 3, 10_000, 6000, 4000)),
                old(release(4000, 3)),
                new(captured("refunded", 90, 10_000, 6000, 4700)),
                new(make_refund_event("refund.created", "re_1", 700, 90)),
            ],
            ("succeeded", 6000, 700),
        ),
        "a refund that a person gave a reason for, and no other evidence": (
            [
                old(captured("refunded", 90, 10_000, 6000, 4000)),
                old(make_refund_event("refund.created", "re_1", 4000, 90, reason="duplicate")),
            ],
            ("succeeded", 6000, 4000),
        ),
        "a refund with metadata, and no other evidence": (
            [
                old(captured("refunded", 90, 10_000, 6000, 4000)),
                old(make_refund_event("refund.created", "re_1", 4000, 90, metadata={"by": "Ann"})),
            ],
            ("succeeded", 6000, 4000),
        ),
        "two endpoints of two versions, if each had figures of its own": (
            [
                old(captured("captured", 3, 10_000, 6000, 4000)),
                new(captured("captured", 3, 10_000, 6000)),
                old(captured("refunded", 90, 10_000, 6000, 4200)),
                new(captured("refunded", 90, 10_000, 6000, 200)),
                old(release(4000, 3)),
                old(make_refund_event("refund.created", "re_1", 200, 90)),
            ],
            ("succeeded", 6000, 200),
        ),
    }
