"""Reports of fundraisers and mailings. Their cost does not depend on the number of gifts."""

from documents.event import UNMATCHED_FILTER, Event
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.mailing import Mailing
from documents.organization import Organization
from documents.reports.figures import ByTime, Report
from documents.reports.report_figures import (
    MAX_READ_UTC_DAYS,
    build_delays,
    build_figures,
    build_mailing_line,
    build_times,
)
from documents.reports.segments import build_segment_table
from documents.reports.sensitivity import build_sensitivity
from documents.reports.unsettled import read_unsettled
from documents.values.time import now

MAX_LISTED_MAILINGS = 200
MAX_COUNTED_UNMATCHED = 10_000  # limits the cost of a report when many events are unmatched


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
    latest = list(mailings.order_by("-id").limit(listed + 1))
    return {
        "as_of": as_of,
        "unsettled": unsettled,
        **build_figures(fundraiser, fundraiser.cost),
        **_by_time(fundraiser, "fundraiser"),
        "hours_to_gift": build_delays(fundraiser.delays),
        "unmatched_events": _unmatched(fundraiser, "fundraiser_id"),
        "mailings": [build_mailing_line(one, one.total_cost) for one in latest[:listed]],
        "more_mailings": len(latest) > listed,
        "segments": build_segment_table(fundraiser, by) if by else None,
        "sensitivity": None,
    }


def build_mailing_report(mailing: Mailing, by: str | None = None) -> Report:
    """Build the report of a mailing. `by`: see `build_fundraiser_report`."""
    as_of, unsettled = now(), read_unsettled(mailing, mailing.fundraiser_id)
    mailing = Mailing.fetch(mailing.organization_id, mailing.id)
    return {
        "as_of": as_of,
        "unsettled": unsettled,
        **build_figures(mailing, mailing.total_cost),
        **_by_time(mailing, "mailing"),
        "hours_to_gift": build_delays(mailing.delays),
        "unmatched_events": _unmatched(mailing, "mailing_id"),
        "mailings": [],
        "more_mailings": False,
        "segments": build_segment_table(mailing, by) if by else None,
        "sensitivity": build_sensitivity(mailing),
    }


def _by_time(of: Fundraiser | Mailing, kind: str) -> ByTime:
    """Return the latest gifts by day and hour in the organization's time zone."""
    rows = GiftDay.latest(kind, of.id, MAX_READ_UTC_DAYS)
    return build_times(rows, Organization.objects.get(id=of.organization_id).zone)


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
