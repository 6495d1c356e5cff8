"""Reports of fundraisers and mailings. Their cost does not depend on the number of gifts."""

from collections.abc import Mapping
from typing import Any, get_args

from documents.event import UNMATCHED_FILTER, Event
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.mailing import Mailing
from documents.matching.rules import MatchKind
from documents.organization import Organization
from documents.reports.figures import (
    ByTime,
    Figures,
    MailingLine,
    MatchClass,
    Recurring,
    Report,
)
from documents.reports.funnel_fields import REPORTED_FUNNEL_FIELDS
from documents.reports.gift_times import UtcDay, sum_by_local_time
from documents.reports.segments import build_segment_table
from documents.reports.unsettled import read_unsettled
from documents.storage.former_match import add_former_counters
from documents.values.rates import (
    average,
    compute_email_rates,
    compute_giving_rates,
    drop_zero_totals,
    ratio,
)
from documents.values.time import now

MATCH_CLASSES: tuple[MatchKind, ...] = get_args(MatchKind)
MAX_LISTED_MAILINGS = 200
MAX_COUNTED_UNMATCHED = 10_000  # limits the cost of a report when many events are unmatched
MAX_SHOWN_DAYS = 31
# A local day spans two UTC days, so the first and the last local day can be incomplete.
MAX_READ_UTC_DAYS = MAX_SHOWN_DAYS + 2


def build_fundraiser_report(
    fundraiser: Fundraiser, listed: int = MAX_LISTED_MAILINGS, by: str | None = None
) -> Report:
    """Build the report of a fundraiser and of at most `listed` of its latest mailings.

    Args:
        by: the attribute by whose values the report also shows figures.
    """
    # Read due records before the figures. Otherwise the report could show that nothing is due, but
    # contain figures from before the last records were counted.
    as_of, unsettled = now(), read_unsettled(fundraiser, fundraiser.id)
    fundraiser = Fundraiser.fetch(fundraiser.organization_id, fundraiser.id)
    mailings = Mailing.live(fundraiser.organization_id, fundraiser_id=fundraiser.id)
    latest = mailings.order_by("-id").limit(listed)
    return {
        "as_of": as_of,
        "unsettled": unsettled,
        **_figures(fundraiser, fundraiser.cost),
        **_by_time(fundraiser, "fundraiser"),
        "unmatched_events": _unmatched(fundraiser, "fundraiser_id"),
        "mailings": [_line(mailing) for mailing in latest],
        "segments": build_segment_table(fundraiser, by) if by else None,
    }


def build_mailing_report(mailing: Mailing, by: str | None = None) -> Report:
    """Build the report of a mailing. `by`: see `build_fundraiser_report`."""
    as_of, unsettled = now(), read_unsettled(mailing, mailing.fundraiser_id)
    mailing = Mailing.fetch(mailing.organization_id, mailing.id)
    return {
        "as_of": as_of,
        "unsettled": unsettled,
        **_figures(mailing, _cost(mailing)),
        **_by_time(mailing, "mailing"),
        "unmatched_events": _unmatched(mailing, "mailing_id"),
        "mailings": [],
        "segments": build_segment_table(mailing, by) if by else None,
    }


def _by_time(of: Fundraiser | Mailing, kind: str) -> ByTime:
    """Return the latest gifts by day and hour in the organization's time zone."""
    rows = GiftDay.latest(kind, of.id, MAX_READ_UTC_DAYS)
    utc_days = [UtcDay.read(row) for row in rows]
    zone = Organization.objects.get(id=of.organization_id).zone
    is_cut = len(rows) == MAX_READ_UTC_DAYS
    days, hours = sum_by_local_time(utc_days, zone, MAX_SHOWN_DAYS, is_cut=is_cut)
    return {"time_zone": zone.key, "by_day": days, "by_hour": hours}


def _unmatched(of: Fundraiser | Mailing, link: str) -> dict[str, int]:
    """Count unmatched events, here and in the whole organization.

    Most unmatched events have no category that identifies their fundraiser. The queries are fast,
    because they use partial indexes of unmatched events.
    """
    events = Event._get_collection()
    mine = {link: of.id, **UNMATCHED_FILTER}
    everybodys = {"organization_id": of.organization_id, **UNMATCHED_FILTER}
    return {
        "here": events.count_documents(mine, limit=MAX_COUNTED_UNMATCHED),
        "in_organization": events.count_documents(everybodys, limit=MAX_COUNTED_UNMATCHED),
    }


def _line(mailing: Mailing) -> MailingLine:
    return {
        "id": mailing.id,
        "name": mailing.name,
        "sent_at": mailing.sent_at,
        **_figures(mailing, _cost(mailing)),
    }


def _cost(mailing: Mailing) -> dict[str, int]:
    return {mailing.cost_currency: mailing.cost_amount} if mailing.cost_amount else {}


def _figures(tallied: Fundraiser | Mailing, cost: Mapping[str, int]) -> Figures:
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
