"""Facts that the first version did not store with its events: messages, links and clickers."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.counters import LEDGER
from documents.link import build_link_values, make_link_clicks_id
from documents.message import store_new_messages
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.tracking.correlation import Correlation
from documents.tracking.unmatched import UNMATCHED_RETRY_INTERVAL, mark_unmatched
from documents.values.time import now
from matchback.engine import Changes, Tx, add, settle

UNKNOWN_ITEM_INDEX = -1  # The first version did not store an event's position in its delivery.


def add_event_facts(tx: Tx, rows: list[EventRow]) -> None:
    """Store messages and count link clicks of tied events, and mark the other events unmatched."""
    old = [row for row in rows if "item" not in row]
    tied = [row for row in old if "email_id" in row]
    news: dict[bytes, dict[str, Any]] = {row["_id"]: {"item": UNKNOWN_ITEM_INDEX} for row in old}
    for row in tied:
        news[row["_id"]]["tied_by"] = "email_id"
    # Include events in the current form, because the email may have stored their messages.
    told = [row for row in rows if "email_id" in row and row["type"] != "erased"]
    store_new_messages(tx, sorted(told, key=lambda row: row["at"]))
    _count_clicks(tx, tied, news)
    _mark_unmatched(tx, [row for row in old if "email_id" not in row], news)
    if news:
        tx.database.events.bulk_write(
            [UpdateOne({"_id": id_}, {"$set": new}) for id_, new in news.items()],
            ordered=False,
            session=tx.session,
        )


def _count_clicks(tx: Tx, tied: list[EventRow], news: dict[bytes, dict[str, Any]]) -> None:
    clicks = [row for row in tied if row["type"] == "click" and row.get("url")]
    wanted = {"_id": {"$in": list({row["email_id"] for row in clicks})}}
    emails = {
        row["_id"]: row
        for row in collection(tx.database, EmailRow).find(wanted, session=tx.session)
    }
    changes = Changes()
    for click in clicks:
        email = emails.get(click["email_id"])
        if email is None or email.get("deleted_at") or not email.get("mailing_id"):
            continue
        news[click["_id"]]["clicker_id"] = make_link_clicks_id(email["_id"], click["url"])
        for target, row in build_link_values(email, click["url"]).items():
            changes.update_of(*target).set_on_insert(row)
        counted = LEDGER.contribution("events", click | news[click["_id"]])
        add(changes.increments, {of: n for of, n in counted.items() if of[0] == "clickers"})
    if changes.increments:
        settle(tx, LEDGER, changes)


def _mark_unmatched(tx: Tx, rows: list[EventRow], news: dict[bytes, dict[str, Any]]) -> None:
    """Mark events as unmatched and due, so that a worker ties them if their email is known now."""

    def organization(row: EventRow) -> ObjectId:
        return row["organization_id"]

    for organization_id, group in groupby(sorted(rows, key=organization), organization):
        events = list(group)
        tying = Correlation(tx, organization_id)
        tying.read_candidates(events)
        for event in events:
            mark_unmatched(marked := event.copy(), tying)
            marked["due"] = now() - UNMATCHED_RETRY_INTERVAL
            known: Mapping[str, Any] = marked
            news[event["_id"]] |= {name: known[name] for name in known.keys() - event.keys()}
