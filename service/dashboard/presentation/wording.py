"""The wording of figures, times and decisions. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from documents.values.money import display, larger, minor_units

NONE = "–"
RULES = {
    "pin": "Pinned by staff",
    "recurring": "Follows the first gift of its plan",
    "link_token": "The gift came by this email's own giving link",
    "email_id": "The gift named this email",
    "other_fundraiser": "The gift named an email of another fundraiser",
    "donor_address": "It was sent to the donor's address",
    "none": "No email fits",
}
TOUCHES = {
    "clicked": ", and clicked before the gift",
    "opened": ", and opened before the gift",
    "sent": ", within the window before the gift",
}
MATCHES = {"direct": "Direct", "indirect": "Indirect", "unresolved": "Unresolved"}
STATUSES = {
    "pending": "Pending",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "refunded": "Refunded",
    "disputed": "Disputed",
}
PROVIDERS = {"stripe": "Stripe", "payments": "Processor"}
EVENTS = {
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


def number(value: int | float | None) -> str:
    """12,345."""
    return NONE if value is None else f"{value:,}"


def percent(fraction: float | None) -> str:
    """12.3 %, of a fraction."""
    return NONE if fraction is None else f"{100 * fraction:,.1f} %"


def share(fraction: float | None) -> str:
    """The same of a part of a whole. One that is more than the whole lacks what it is measured by,
    such as notices of deliveries, and says nothing."""
    return percent(fraction) if fraction is not None and fraction <= 1 else NONE


def money(amount: int | float | None, currency: str) -> str:
    """Format money, as 1,234.56 USD. Round fractions of a minor unit, as in raised per email."""
    if amount is None:
        return NONE
    converted = larger(amount, currency)
    if isinstance(amount, int) or converted is None:
        return display(round(amount), currency)
    return f"{converted:,.{minor_units(currency)}f} {currency}"


def totals(amounts: Mapping[str, int | float]) -> list[str]:
    """Money by currency, each for itself."""
    return [money(amount, code) for code, amount in sorted(amounts.items())]


def units(amount: int, currency: str) -> str:
    """Format money without its currency, as 1234.56, for a cell that a sheet adds up."""
    decimals = minor_units(currency)
    if decimals is None:
        return f"{amount} minor units"
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{part:0{decimals}d}" if decimals else f"{sign}{whole}"


def moment(time: datetime | None, zone: ZoneInfo) -> str:
    """25 Nov 2026, 14:03, where the organization is."""
    return NONE if time is None else f"{time.astimezone(zone):%-d %b %Y, %H:%M}"


def whole_day(time: datetime, zone: ZoneInfo) -> str:
    """25 Nov 2026."""
    return f"{time.astimezone(zone):%-d %b %Y}"


def second(time: datetime, zone: ZoneInfo) -> str:
    """With the seconds, where several things happen within a minute."""
    return f"{time.astimezone(zone):%-d %b %Y, %H:%M:%S}"


def day(value: date) -> str:
    """25 Nov."""
    return f"{value:%-d %b}"


def iso(time: datetime) -> str:
    """For programs: the `datetime` of a time element."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def why(decision: Mapping[str, Any] | None) -> str:
    """Why a gift was tied to its email, in a sentence."""
    if not decision:
        return "Not decided yet"
    rule: str = decision["rule"]
    touch = decision.get("touch") if rule == "donor_address" else None
    return RULES.get(rule, rule) + TOUCHES.get(touch or "", "")
