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
    """The envelope of an event.

    Attributes:
        type: the type of the event, such as "charge.captured".
        at: the time of the event in Unix seconds.
        thing: the snapshot of the object in the event.
        is_basil: whether the webhook endpoint's API version is 2025-03-31 (basil) or later.
        is_live: False for an object from Stripe's test mode or a sandbox.
    """

    type: str
    at: float
    thing: Mapping[str, Any]
    is_basil: bool
    is_live: bool


def open_event(event: Any) -> StripeEvent:
    """Return the parts of an event.

    Raises:
        Unusable: the input is not a valid event, or its mode is not a boolean.
    """
    if not isinstance(event, Mapping) or event.get("object") != "event":
        raise Unusable("Not a valid Stripe event.")
    data, created, type_ = event.get("data"), event.get("created"), event.get("type")
    thing = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(thing, Mapping) or not isinstance(type_, str):
        raise Unusable("The event must have an object and a type.")
    if (at := read_unix_seconds(created)) is None:
        raise Unusable("The event must have a valid time (created).")
    return StripeEvent(type_, at, thing, _is_basil(event), _is_live(event, thing))


def _is_basil(event: Mapping[str, Any]) -> bool:
    version = event.get("api_version")
    return isinstance(version, str) and version[:MAX_API_VERSION_LENGTH] >= BASIL_API_VERSION


def _is_live(event: Mapping[str, Any], thing: Mapping[str, Any]) -> bool:
    """Return whether the event and its object are live. An event without a mode counts as live.

    Raises:
        Unusable: the mode is neither true nor false.
    """
    modes = [one.get("livemode") for one in (event, thing)]
    stated = [mode for mode in modes if mode is not None]
    if not all(isinstance(mode, bool) for mode in stated):
        raise Unusable("livemode must be true or false.")
    return all(stated)
