"""Conditions and amounts of the counters: what a gift or an email counts as. Pure."""

from functools import cache
from typing import Any

from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow


def counts(gift: DonationRow) -> bool:
    """Only money that was taken, and not all given back, counts."""
    return bool(gift["status"] == "succeeded")


def was_taken(gift: DonationRow) -> bool:
    """Whether a refund of it gave real money back."""
    return gift["status"] in ("succeeded", "refunded")


MATCHED_STATUSES = ["succeeded", "refunded", "disputed"]


def is_matched(gift: DonationRow) -> bool:
    """Whether it is to be tied to an email: its money was taken once, whatever came of it."""
    return gift["status"] in MATCHED_STATUSES


def is_instalment(gift: DonationRow) -> bool:
    """Of a plan, and it counts."""
    return bool(gift.get("recurring_id")) and counts(gift)


def is_first(gift: DonationRow) -> bool:
    """The first instalment of a plan, and it counts."""
    return is_instalment(gift) and not gift.get("follows")


def net(gift: DonationRow) -> int:
    """What is left of a gift after refunds."""
    left: int = gift["amount"] - gift.get("refunded_amount", 0)
    return left


def refunded(gift: DonationRow) -> int:
    amount: int = gift.get("refunded_amount", 0)
    return amount


def currency(gift: DonationRow) -> str:
    code: str = gift["currency"]
    return code


def match_count(gift: DonationRow) -> str:
    return f"{gift['match']}.count"


def match_raised(gift: DonationRow) -> str:
    return f"{gift['match']}.raised.{gift['currency']}"


EFFECTS = (
    *("deferred_at", "delivered_at", "bounced_at", "opens", "machine_opens", "clicks"),
    *("machine_clicks", "unsubscribed_at", "spam_reported_at"),
)


def was_sent(email: EmailRow) -> bool:
    """Sent as its client says, or as its effects show."""
    return bool(email.get("sent_at")) or any(email.get(name) for name in EFFECTS)


@cache  # one object a field, by which the engine sees that two counters count the same
def has(field: str) -> Any:
    """A condition: the time is known, or the number is not zero."""
    return lambda row: bool(row.get(field))


@cache
def amount_of(field: str) -> Any:
    return lambda row: row.get(field) or 0


def is_unsubscribed(email: EmailRow) -> bool:
    """Left everything, or a group that was not joined again since."""
    left, back = email.get("left", {}), email.get("back", {})
    return any(group not in back or back[group] < at for group, at in left.items())


def is_waiting(email: EmailRow) -> bool:
    """Put off by the receiving server, and neither taken nor refused since."""
    ends = ("delivered_at", "bounced_at", "dropped_at")
    return bool(email.get("deferred_at")) and not any(email.get(name) for name in ends)
