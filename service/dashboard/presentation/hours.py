"""The histogram of hours from an email to its gifts. Pure."""

from dataclasses import dataclass

from documents.reports.figures import Delays
from service.dashboard.presentation.formats import Formats

LAST_LIMIT_IN_HOURS = 72  # classes above have their limits in days
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class HourRow:
    """A class of gifts. `share`: part of all gifts. `length`: part of the largest class."""

    label: str
    count: int
    share: float
    length: float


def list_hour_rows(delays: Delays, formats: Formats) -> list[HourRow]:
    """Return the classes in order; an empty list without gifts.

    Gifts before their email come first, because they are the earliest.
    """
    said, low = formats.language.gettext, 0
    counts: list[tuple[str, int]] = []
    if delays["before_email"]:
        counts.append((said("Before the email"), delays["before_email"]))
    for one in delays["classes"]:
        counts.append((_label(low, one["below_hours"], formats), one["count"]))
        low = one["below_hours"] or low
    total, most = sum(count for _, count in counts), max(count for _, count in counts)
    return [
        HourRow(label, count, count / total, max(count, 0) / most)
        for label, count in counts
        if most > 0 and total > 0
    ]


def _label(low: int, high: int | None, formats: Formats) -> str:
    said, number = formats.language.gettext, formats.number
    if high is None:
        return said("%(low)s days or more") % {"low": number(low // HOURS_PER_DAY)}
    if low == 0:
        return said("Less than 1 hour")
    if high <= LAST_LIMIT_IN_HOURS:
        return said("%(low)s to %(high)s hours") % {"low": number(low), "high": number(high)}
    days = {"low": number(low // HOURS_PER_DAY), "high": number(high // HOURS_PER_DAY)}
    return said("%(low)s to %(high)s days") % days
