"""The verdict of an experiment as one plain sentence, for the API and the dashboard. Pure."""

import math
from collections.abc import Callable
from zoneinfo import ZoneInfo

from documents.experiments.verdict import VerdictKind
from documents.reports.experiment_figures import VerdictFigures
from documents.values.money import count_decimals
from service.dashboard.presentation.formats import Formats, formats_of
from service.dashboard.presentation.language import language_of, marked

QUOTED = marked("“%(name)s”")
NOT_STARTED = marked("Not started: each arm needs recipients.")
# By figure, and by whether the baseline is a holdout.
CAUSED = {
    ("raised", False): marked(
        "%(arm)s raised between %(low)s and %(high)s more than %(baseline)s would have from the "
        "same recipients."
    ),
    ("response", True): marked(
        "%(arm)s brought between %(low)s and %(high)s givers who would not have given otherwise."
    ),
    ("response", False): marked(
        "%(arm)s brought between %(low)s and %(high)s more givers than %(baseline)s would have "
        "from the same recipients."
    ),
}
CAUSED_PART = marked(
    "%(arm)s caused between %(low)s and %(high)s of the %(credited)s credited to it."
)
CAUSED_BESIDE = marked(
    "%(arm)s caused between %(low)s and %(high)s. %(credited)s is credited to it."
)
AGAINST = {
    ("raised", True): marked(
        "%(arm)s worked against itself: its recipients gave between %(low)s and %(high)s less than "
        "without it, although %(credited)s is credited to it."
    ),
    ("raised", False): marked(
        "%(arm)s raised between %(low)s and %(high)s less than %(baseline)s would have from the "
        "same recipients."
    ),
    ("response", True): marked(
        "%(arm)s worked against itself: it cost between %(low)s and %(high)s givers."
    ),
    ("response", False): marked(
        "%(arm)s brought between %(low)s and %(high)s fewer givers than %(baseline)s would have "
        "from the same recipients."
    ),
}
OPPOSITE = marked("It had the opposite effect on gifts in %(currencies)s.")
NO_DIFFERENCE = marked(
    "The response rates of %(arm)s and %(baseline)s differ by at most %(points)s percentage points."
)


def write_verdict(verdict: VerdictFigures, formats: Formats) -> str:
    """Return the sentence about an arm."""
    said = formats.language.gettext
    if verdict["kind"] == VerdictKind.NOT_STARTED:
        return said(NOT_STARTED)
    if verdict["kind"] == VerdictKind.TOO_EARLY:
        return _write_too_early(verdict, formats)
    if verdict["kind"] == VerdictKind.NO_DIFFERENCE:
        largest = math.ceil((verdict["largest_difference"] or 0) * 10_000) / 100
        return said(NO_DIFFERENCE) % {
            **_name_arms(verdict, formats),
            "points": formats.number(largest),
        }
    return _write_effect(verdict, formats)


def _write_too_early(verdict: VerdictFigures, formats: Formats) -> str:
    """`smallest_difference` is always one point."""
    said = formats.language.gettext
    more, open_ = verdict["more_recipients"] or 0, verdict["open_recipients"] or 0
    if more:
        return said(
            "Too early to tell: about %(number)s more recipients are needed to see a difference "
            "of one percentage point."
        ) % {"number": formats.number(_round_up(more))}
    return formats.language.ngettext(
        "Too early to tell: %(number)s recipient can still give.",
        "Too early to tell: %(number)s recipients can still give.",
        open_,
    ) % {"number": formats.number(open_)}


def _write_effect(verdict: VerdictFigures, formats: Formats) -> str:
    low, high = sorted(abs(end or 0) for end in (verdict["low"], verdict["high"]))
    values = {
        **_name_arms(verdict, formats),
        "low": _show(low, verdict, formats, math.floor),
        "high": _show(high, verdict, formats, math.ceil),
        "credited": _show(verdict["credited"] or 0, verdict, formats, round),
    }
    sentence = formats.language.gettext(_choose_sentence(verdict, high)) % values
    if verdict["opposite_currencies"]:
        codes = ", ".join(verdict["opposite_currencies"])
        sentence += " " + formats.language.gettext(OPPOSITE) % {"currencies": codes}
    return sentence


def _choose_sentence(verdict: VerdictFigures, high: float) -> str:
    figure = verdict["figure"] or "response"
    key = (figure, verdict["has_holdout"])
    if verdict["kind"] == VerdictKind.AGAINST:
        return AGAINST[key]
    if key != ("raised", True):
        return CAUSED[key]
    return CAUSED_PART if high <= (verdict["credited"] or 0) else CAUSED_BESIDE


def _name_arms(verdict: VerdictFigures, formats: Formats) -> dict[str, str]:
    quoted = formats.language.gettext(QUOTED)
    return {
        "arm": quoted % {"name": verdict["arm"]},
        "baseline": quoted % {"name": verdict["baseline"]},
    }


def _show(
    amount: float, verdict: VerdictFigures, formats: Formats, fit: Callable[[float], int]
) -> str:
    """Format givers, or money in whole major units: the lower end down, the upper end up."""
    code = verdict["currency"]
    if code is None:
        return formats.number(fit(amount))
    unit = 10 ** (count_decimals(code) or 0)
    return formats.short_money(fit(amount / unit) * unit, code)


def _round_up(number: int) -> int:
    """Round up to two digits, because the plan is an estimate."""
    step: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // step) * step


def write_english_verdict(verdict: VerdictFigures) -> str:
    """Return the sentence for clients of the API."""
    return write_verdict(verdict, formats_of(language_of("en-US"), ZoneInfo("UTC")))
