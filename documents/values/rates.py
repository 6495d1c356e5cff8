"""The arithmetic of reports. Pure."""

from collections.abc import Mapping

RATE_DECIMALS = 4


def compute_email_rates(funnel: Mapping[str, int]) -> dict[str, float | None]:
    """Each as a fraction, or None with nothing below the line. Opens and clicks are people's.

    Delivery is of emails sent; open, click and conversion (emails that led to a gift) are of
    emails delivered; click to open is of emails opened.
    """
    return {
        "delivery": ratio(funnel["delivered"], funnel["sent"]),
        "open": ratio(funnel["opened"], funnel["delivered"]),
        "click": ratio(funnel["clicked"], funnel["delivered"]),
        "click_to_open": ratio(funnel["clicked"], funnel["opened"]),
        "conversion": ratio(funnel["donated"], funnel["delivered"]),
    }


def compute_giving_rates(funnel: Mapping[str, int], matched: int) -> dict[str, float | None]:
    """Response: gifts that an email led to, of emails sent. Click to gift: emails that led to a
    gift, of emails that a person clicked. None with nothing below the line.

    Args:
        matched: how many gifts an email led to.
    """
    return {
        "response": ratio(matched, funnel["sent"]),
        "click_to_gift": ratio(funnel["donated"], funnel["clicked"]),
    }


def ratio(part: int, whole: int) -> float | None:
    """To four decimals; None of nothing."""
    return round(part / whole, RATE_DECIMALS) if whole else None


def average(amount: int, count: int) -> int:
    """To the nearest minor unit, halves up; in integers, for a float cannot hold every amount."""
    return (2 * amount + count) // (2 * count)


def drop_zero_totals(totals: Mapping[str, int]) -> dict[str, int]:
    """Totals without the currencies of which nothing is left."""
    return {code: amount for code, amount in sorted(totals.items()) if amount}
