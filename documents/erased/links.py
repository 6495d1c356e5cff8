"""Redaction of a person's address and name in clicked URLs: a part of erasure (see erasure.py).

A link keeps its ID, which is a digest of the original URL. So later clicks still find it, and no
counter changes.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.erased.person import Person
from documents.erased.rules import Traces, has_any_address, redact_url
from documents.rows.collections import collection
from documents.rows.event import ClickerRow, EventRow, LinkRow
from documents.rows.fundraiser import FundraiserRow
from documents.storage.export_outbox import note_writes
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

IDS_PER_PAGE = 500


def erase_links(person: Person) -> None:
    """Redact all links of the organization that contain an address of the person.

    Redact the name only in links that no other person clicked, because others may share the name.
    """
    own = _own_links(person)
    for link in _links_of(person.organization_id):
        tells = person.traces.names_person if link["_id"] in own else person.traces.has_address
        url = redact_url(link.get("url") or "", tells)
        if url == (link.get("url") or ""):
            continue
        for email_ids in _pages(_clicked_by(link["_id"])):
            redact_events(person.organization_id, person.traces, {"email_id": {"$in": email_ids}})
        # The link changes last, so that a retry after a crash finds it again.
        get_db().links.update_one({"_id": link["_id"]}, {"$set": {"url": url}})


def redact_events(organization_id: ObjectId, traces: Traces, query: dict[str, Any]) -> None:
    """Redact the URLs and user agents in other people's events that contain the address."""
    wanted = {**query, "organization_id": organization_id, "url": {"$type": "string"}}
    for event in collection(get_db(), EventRow).find(wanted, {"url": 1, "user_agent": 1}):
        told = {"url": event.get("url"), "user_agent": event.get("user_agent")}
        changed = {
            name: new
            for name, old in told.items()
            if old and (new := redact_url(old, traces.has_address)) != old
        }
        if changed:
            in_transaction(_write, event["_id"], changed)


def redact_clicked_url(url: str) -> str:
    """Return a URL that an erased person clicked, without its query and addresses."""
    return redact_url(url.partition("?")[0], has_any_address)


def _write(tx: Tx, id_: bytes, changed: dict[str, str]) -> None:
    tx.database.events.update_one({"_id": id_}, {"$set": changed}, session=tx.session)
    note_writes(tx, {"events": [id_]})


def _links_of(organization_id: ObjectId) -> Iterator[LinkRow]:
    """Yield links by fundraiser, because the links have no index on the organization."""
    fundraisers = collection(get_db(), FundraiserRow).find(
        {"organization_id": organization_id}, {"_id": 1}
    )
    for ids in _pages(row["_id"] for row in fundraisers):
        yield from collection(get_db(), LinkRow).find({"fundraiser_id": {"$in": ids}}, {"url": 1})


def _own_links(person: Person) -> set[ObjectId]:
    """Return the links that only this person clicked."""
    clickers = get_db().clickers
    own: set[ObjectId] = set()
    for ids in _pages(person.email_ids):
        clicked = clickers.distinct("link_id", {"email_id": {"$in": ids}})
        own |= {
            id_
            for id_ in clicked
            if not clickers.find_one(
                {"link_id": id_, "email_id": {"$nin": list(person.email_ids)}}, {"_id": 1}
            )
        }
    return own


def _clicked_by(link_id: ObjectId) -> Iterator[ObjectId]:
    for row in collection(get_db(), ClickerRow).find({"link_id": link_id}, {"email_id": 1}):
        yield row["email_id"]


def _pages(ids: Iterable[ObjectId]) -> Iterator[list[ObjectId]]:
    page: list[ObjectId] = []
    for id_ in ids:
        page.append(id_)
        if len(page) == IDS_PER_PAGE:
            yield page
            page = []
    if page:
        yield page
