"""Conditions and amounts of the counters: what a gift or an email counts as. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from matchback.engine import Row


def counts(gift: Mapping[str, Any]) -> bool:
    """Only money that was taken, and not all given back, counts."""
    return bool(gift["status"] == "succeeded")


def was_taken(gift: Row) -> bool:
    """Whether a refund of it gave real money back."""
    return gift["status"] in ("succeeded", "refunded")


MATCHED_STATUSES = ["succeeded", "refunded", "disputed"]


def is_matched(gift: Mapping[str, Any]) -> bool:
    """Whether it is to be tied to an email: its money was taken once, whatever came of it."""
    return gift["status"] in MATCHED_STATUSES


def is_instalment(gift: Row) -> bool:
    """Of a plan, and it counts."""
    return bool(gift.get("recurring_id")) and counts(gift)


def is_first(gift: Row) -> bool:
    """The first instalment of a plan, and it counts."""
    return is_instalment(gift) and not gift.get("follows")


def net(gift: Mapping[str, Any]) -> int:
    """What is left of a gift after refunds."""
    left: int = gift["amount"] - gift.get("refunded_amount", 0)
    return left


def refunded(gift: Row) -> int:
    amount: int = gift.get("refunded_amount", 0)
    return amount


def currency(gift: Row) -> str:
    code: str = gift["currency"]
    return code


def match_count(gift: Row) -> str:
    return f"{gift['match']}.count"


def match_raised(gift: Row) -> str:
    return f"{gift['match']}.raised.{gift['currency']}"


EFFECTS = (
    *("deferred_at", "delivered_at", "bounced_at", "opens", "machine_opens", "clicks"),
    *("machine_clicks", "unsubscribed_at", "spam_reported_at"),
)


def was_sent(email: Row) -> bool:
    """Sent as its client says, or as its effects show."""
    return bool(email.get("sent_at")) or any(email.get(name) for name in EFFECTS)


@cache  # one object a field, by which the engine sees that two counters count the same
def has(field: str) -> Any:
    """A condition: the time is known, or the number is not zero."""
    return lambda row: bool(row.get(field))


@cache
def amount_of(field: str) -> Any:
    return lambda row: row.get(field) or 0


def is_unsubscribed(email: Row) -> bool:
    """Left everything, or a group that was not joined again since."""
    left, back = email.get("left", {}), email.get("back", {})
    return any(group not in back or back[group] < at for group, at in left.items())


def is_waiting(email: Row) -> bool:
    """Put off by the receiving server, and neither taken nor refused since."""
    ends = ("delivered_at", "bounced_at", "dropped_at")
    return bool(email.get("deferred_at")) and not any(email.get(name) for name in ends)
