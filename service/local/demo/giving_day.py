"""The script of the giving day: each open, click and donation with its time. A seed makes a day."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DAY_SECONDS = 25.0
A_SECOND = 50 * 60  # seconds of the day per second of the demo; the day lasts 21 hours
EVENTS_A_POST = 60
OPEN_SHARE, MACHINE_SHARE, CLICK_SHARE, GIVE_SHARE = 0.46, 0.18, 0.34, 0.55
BOUNCE_SHARE, REPEAT_SHARE, REFUND_SHARE = 0.02, 0.1, 0.05
STRANGERS = 6
LINK = "https://give.example.edu/spring"
GIFTS = (1000, 2500, 2500, 5000, 5000, 10000, 25000)


@dataclass(frozen=True)
class Recipient:
    """A recipient of the mailing, with their email."""

    email_id: str
    name: str
    address: str
    link_token: str = ""


@dataclass(frozen=True)
class Step:
    """A step at a second of the demo: a webhook post, a donation or a refund."""

    at: float
    kind: str
    payload: Any


def script(
    recipients: Sequence[Recipient], fundraiser_id: str, start: int, seed: int = 7
) -> list[Step]:
    """Return all steps in order.

    Args:
        start: Unix seconds at which the day begins.
    """
    chance = random.Random(seed)  # noqa: S311
    events: list[tuple[float, dict[str, Any]]] = []
    gifts: list[Step] = []
    for number, recipient in enumerate(recipients):
        told, clicked = _story(chance, number, recipient, start)
        events += told
        if clicked is not None and chance.random() < GIVE_SHARE:
            gifts += _gift(chance, number, recipient, fundraiser_id, clicked=clicked, start=start)
    gifts += [_stranger(chance, number, fundraiser_id, start) for number in range(STRANGERS)]
    return sorted([*_posts(chance, events), *gifts], key=lambda step: step.at)


def _story(
    chance: random.Random, number: int, recipient: Recipient, start: int
) -> tuple[list[tuple[float, dict[str, Any]]], float | None]:
    """Return SendGrid's events for one email, and the time of the click, if any."""
    told: list[tuple[float, dict[str, Any]]] = []

    def tell(at: float, event: str, **more: Any) -> None:
        told.append(
            (
                at,
                {
                    "email": recipient.address,
                    "timestamp": start + int(at * A_SECOND),
                    "event": event,
                    "sg_event_id": f"demo-{recipient.email_id}-{event}-{len(told)}",
                    "sg_message_id": f"demo-{recipient.email_id}",
                    "category": ["giving-day"],
                    "email_id": recipient.email_id,
                    **more,
                },
            )
        )

    at = chance.uniform(0, 4)
    tell(at, "processed")
    if chance.random() < BOUNCE_SHARE:
        tell(at + 0.5, "bounce", type="bounce", reason="550 no such user")
        return told, None
    tell(at + 0.3, "delivered")
    if chance.random() < MACHINE_SHARE:
        tell(at + 0.4, "open", sg_machine_open=True)
    if chance.random() > OPEN_SHARE:
        return told, None
    opened = at + chance.uniform(0.6, 10)
    tell(opened, "open")
    if chance.random() > CLICK_SHARE:
        return told, None
    clicked = opened + chance.uniform(0.1, 3)
    tell(clicked, "click", url=f"{LINK}?email_id={recipient.link_token}")
    return told, clicked


def _posts(chance: random.Random, events: list[tuple[float, dict[str, Any]]]) -> Iterator[Step]:
    """Yield events in webhook posts. Repeat some of the posts."""
    events = sorted(events, key=lambda event: event[0])
    for first in range(0, len(events), EVENTS_A_POST):
        batch = events[first : first + EVENTS_A_POST]
        at = batch[-1][0]
        payload = [event for _, event in batch]
        yield Step(at, "events", payload)
        if chance.random() < REPEAT_SHARE:
            yield Step(at + 1, "events", payload)


def _gift(
    chance: random.Random,
    number: int,
    recipient: Recipient,
    fundraiser_id: str,
    *,
    clicked: float,
    start: int,
) -> list[Step]:
    """Return a donation after a click. Most links keep their token; a few lose it on the way."""
    at = min(clicked + chance.uniform(0.2, 4), DAY_SECONDS)
    email_id = chance.choices(
        [recipient.link_token, "", "utm_source=newsletter"], weights=[75, 17, 8]
    )[0]
    gift = _donation(chance, f"demo-{number}", fundraiser_id, recipient.name, recipient.address)
    given = {"email_id": email_id, "donated_at": _time(start, at)}
    steps = [Step(at, "gift", gift | given)]
    if chance.random() < REFUND_SHARE:
        steps.append(Step(at + 2, "refund", gift["external_id"]))
    return steps


def _stranger(chance: random.Random, number: int, fundraiser_id: str, start: int) -> Step:
    """Return a donation by a person who received no email."""
    name, address = f"Guest {number}", f"guest{number}@example.org"
    gift = _donation(chance, f"demo-guest-{number}", fundraiser_id, name, address)
    at = chance.uniform(5, DAY_SECONDS)
    return Step(at, "gift", gift | {"donated_at": _time(start, at)})


def _time(start: int, at: float) -> str:
    """Return the time of day for a second of the demo."""
    return datetime.fromtimestamp(start + int(at * A_SECOND), UTC).isoformat()


def _donation(
    chance: random.Random, external_id: str, fundraiser_id: str, name: str, address: str
) -> dict[str, Any]:
    return {
        "fundraiser_id": fundraiser_id,
        "amount": chance.choice(GIFTS),
        "currency": "USD",
        "donor": {"name": name, "email": address},
        "external_id": external_id,
    }
