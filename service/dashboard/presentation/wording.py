"""The wording of figures, times and decisions. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from documents.values.money import count_decimals, format_money_amount, to_major_units

NO_VALUE = "–"
RULE_SENTENCES = {
    "pin": "Pinned by staff",
    "recurring": "Follows the first gift of its plan",
    "link_token": "The gift came by this email's own giving link",
    "email_id": "The gift named this email",
    "other_fundraiser": "The gift named an email of another fundraiser",
    "donor_address": "It was sent to the donor's address",
    "none": "No email fits",
}
TOUCH_PHRASES = {
    "clicked": ", and clicked before the gift",
    "opened": ", and opened before the gift",
    "sent": ", within the window before the gift",
}
MATCH_LABELS = {
    "link": "By link",
    "address": "By address",
    "pinned": "Set by staff",
    "none": "No email",
}
STATUS_LABELS = {
    "pending": "Pending",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "refunded": "Refunded",
    "disputed": "Disputed",
}
PROVIDER_LABELS = {"stripe": "Stripe", "payments": "Processor"}
EVENT_LABELS = {
    "processed": "Taken by the mail provider",
    "deferred": "Deferred by the receiving server",
    "delivered": "Delivered",
    "bounce": "Bounced",
    "dropped": "Dropped",
    "open": "Opened",
    "click": "Clicked",
    "spamreport": "Reported as spam",
    "unsubscribe": "Unsubscribed",
    "group_unsubscribe": "Left a group of mailings",
    "group_resubscribe": "Joined a group of mailings again",
}


def format_number(value: int | float | None) -> str:
    """12,345."""
    return NO_VALUE if value is None else f"{value:,}"


def format_percent(fraction: float | None) -> str:
    """12.3 %, of a fraction."""
    return NO_VALUE if fraction is None else f"{100 * fraction:,.1f} %"


def format_share(fraction: float | None) -> str:
    """The same of a part of a whole. One that is more than the whole lacks what it is measured by,
    such as notices of deliveries, and says nothing."""
    return format_percent(fraction) if fraction is not None and fraction <= 1 else NO_VALUE


def format_money(amount: int | float | None, currency: str) -> str:
    """Format money, as 1,234.56 USD. Round fractions of a minor unit, as in raised per email."""
    if amount is None:
        return NO_VALUE
    converted = to_major_units(amount, currency)
    if isinstance(amount, int) or converted is None:
        return format_money_amount(round(amount), currency)
    return f"{converted:,.{count_decimals(currency)}f} {currency}"


def format_totals(amounts: Mapping[str, int | float]) -> list[str]:
    """Money by currency, each for itself."""
    return [format_money(amount, code) for code, amount in sorted(amounts.items())]


def format_amount(amount: int, currency: str) -> str:
    """Format money without its currency, as 1234.56, for a cell that a sheet adds up."""
    decimals = count_decimals(currency)
    if decimals is None:
        return f"{amount} minor units"
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{part:0{decimals}d}" if decimals else f"{sign}{whole}"


def format_minute(time: datetime | None, zone: ZoneInfo) -> str:
    """25 Nov 2026, 14:03, where the organization is."""
    return NO_VALUE if time is None else f"{time.astimezone(zone):%-d %b %Y, %H:%M}"


def format_date(time: datetime, zone: ZoneInfo) -> str:
    """25 Nov 2026."""
    return f"{time.astimezone(zone):%-d %b %Y}"


def format_second(time: datetime, zone: ZoneInfo) -> str:
    """With the seconds, where several things happen within a minute."""
    return f"{time.astimezone(zone):%-d %b %Y, %H:%M:%S}"


def format_day(value: date) -> str:
    """25 Nov."""
    return f"{value:%-d %b}"


def format_iso_time(time: datetime) -> str:
    """For programs: the `datetime` of a time element."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def explain_decision(decision: Mapping[str, Any] | None) -> str:
    """Why a gift was tied to its email, in a sentence."""
    if not decision:
        return "Not decided yet"
    rule: str = decision["rule"]
    touch = decision.get("touch") if rule == "donor_address" else None
    return RULE_SENTENCES.get(rule, rule) + TOUCH_PHRASES.get(touch or "", "")
