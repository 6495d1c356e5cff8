"""Arithmetic of reports. Pure."""

from collections.abc import Mapping

RATE_DECIMALS = 4


def compute_email_rates(funnel: Mapping[str, int]) -> dict[str, float | None]:
    """Return the rates of emails as ratios, or None if the denominator is zero.

    Delivery is a share of emails sent. Open, click and conversion (emails that led to a gift) are
    shares of emails delivered. Click to open is a share of emails opened. A click implies
    an open, so it is at most 1. Only people's opens and clicks count.
    """
    return {
        "delivery": ratio(funnel["delivered"], funnel["sent"]),
        "open": ratio(funnel["opened"], funnel["delivered"]),
        "click": ratio(funnel["clicked"], funnel["delivered"]),
        "click_to_open": ratio(funnel["clicked"], funnel["opened"]),
        "conversion": ratio(funnel["donated"], funnel["delivered"]),
    }


def compute_giving_rates(funnel: Mapping[str, int], matched: int) -> dict[str, float | None]:
    """Return the rates of giving as ratios, or None if the denominator is zero.

    Response is the number of gifts through emails, divided by emails sent. Click to gift is the
    share of clicked emails that led to a gift.

    Args:
        matched: number of gifts that an email led to.
    """
    return {
        "response": ratio(matched, funnel["sent"]),
        "click_to_gift": ratio(funnel["donated"], funnel["clicked"]),
    }


def ratio(part: int, whole: int) -> float | None:
    """Return the ratio rounded to four decimals, or None if the denominator is zero."""
    return round(part / whole, RATE_DECIMALS) if whole else None


def average(amount: int, count: int) -> int:
    """Return the average in whole minor units, with halves rounded up.

    Integer arithmetic is necessary, because a float cannot represent every amount.
    """
    return (2 * amount + count) // (2 * count)


def drop_zero_totals(totals: Mapping[str, int]) -> dict[str, int]:
    """Return the totals without currencies whose total is zero."""
    return {code: amount for code, amount in sorted(totals.items()) if amount}
