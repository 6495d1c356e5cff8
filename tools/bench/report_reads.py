"""The reports to measure, and MongoDB's work for each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.history.gift_change import SettledChanges
from documents.mailing import Mailing
from documents.reports.experiment import build_experiment_report
from documents.reports.explained import build_change_query, explain_difference
from documents.reports.past_report import build_past_fundraiser_report, build_past_mailing_report
from documents.reports.periods import build_period
from documents.reports.report import build_fundraiser_report, build_mailing_report
from documents.storage.pagination import list_page
from tools.bench.stored_history import LAST_CHANGE_AT, LATEST_DAYS

IN_AN_HOUR = LAST_CHANGE_AT + timedelta(minutes=1)
LATEST_HALF = LAST_CHANGE_AT - timedelta(days=LATEST_DAYS / 2)
PERIOD_DAYS = 30
CHANGES_A_PAGE = 50


class Command(NamedTuple):
    """A command, with the keys and documents that MongoDB examined."""

    collection: str
    keys: int
    documents: int


@dataclass(frozen=True)
class MeasuredRecords:
    """A fundraiser and its mailing with an experiment, and the time of their first change."""

    fundraiser: Fundraiser
    mailing: Mailing
    first_at: datetime


def list_changes(of: MeasuredRecords, since: datetime) -> Any:
    """Do what a request for changes does."""
    query = build_change_query(of.fundraiser, since, IN_AN_HOUR)
    organization_id = of.fundraiser.organization_id
    listed = {"sort": "at", "limit": CHANGES_A_PAGE, "cursor": None}
    page = list_page(SettledChanges, organization_id, filters=query, **listed)  # type: ignore[arg-type]
    return page, explain_difference(of.fundraiser, since, IN_AN_HOUR)


def read_period(of: MeasuredRecords) -> Any:
    last = LAST_CHANGE_AT.date()
    return build_period(of.fundraiser, last - timedelta(days=PERIOD_DAYS), last)


READS: dict[str, Callable[[MeasuredRecords], Any]] = {
    "report": lambda of: build_fundraiser_report(of.fundraiser),
    "report by attribute": lambda of: build_fundraiser_report(of.fundraiser, by="school"),
    "mailing by attribute": lambda of: build_mailing_report(of.mailing, by="school"),
    "report of a period": read_period,
    "report as of now": lambda of: build_past_fundraiser_report(of.fundraiser, IN_AN_HOUR),
    "report as of weeks ago": lambda of: build_past_fundraiser_report(of.fundraiser, LATEST_HALF),
    "mailing as of weeks ago": lambda of: build_past_mailing_report(of.mailing, LATEST_HALF),
    "changes of weeks": lambda of: list_changes(of, LATEST_HALF),
    "changes since the beginning": lambda of: list_changes(of, of.first_at),
    "experiment": lambda of: build_experiment_report(of.mailing),
}


def count_work(read: Callable[[], Any]) -> list[Command]:
    """Return MongoDB's work for one read.

    A page of changes leaves its cursor open. A thread of PyMongo ends such cursors once a second,
    so perhaps during the next read, which it does not belong to.
    """
    database = get_db()
    database.command("profile", 2)
    read()
    database.command("profile", 0)
    own = {"ns": {"$not": {"$regex": "profile"}}, "command.killCursors": {"$exists": False}}
    seen = list(database["system.profile"].find(own))
    database.drop_collection("system.profile")
    return [
        Command(one["ns"].split(".", 1)[1], one.get("keysExamined", 0), one.get("docsExamined", 0))
        for one in seen
    ]
