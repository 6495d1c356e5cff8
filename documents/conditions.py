"""Conditions and amounts of the counters. Pure functions of a gift's or email's stored row."""

from functools import cache
from typing import Any

from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow


def is_counted(gift: DonationRow) -> bool:
    """Return whether the gift's money was taken and not refunded in full."""
    return bool(gift["status"] == "succeeded")


def is_money_taken(gift: DonationRow) -> bool:
    """Return whether a refund of the gift returned money to the donor."""
    return gift["status"] in ("succeeded", "refunded")


MATCHABLE_STATUSES = ["succeeded", "refunded", "disputed"]


def is_matchable(gift: DonationRow) -> bool:
    """Return whether the gift can have an email: its money was taken, even if refunded later."""
    return gift["status"] in MATCHABLE_STATUSES


def is_instalment(gift: DonationRow) -> bool:
    """Return whether the gift belongs to a plan and counts."""
    return bool(gift.get("recurring_id")) and is_counted(gift)


def is_first_instalment(gift: DonationRow) -> bool:
    """Return whether the gift is the first instalment of its plan and counts."""
    return is_instalment(gift) and not gift.get("follows")


def has_delay(gift: DonationRow) -> bool:
    """Return whether the gift counts, and the time from its email is known."""
    return bool(gift.get("delay")) and is_counted(gift)


def delay_key(gift: DonationRow) -> str:
    return gift.get("delay") or ""


def net_amount(gift: DonationRow) -> int:
    """Return the gift's amount after refunds, in minor units."""
    left: int = gift["amount"] - gift.get("refunded_amount", 0)
    return left


def refunded_amount_of(gift: DonationRow) -> int:
    amount: int = gift.get("refunded_amount", 0)
    return amount


def currency_of_gift(gift: DonationRow) -> str:
    code: str = gift["currency"]
    return code


def match_count_key(gift: DonationRow) -> str:
    return f"{gift['match']}.count"


def match_raised_key(gift: DonationRow) -> str:
    return f"{gift['match']}.raised.{gift['currency']}"


EMAIL_EFFECT_FIELDS = (
    *("deferred_at", "delivered_at", "bounced_at", "opens", "machine_opens", "clicks"),
    *("machine_clicks", "unsubscribed_at", "spam_reported_at"),
)


def is_mailed(email: EmailRow) -> bool:
    """Return whether the email is not held out. A held-out email counts for its arm only."""
    return not email.get("held_out")


def is_sent(email: EmailRow) -> bool:
    """Return whether the email was sent, by its `sent_at` or by any effect of sending."""
    return bool(email.get("sent_at")) or any(email.get(name) for name in EMAIL_EFFECT_FIELDS)


def is_in_experiment(email: EmailRow) -> bool:
    """Return whether the email has an arm of an experiment."""
    return bool(email.get("arm_id"))


def read_credited(email: EmailRow) -> dict[str, int]:
    """Return the money of an email with an arm, by currency."""
    return email.get("raised", {}) if is_in_experiment(email) else {}


def window_end_key(email: EmailRow) -> str:
    """Return the UTC day on which the window of an email with an arm ends, as 2026-12-20."""
    return email["outcome_until"].date().isoformat()


@cache
def both(one: Any, other: Any) -> Any:
    """Return the condition that both conditions hold."""
    return lambda row: one(row) and other(row)


@cache  # The engine compares conditions by identity to see that two counters count the same rows.
def has_value(field: str) -> Any:
    """Return a condition that is true if the field is set and not zero."""
    return lambda row: bool(row.get(field))


@cache
def amount_of(field: str) -> Any:
    return lambda row: row.get(field) or 0


def is_opened(email: EmailRow) -> bool:
    """Return whether a person opened the email. A click implies an open.

    Mail programs that block images report no open.
    """
    return bool(email.get("opens") or email.get("clicks"))


def is_unsubscribed(email: EmailRow) -> bool:
    """Return whether the user has left all emails, or a group that the user has not rejoined."""
    left, back = email.get("left", {}), email.get("back", {})
    return any(group not in back or back[group] < at for group, at in left.items())


def is_deferred(email: EmailRow) -> bool:
    """Return whether the receiving server deferred the email, without a final result yet."""
    ends = ("delivered_at", "bounced_at", "dropped_at")
    return bool(email.get("deferred_at")) and not any(email.get(name) for name in ends)


SUMMED_EMAIL_FIELDS = ("opens", "machine_opens", "clicks", "machine_clicks", "unknown_events")
# The conditions only test whether these fields are set and not zero.
TESTED_EMAIL_FIELDS = (
    *("sent_at", "deferred_at", "delivered_at", "bounced_at", "blocked_at", "dropped_at"),
    *("unsubscribed_at", "spam_reported_at", "donations_count"),
)


def has_known_segments(email: EmailRow) -> bool:
    """Return whether the email has a list of segments, maybe an empty one.

    Emails of earlier versions have none until their migration, which also counts their gifts.
    """
    return email.get("segment_ids") is not None


def gifts_of_email(email: EmailRow) -> dict[str, int]:
    """Return the number of the email's gifts, and their money by currency, net of refunds."""
    if not (count := email.get("donations_count")):
        return {}
    raised = email.get("raised") or {}
    return {"count": count} | {f"raised.{code}": amount for code, amount in raised.items()}


def sign_email(email: EmailRow) -> tuple[Any, ...]:
    """Return the values that decide what the email counts. Emails with equal values count equally.

    `unsubscribed_at` alone does not show whether the user has rejoined, so the condition is a part.
    """
    return (
        is_unsubscribed(email),
        bool(email.get("held_out")),
        *_sign_arm(email),
        *map(bool, map(email.get, TESTED_EMAIL_FIELDS)),
        *map(email.get, SUMMED_EMAIL_FIELDS),
    )


def _sign_arm(email: EmailRow) -> tuple[Any, ...]:
    if not is_in_experiment(email):
        return (False,)
    return (window_end_key(email),)
