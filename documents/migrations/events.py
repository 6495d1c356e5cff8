"""Facts of the first version's events that it did not store: messages, links, clickers."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.counters import LEDGER
from documents.link import clicker_id, new_link_and_clicker
from documents.message import learn
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.tracking.correlation import Correlation
from documents.tracking.unmatched import LOOK_AGAIN_AFTER, mark_unmatched
from documents.values.time import now
from matchback.engine import Changes, Tx, add, settle

UNKNOWN_ITEM = -1  # which one of its delivery's it was, nobody noted


def tell_events(tx: Tx, rows: list[EventRow]) -> None:
    """Know the messages of tied events, count clicks on links, and mark the others as unmatched."""
    old = [row for row in rows if "item" not in row]
    tied = [row for row in old if "email_id" in row]
    news: dict[bytes, dict[str, Any]] = {row["_id"]: {"item": UNKNOWN_ITEM} for row in old}
    for row in tied:
        news[row["_id"]]["tied_by"] = "email_id"
    # Whatever their form: an email may have kept the messages of later ones.
    told = [row for row in rows if "email_id" in row and row["type"] != "erased"]
    learn(tx, sorted(told, key=lambda row: row["at"]))
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
        news[click["_id"]]["clicker_id"] = clicker_id(email["_id"], click["url"])
        for target, row in new_link_and_clicker(email, click["url"]).items():
            changes.update_of(*target).set_on_insert(row)
        counted = LEDGER.contribution("events", click | news[click["_id"]])
        add(changes.increments, {of: n for of, n in counted.items() if of[0] == "clickers"})
    if changes.increments:
        settle(tx, LEDGER, changes)


def _mark_unmatched(tx: Tx, rows: list[EventRow], news: dict[bytes, dict[str, Any]]) -> None:
    """So that they are looked at again, and tied should their email be known by now."""

    def organization(row: EventRow) -> ObjectId:
        return row["organization_id"]

    for organization_id, group in groupby(sorted(rows, key=organization), organization):
        events = list(group)
        tying = Correlation(tx, organization_id)
        tying.look_up(events)
        for event in events:
            mark_unmatched(marked := event.copy(), tying)
            marked["due"] = now() - LOOK_AGAIN_AFTER
            known: Mapping[str, Any] = marked
            news[event["_id"]] |= {name: known[name] for name in known.keys() - event.keys()}
