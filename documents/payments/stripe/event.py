"""The envelope of a Stripe event: its type, time, mode and API version. Pure.

Source: https://docs.stripe.com/api/events/object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from documents.errors import Unusable
from documents.values.stripe_values import read_unix_seconds

BASIL_API_VERSION = "2025-03-31"
MAX_API_VERSION_LENGTH = 100


@dataclass(frozen=True)
class StripeEvent:
    """An event as its envelope states it.

    at: Unix seconds.
    thing: the object that the event is a snapshot of.
    is_basil: whether the webhook endpoint's API version is 2025-03-31 (basil) or later.
    is_live: False for an object of Stripe's test mode or of a sandbox.
    """

    type: str
    at: float
    thing: Mapping[str, Any]
    is_basil: bool
    is_live: bool


def open_event(event: Any) -> StripeEvent:
    """Return the parts of an event.

    Raises:
        Unusable: it is not an event, or its mode is not a boolean.
    """
    if not isinstance(event, Mapping) or event.get("object") != "event":
        raise Unusable("this is no event of Stripe's")
    data, created, type_ = event.get("data"), event.get("created"), event.get("type")
    thing = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(thing, Mapping) or not isinstance(type_, str):
        raise Unusable("the event has no object")
    if (at := read_unix_seconds(created)) is None:
        raise Unusable("the event has no time")
    return StripeEvent(type_, at, thing, _is_basil(event), _is_live(event, thing))


def _is_basil(event: Mapping[str, Any]) -> bool:
    version = event.get("api_version")
    return isinstance(version, str) and version[:MAX_API_VERSION_LENGTH] >= BASIL_API_VERSION


def _is_live(event: Mapping[str, Any], thing: Mapping[str, Any]) -> bool:
    """The event's mode, or its object's. Stripe states both, so an event without is taken as live;
    a mode that is neither true nor false is not."""
    modes = [one.get("livemode") for one in (event, thing)]
    stated = [mode for mode in modes if mode is not None]
    if not all(isinstance(mode, bool) for mode in stated):
        raise Unusable("the event's livemode is neither true nor false")
    return all(stated)
