"""Reports of fundraisers and mailings as they stood at an earlier time.

They show the figures without every settlement that began later. Names and times of sending are
those of today, and so is the time zone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from mongoengine import get_db

from documents.errors import Unacceptable
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.history.journal import JOURNAL, find_journal_start
from documents.history.progress import read_progress
from documents.mailing import Mailing
from documents.organization import Organization
from documents.reports.figures import ByTime, PastReport
from documents.reports.report import MAX_LISTED_MAILINGS
from documents.reports.report_figures import (
    MAX_READ_UTC_DAYS,
    build_delays,
    build_figures,
    build_mailing_line,
    build_times,
)
from documents.rows.donation import GiftDayRow
from documents.values.fields import format_time
from documents.values.time import now
from matchback.engine import Tx

D = TypeVar("D", Fundraiser, Mailing)
# A settlement creates gift days a little later than it notes their amounts.
MAX_SETTLING_TIME = timedelta(minutes=1)


def check_past_time(tx: Tx, of: Fundraiser | Mailing, at: datetime, pointer: str) -> None:
    """Check that the figures of a time are known.

    Args:
        tx: the snapshot that reads the figures. So retention cannot delete them in between.

    Raises:
        Unacceptable: the time is in the future, or before the history of the record begins.
    """
    if at > now():
        raise Unacceptable(pointer, "future", "Must not be in the future.")
    start = find_journal_start(of)
    if start is None:
        detail = "The history of this record is not known yet. Run `matchback migrate`."
        raise Unacceptable(pointer, "before_history", detail)
    kept_from = read_progress(tx).get("kept_from", start)
    if at < kept_from and start < kept_from:
        detail = f"Must not be before {format_time(kept_from)}, because earlier history is deleted."
        raise Unacceptable(pointer, "before_history", detail)
    if at < start:
        detail = f"Must not be before {format_time(start)}, when the history of this record begins."
        raise Unacceptable(pointer, "before_history", detail)


def build_past_fundraiser_report(fundraiser: Fundraiser, at: datetime) -> PastReport:
    """Build the report of a fundraiser and its latest mailings at a time.

    Raises:
        Unacceptable: the figures of this time are not known.
    """
    with open_snapshot() as tx:
        check_past_time(tx, fundraiser, at, "/as_of")
        fundraiser = read_at(tx, fundraiser, at)
        latest, has_more = _list_mailings(tx, fundraiser, at)
        lines = [build_mailing_line(one, one.read_cost_at(tx, at)) for one in latest]
        report = _build_report(tx, fundraiser, fundraiser.cost, at)
        return {**report, "mailings": lines, "more_mailings": has_more}


def build_past_mailing_report(mailing: Mailing, at: datetime) -> PastReport:
    """Build the report of a mailing at a time.

    Raises:
        Unacceptable: the figures of this time are not known.
    """
    with open_snapshot() as tx:
        check_past_time(tx, mailing, at, "/as_of")
        mailing = read_at(tx, mailing, at)
        return _build_report(tx, mailing, mailing.read_cost_at(tx, at), at)


def _build_report(
    tx: Tx, of: Fundraiser | Mailing, cost: Mapping[str, int], at: datetime
) -> PastReport:
    """Return the report of a record that has the counters of the time, without its mailings."""
    return {
        "as_of": at,
        "unsettled": None,
        **build_figures(of, cost),
        **_by_time(tx, of, "fundraiser" if isinstance(of, Fundraiser) else "mailing", at),
        "hours_to_gift": build_delays(of.delays),
        "unmatched_events": None,
        "mailings": [],
        "more_mailings": False,
        "segments": None,
        "sensitivity": None,
    }


@contextmanager
def open_snapshot() -> Iterator[Tx]:
    """Read everything within the block at one time."""
    with get_db().client.start_session(snapshot=True) as session:
        yield Tx(get_db(), session)


def read_at(tx: Tx, record: D, at: datetime) -> D:
    """Return a record with the counters that it had at a time."""
    found = tx.database[type(record)._get_collection_name()].find_one(
        {"_id": record.id}, session=tx.session
    )
    return _restore(tx, type(record), [found], at)[0]


def _restore(tx: Tx, document: type[D], rows: list[Any], at: datetime) -> list[D]:
    JOURNAL.restore(tx, rows, at)
    return [document._from_son(row) for row in rows]


def _list_mailings(tx: Tx, fundraiser: Fundraiser, at: datetime) -> tuple[list[Mailing], bool]:
    """Return the latest mailings that existed at a time, newest first, and whether more existed."""
    existed = {
        "organization_id": fundraiser.organization_id,
        "fundraiser_id": fundraiser.id,
        "created_at": {"$not": {"$gt": at}},
        "deleted_at": {"$not": {"$lte": at}},
    }
    found = tx.database.mailings.find(existed, session=tx.session).sort("_id", -1)
    rows = list(found.limit(MAX_LISTED_MAILINGS + 1))
    latest = rows[:MAX_LISTED_MAILINGS]
    return _restore(tx, Mailing, latest, at), len(rows) > len(latest)


def _by_time(tx: Tx, of: Fundraiser | Mailing, kind: str, at: datetime) -> ByTime:
    """Return the gifts of the latest days that had gifts at a time."""
    known = GiftDay.list_created_before(tx, kind, of.id, at + MAX_SETTLING_TIME)
    days: list[GiftDayRow] = []
    while len(days) < MAX_READ_UTC_DAYS and (rows := list(islice(known, MAX_READ_UTC_DAYS))):
        JOURNAL.restore(tx, rows, at)  # type: ignore[arg-type]
        days += [row for row in rows if any(row.get("gifts", {}).values())]
    zone = Organization.objects.get(id=of.organization_id).zone
    return build_times(days[:MAX_READ_UTC_DAYS], zone)
