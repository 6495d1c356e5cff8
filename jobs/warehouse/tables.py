"""The warehouse's tables and columns, all on one screen. docs/reference/warehouse.md explains them.

A row is a pure function of a stored document. Times are UTC, money is an integer of minor units
beside its currency, and IDs are text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from bson import Binary, ObjectId

from documents.erased.rules import has_any_address, redact_url

Document = Mapping[str, Any]
Row = dict[str, Any]
Type = Literal["text", "integer", "boolean", "time"]
ID, VERSION, DELETED = "id", "version", "deleted"
LONGEST_TEXT = 2000  # characters of one that comes from outside
EPOCH = 1_577_836_800  # 2020, so that versions fit into 63 bits until 2088
INCREMENT_BITS = 32


@dataclass(frozen=True)
class Column:
    """One column: where it comes from, unless it has the field's own name."""

    name: str
    type: Type = "text"
    value: Callable[[Document], Any] | None = None
    needs: tuple[str, ...] = ()
    personal: bool = False  # left empty unless names and addresses are exported

    @property
    def fields(self) -> tuple[str, ...]:
        """The stored fields that it is made of."""
        return self.needs or (self.name,)

    def read(self, document: Document) -> Any:
        found = self.value(document) if self.value else document.get(self.name)
        return found[:LONGEST_TEXT] if isinstance(found, str) else found


@dataclass(frozen=True)
class Table:
    """A table of the warehouse, out of the collection of its name."""

    name: str
    columns: tuple[Column, ...]
    also_needs: tuple[str, ...] = ()

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """With what every table has: the id, the version it was read at, and whether it is gone."""
        own = (Column(VERSION, "integer"), Column(DELETED, "boolean"))
        return (Column(ID), *self.columns, *own)

    @cached_property
    def fields(self) -> dict[str, int]:
        """The projection that reads what rows are made of."""
        names = {name for column in self.columns for name in column.fields}
        return dict.fromkeys((*sorted(names), *self.also_needs, "deleted_at"), 1)

    def row(self, document: Document, version: int, *, personal: bool) -> Row:
        """The row of a stored document, as it was at this version."""
        if is_gone(document):
            return self.tombstone(document["_id"], version)
        row = {name: document.get(name) for name in self._as_stored}
        for column in self._made:
            row[column.name] = column.read(document) if personal or not column.personal else None
        row[ID], row[VERSION], row[DELETED] = document["_id"], version, False
        return row

    @cached_property
    def _as_stored(self) -> tuple[str, ...]:
        """The columns that are a field as it is, and no text that could be long: most of them."""
        return tuple(one.name for one in self.columns if one not in self._made)

    @cached_property
    def _made(self) -> tuple[Column, ...]:
        return tuple(
            one
            for one in self.columns
            if one.value or one.personal or (one.type == "text" and not one.name.endswith("_id"))
        )

    def tombstone(self, id_: Any, version: int) -> Row:
        """What is left of a record that was deleted or erased: nothing but its id."""
        empty = dict.fromkeys((column.name for column in self.columns), None)
        return {ID: id_, **empty, VERSION: version, DELETED: True}


def is_gone(document: Document) -> bool:
    """Deleted, or an event that was erased."""
    return document.get("deleted_at") is not None or document.get("type") == "erased"


def version_of(time: int, increment: int) -> int:
    """MongoDB's cluster time of a snapshot as one number that grows with it.

    Source: MongoDB's manual, «Timestamps»: seconds since 1970, and an increment within a second.
    """
    return (time - EPOCH) << INCREMENT_BITS | increment


def text_of(value: Any) -> str:
    """An id as text."""
    return value.hex() if isinstance(value, (bytes, Binary)) else str(value)


def _times(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "time") for name in names)


def _counts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "integer", _count(name), (name,)) for name in names)


def _count(name: str) -> Callable[[Document], int]:
    return lambda document: document.get(name) or 0


def _created(document: Document) -> Any:
    """When it was stored: by its id, which any document has."""
    id_ = document["_id"]
    return id_.generation_time if isinstance(id_, ObjectId) else None


def _counted(gift: Document) -> int:
    """What it adds to what was raised: nothing unless its money was taken, less refunds."""
    taken = gift["status"] == "succeeded"
    return gift["amount"] - (gift.get("refunded_amount") or 0) if taken else 0


def _link(event: Document) -> str | None:
    """Return the page that was clicked, without the parts of its URL that may name a person."""
    try:
        page = urlunsplit((*urlsplit(event["url"])[:3], "", "")) if event.get("url") else None
    except ValueError:
        return None
    return redact_url(page, has_any_address) if page else None


def _decided(name: str) -> Callable[[Document], Any]:
    return lambda gift: (gift.get("decision") or {}).get(name)


CREATED = Column("created_at", "time", _created, ("_id",))
ORGANIZATION, FUNDRAISER = Column("organization_id"), Column("fundraiser_id")

ORGANIZATIONS = Table("organizations", (Column("name"), Column("time_zone"), CREATED))
FUNDRAISERS = Table(
    "fundraisers",
    (
        ORGANIZATION,
        Column("name"),
        Column("goal_amount", "integer"),
        Column("goal_currency"),
        *_times("starts_at", "ends_at"),
        CREATED,
    ),
)
MAILINGS = Table(
    "mailings",
    (
        ORGANIZATION,
        FUNDRAISER,
        Column("name"),
        Column("subject"),
        *_times("sent_at"),
        Column("cost_amount", "integer"),
        Column("cost_currency"),
        CREATED,
    ),
)
USERS = Table(
    "users",
    (ORGANIZATION, Column("name", personal=True), Column("email", personal=True), CREATED),
)
EMAILS = Table(
    "emails",
    (
        ORGANIZATION,
        FUNDRAISER,
        Column("mailing_id"),
        Column("user_id"),
        *_times(
            *("sent_at", "deferred_at", "delivered_at", "bounced_at", "blocked_at", "dropped_at"),
            *("first_opened_at", "last_opened_at", "first_clicked_at", "last_clicked_at"),
            *("unsubscribed_at", "resubscribed_at", "spam_reported_at"),
        ),
        *_counts("opens", "clicks", "machine_opens", "machine_clicks", "donations_count"),
        Column("donated", "boolean", lambda email: bool(email.get("donated")), ("donated",)),
        CREATED,
    ),
)
EVENTS = Table(
    "events",
    (
        ORGANIZATION,
        Column("email_id"),
        Column("type"),
        Column("happened_at", "time", lambda event: event.get("at"), ("at",)),
        Column("machine", "boolean", lambda event: bool(event.get("machine")), ("machine",)),
        Column("machine_reason"),
        Column("bounce_type"),
        Column("link", value=_link, needs=("url",)),
        Column("tied_by"),
    ),
)
DONATIONS = Table(
    "donations",
    (
        ORGANIZATION,
        FUNDRAISER,
        Column("mailing_id"),
        Column("email_id"),
        Column("user_id"),
        Column("status"),
        Column("amount", "integer"),
        *_counts("refunded_amount"),
        Column("counted_amount", "integer", _counted, ("status", "amount", "refunded_amount")),
        Column("currency"),
        Column("match"),
        Column("match_rule", value=_decided("rule"), needs=("decision",)),
        Column("match_touch", value=_decided("touch"), needs=("decision",)),
        Column(
            "recurring", "boolean", lambda gift: bool(gift.get("recurring_id")), ("recurring_id",)
        ),
        Column("first_instalment_id", value=lambda gift: gift.get("follows"), needs=("follows",)),
        Column("donated_at", "time"),
        CREATED,
        Column("donor_name", personal=True),
        Column("donor_email", personal=True),
        Column("external_id", personal=True),
    ),
)
# How far each table was filled from nothing; merged like any other row.
BACKFILLS = Table(
    "backfills",
    (
        Column("layout"),
        Column("after"),
        Column("since", "integer"),
        Column("copied", "integer"),
        Column("total", "integer"),
        Column("finished_at", "time"),
    ),
)

TABLES = (ORGANIZATIONS, FUNDRAISERS, MAILINGS, USERS, EMAILS, EVENTS, DONATIONS)
BY_NAME = {table.name: table for table in TABLES}
