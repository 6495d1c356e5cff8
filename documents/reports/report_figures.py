"""Figures of reports from the counters of a fundraiser or mailing. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args
from zoneinfo import ZoneInfo

from documents.fundraiser import Fundraiser
from documents.gift_day import read_gift_day
from documents.mailing import Mailing
from documents.matching.rules import MatchKind
from documents.reports.figures import ByTime, Delays, Figures, MailingLine, MatchClass, Recurring
from documents.reports.gift_times import UtcDay, sum_by_local_time
from documents.rows.donation import GiftDayRow
from documents.storage.former_match import add_former_counters
from documents.values.delays import BEFORE_EMAIL_KEY, DELAY_HOURS, MORE_HOURS_KEY
from documents.values.rates import (
    average,
    compute_email_rates,
    compute_giving_rates,
    drop_zero_totals,
    ratio,
)

MATCH_CLASSES: tuple[MatchKind, ...] = get_args(MatchKind)
REPORTED_FUNNEL_FIELDS = (
    "sent delivered bounced dropped opened opens machine_opens clicked clicks unsubscribed "
    "spam_reported donated"
).split()
SOON_HOURS = 48
MAX_SHOWN_DAYS = 31
# A local day spans two UTC days, so the first and the last local day can be incomplete.
MAX_READ_UTC_DAYS = MAX_SHOWN_DAYS + 2


def build_mailing_line(mailing: Mailing, cost: Mapping[str, int]) -> MailingLine:
    """Return a mailing's line in the report of its fundraiser."""
    return {
        "id": mailing.id,
        "name": mailing.name,
        "sent_at": mailing.sent_at,
        **build_figures(mailing, cost),
    }


def build_delays(counts: Mapping[str, int]) -> Delays:
    """Return the gifts by time after their email.

    Args:
        counts: gifts by class; see documents/values/delays.py.
    """
    limits: list[int | None] = [*DELAY_HOURS, None]
    by_limit = {limit: counts.get(str(limit or MORE_HOURS_KEY), 0) for limit in limits}
    soon = sum(number for limit, number in by_limit.items() if limit and limit <= SOON_HOURS)
    before = counts.get(BEFORE_EMAIL_KEY, 0)
    return {
        "classes": [{"below_hours": limit, "count": number} for limit, number in by_limit.items()],
        "before_email": before,
        "within_48_hours": ratio(soon, sum(by_limit.values()) + before),
    }


def build_times(rows: Iterable[GiftDayRow], zone: ZoneInfo) -> ByTime:
    """Return the latest gifts by day and hour in a time zone.

    Args:
        rows: the latest gift days, at most MAX_READ_UTC_DAYS.
    """
    utc_days = [
        UtcDay(read_gift_day(row["_id"]), row.get("gifts", {}), row.get("raised", {}))
        for row in rows
    ]
    is_cut = len(utc_days) == MAX_READ_UTC_DAYS
    days, hours = sum_by_local_time(utc_days, zone, MAX_SHOWN_DAYS, is_cut=is_cut)
    return {"time_zone": zone.key, "by_day": days, "by_hour": hours}


def build_figures(tallied: Fundraiser | Mailing, cost: Mapping[str, int]) -> Figures:
    """Return the figures of the counters.

    Args:
        cost: amounts by currency.
    """
    counters = tallied.funnel
    funnel = {name: counters.get(name, 0) for name in REPORTED_FUNNEL_FIELDS}
    raised = drop_zero_totals(tallied.raised)
    return {
        "emails": funnel,
        "delivery": {name: counters.get(name, 0) for name in ("deferred", "blocked")},
        "machines": {name: counters.get(f"machine_{name}", 0) for name in ("opens", "clicks")},
        "unknown_events": counters.get("unknown_events", 0),
        "donations": {
            "count": tallied.donations_count,
            "donors": tallied.donors,
            "raised": raised,
            "refunded": drop_zero_totals(tallied.refunded),
            "average": {
                code: average(amount, tallied.gifts[code])
                for code, amount in raised.items()
                # The count is missing only if a counter is incorrect. The report must still work,
                # because the recount finds such counters.
                if tallied.gifts.get(code, 0) > 0
            },
            "by_match": {
                name: _match_class(add_former_counters(tallied.by_match, name))
                for name in MATCH_CLASSES
            },
        },
        "recurring": _recurring(tallied.recurring),
        "rates": compute_email_rates(funnel),
        "giving_rates": compute_giving_rates(funnel, _matched(tallied)),
        "raised_per_email": {
            code: ratio(amount, funnel["sent"]) for code, amount in raised.items() if funnel["sent"]
        },
        "cost_per_unit_raised": {
            code: ratio(amount, raised[code])
            for code, amount in drop_zero_totals(cost).items()
            if code in raised
        },
    }


def _match_class(counters: Mapping[str, Any]) -> MatchClass:
    return {
        "count": counters.get("count", 0),
        "raised": drop_zero_totals(counters.get("raised", {})),
    }


def _recurring(counters: Mapping[str, Any]) -> Recurring:
    return {
        "plans": counters.get("plans", 0),
        "first_gift": drop_zero_totals(counters.get("first_gift", {})),
        "lifetime": drop_zero_totals(counters.get("lifetime", {})),
    }


def _matched(tallied: Fundraiser | Mailing) -> int:
    """Return the number of gifts that match an email."""
    return sum(
        add_former_counters(tallied.by_match, name)["count"]
        for name in MATCH_CLASSES
        if name != "none"
    )
