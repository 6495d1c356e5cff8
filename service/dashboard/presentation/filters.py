"""The filters of templates, which follow the page's language and formats."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from documents.values.donation_state import ANONYMOUS_DONOR_NAME
from service.dashboard.presentation import stored_reasons, wording
from service.dashboard.presentation.formats import NONE, Formats, iso
from service.dashboard.presentation.language import Language, marked

LONGEST_SHOWN = 60  # characters of a name in a table
NO_NAME = marked("Anonymous")


@pass_context
def gettext(context: Context, message: str) -> str:
    language: Language = context["language"]
    return language.gettext(message)


@pass_context
def ngettext(context: Context, one: str, many: str, number: int) -> str:
    language: Language = context["language"]
    return language.ngettext(one, many, number)


@pass_context
def number(context: Context, value: Any) -> str:
    return _formats(context).number(value)


@pass_context
def percent(context: Context, value: Any) -> str:
    return _formats(context).percent(value)


@pass_context
def share(context: Context, value: Any) -> str:
    return _formats(context).share(value)


@pass_context
def money(context: Context, amount: Any, currency: str) -> str:
    return _formats(context).money(amount, currency)


@pass_context
def duration(context: Context, seconds: float) -> str:
    return _formats(context).duration(seconds)


@pass_context
def whole_day(context: Context, time: Any) -> Markup | str:
    return _time(time, _formats(context).whole_day(time)) if time else NONE


@pass_context
def moment(context: Context, time: Any) -> Markup | str:
    return _time(time, _formats(context).moment(time)) if time else NONE


@pass_context
def second(context: Context, time: Any) -> Markup:
    return _time(time, _formats(context).second(time))


@pass_context
def local_input(context: Context, time: datetime) -> str:
    """Format a time for an input of type datetime-local: without its offset."""
    local = time.astimezone(_formats(context).zone).replace(tzinfo=None)
    has_minute_only = not (local.second or local.microsecond)
    return local.isoformat(timespec="minutes" if has_minute_only else "milliseconds")


def _time(time: Any, said: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(iso(time), said)


@pass_context
def totals(context: Context, amounts: Any) -> Markup | str:
    """Put each currency on a line of its own."""
    lines = _formats(context).totals(amounts)
    joined = Markup("<br>").join(escape(line) for line in lines)
    return Markup('<span class="lines">{}</span>').format(joined) if lines else NONE


@pass_context
def why(context: Context, decision: Any) -> str:
    return gettext(context, wording.explain_decision(decision))


@pass_context
def reason(context: Context, reason: str) -> str:
    return gettext(context, stored_reasons.reason_label(reason))


@pass_context
def donor(context: Context, name: str) -> str:
    return gettext(context, NO_NAME) if name == ANONYMOUS_DONOR_NAME else short(name)


def _formats(context: Context) -> Formats:
    formats: Formats = context["formats"]
    return formats


def short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def code(text: str) -> Markup:
    """Mark up a command or a header, which no language translates."""
    return Markup("<code>{}</code>").format(text)


def with_code(text: str) -> Markup:
    """Mark up the parts between backticks as code."""
    parts = [
        code(part) if index % 2 else escape(part) for index, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "percent": percent,
    "share": share,
    "money": money,
    "duration": duration,
    "whole_day": whole_day,
    "moment": moment,
    "second": second,
    "local_input": local_input,
    "totals": totals,
    "why": why,
    "reason": reason,
    "donor": donor,
    "short": short,
    "with_code": with_code,
}
