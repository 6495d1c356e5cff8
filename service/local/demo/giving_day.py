"""The script of the giving day: each open, click and donation with its time. A seed makes a day."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PLAYED_DAY_SECONDS = 25.0
TIME_LAPSE_FACTOR = 50 * 60  # seconds of the day per second of the demo; the day lasts 21 hours
EVENTS_A_POST = 60
OPEN_SHARE, MACHINE_SHARE, CLICK_SHARE, GIVE_SHARE = 0.46, 0.18, 0.5, 0.8
HELD_OUT_GIVE_SHARE = 0.01  # so that the experiment has a clear result at the end of the day
BOUNCE_SHARE, REPEAT_SHARE, REFUND_SHARE = 0.02, 0.1, 0.05
STRANGER_COUNT = 6
GIVING_PAGE_URL = "https://give.example.edu/spring"
GIFT_AMOUNTS_CENTS = (1000, 2500, 2500, 5000, 5000, 10000)


@dataclass(frozen=True)
class DemoRecipient:
    """A recipient of the mailing, with their email."""

    email_id: str
    name: str
    address: str
    link_token: str = ""
    held_out: bool = False


@dataclass(frozen=True)
class GivingDayStep:
    """A step at a second of the demo: a webhook post, a donation or a refund."""

    at: float
    kind: str
    payload: Any


def plan_giving_day(
    recipients: Sequence[DemoRecipient], fundraiser_id: str, start: int, seed: int = 7
) -> list[GivingDayStep]:
    """Return all steps in order.

    Args:
        start: Unix seconds at which the day begins.
    """
    chance = random.Random(seed)  # noqa: S311
    events: list[tuple[float, dict[str, Any]]] = []
    gifts: list[GivingDayStep] = []
    for number, recipient in enumerate(recipients):
        if recipient.held_out:
            gifts += _held_out_gift(chance, number, recipient, fundraiser_id, start)
            continue
        told, clicked = _story(chance, number, recipient, start)
        events += told
        if clicked is not None and chance.random() < GIVE_SHARE:
            gifts += _gift(chance, number, recipient, fundraiser_id, clicked=clicked, start=start)
    gifts += [_stranger(chance, number, fundraiser_id, start) for number in range(STRANGER_COUNT)]
    return sorted([*_posts(chance, events), *gifts], key=lambda step: step.at)


def _story(
    chance: random.Random, number: int, recipient: DemoRecipient, start: int
) -> tuple[list[tuple[float, dict[str, Any]]], float | None]:
    """Return SendGrid's events for one email, and the time of the click, if any."""
    told: list[tuple[float, dict[str, Any]]] = []

    def tell(at: float, event: str, **more: Any) -> None:
        told.append(
            (
                at,
                {
                    "email": recipient.address,
                    "timestamp": start + int(at * TIME_LAPSE_FACTOR),
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
    tell(clicked, "click", url=f"{GIVING_PAGE_URL}?email_id={recipient.link_token}")
    return told, clicked


def _posts(
    chance: random.Random, events: list[tuple[float, dict[str, Any]]]
) -> Iterator[GivingDayStep]:
    """Yield events in webhook posts. Repeat some of the posts."""
    events = sorted(events, key=lambda event: event[0])
    for first in range(0, len(events), EVENTS_A_POST):
        batch = events[first : first + EVENTS_A_POST]
        at = batch[-1][0]
        payload = [event for _, event in batch]
        yield GivingDayStep(at, "events", payload)
        if chance.random() < REPEAT_SHARE:
            yield GivingDayStep(at + 1, "events", payload)


def _gift(
    chance: random.Random,
    number: int,
    recipient: DemoRecipient,
    fundraiser_id: str,
    *,
    clicked: float,
    start: int,
) -> list[GivingDayStep]:
    """Return a donation after a click. Most links keep their token; a few lose it on the way."""
    at = min(clicked + chance.uniform(0.2, 4), PLAYED_DAY_SECONDS)
    email_id = chance.choices(
        [recipient.link_token, "", "utm_source=newsletter"], weights=[75, 17, 8]
    )[0]
    gift = _donation(chance, f"demo-{number}", fundraiser_id, recipient.name, recipient.address)
    given = {"email_id": email_id, "donated_at": _time(start, at)}
    steps = [GivingDayStep(at, "gift", gift | given)]
    if chance.random() < REFUND_SHARE:
        steps.append(GivingDayStep(at + 2, "refund", gift["external_id"]))
    return steps


def _held_out_gift(
    chance: random.Random,
    number: int,
    recipient: DemoRecipient,
    fundraiser_id: str,
    start: int,
) -> list[GivingDayStep]:
    """Return the donation of a person who gives without the email, if there is one."""
    if chance.random() > HELD_OUT_GIVE_SHARE:
        return []
    gift = _donation(chance, f"demo-{number}", fundraiser_id, recipient.name, recipient.address)
    at = chance.uniform(5, PLAYED_DAY_SECONDS)
    return [GivingDayStep(at, "gift", gift | {"donated_at": _time(start, at)})]


def _stranger(chance: random.Random, number: int, fundraiser_id: str, start: int) -> GivingDayStep:
    """Return a donation by a person who received no email."""
    name, address = f"Guest {number}", f"guest{number}@example.org"
    gift = _donation(chance, f"demo-guest-{number}", fundraiser_id, name, address)
    at = chance.uniform(5, PLAYED_DAY_SECONDS)
    return GivingDayStep(at, "gift", gift | {"donated_at": _time(start, at)})


def _time(start: int, at: float) -> str:
    """Return the time of day for a second of the demo."""
    return datetime.fromtimestamp(start + int(at * TIME_LAPSE_FACTOR), UTC).isoformat()


def _donation(
    chance: random.Random, external_id: str, fundraiser_id: str, name: str, address: str
) -> dict[str, Any]:
    return {
        "fundraiser_id": fundraiser_id,
        "amount": chance.choice(GIFT_AMOUNTS_CENTS),
        "currency": "USD",
        "donor": {"name": name, "email": address},
        "external_id": external_id,
    }
