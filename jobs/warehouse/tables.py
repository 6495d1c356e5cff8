"""The warehouse's tables and columns. docs/reference/warehouse.md explains them.

A row is a pure function of a stored document. Times are UTC, money is an integer of minor units
beside its currency, and IDs are text.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from bson import Binary, ObjectId

from documents.erased.rules import has_any_address, redact_url
from documents.event import USUAL_TIE
from documents.experiment import read_arm_name
from documents.storage.former_match import read_match
from documents.values.gift import hide_import_id

StoredDocument = Mapping[str, Any]
WarehouseRow = dict[str, Any]
ColumnType = Literal["text", "integer", "boolean", "time"]
ID_COLUMN, VERSION_COLUMN, DELETED_COLUMN = "id", "version", "deleted"
MAX_COLUMN_TEXT_LENGTH = 2000  # limit for texts from outside
VERSION_EPOCH_SECONDS = 1_577_836_800  # 2020, so that versions fit into 63 bits until 2088
VERSION_INCREMENT_BITS = 32


@dataclass(frozen=True)
class Column:
    """A column. By default, its value is the stored field with the same name."""

    name: str
    type: ColumnType = "text"
    value: Callable[[StoredDocument], Any] | None = None
    needs: tuple[str, ...] = ()
    personal: bool = False  # empty unless names and addresses are exported
    is_bounded: bool = False  # the value has its own limit, and truncation would damage it

    @property
    def fields(self) -> tuple[str, ...]:
        """Stored fields that the value depends on."""
        return self.needs or (self.name,)

    def read(self, document: StoredDocument) -> Any:
        found = self.value(document) if self.value else document.get(self.name)
        is_long = isinstance(found, str) and not self.is_bounded
        return found[:MAX_COLUMN_TEXT_LENGTH] if is_long and found else found


@dataclass(frozen=True)
class Table:
    """A table of the warehouse. The collection with the same name is its source."""

    name: str
    columns: tuple[Column, ...]
    also_needs: tuple[str, ...] = ()

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """The table's columns with those that all tables have: ID, version and deletion."""
        own = (Column(VERSION_COLUMN, "integer"), Column(DELETED_COLUMN, "boolean"))
        return (Column(ID_COLUMN), *self.columns, *own)

    @cached_property
    def fields(self) -> dict[str, int]:
        """Projection that reads the fields of all columns."""
        names = {name for column in self.columns for name in column.fields}
        return dict.fromkeys((*sorted(names), *self.also_needs, "deleted_at"), 1)

    def row(self, document: StoredDocument, version: int, *, personal: bool) -> WarehouseRow:
        """Return the row of a stored document at this version."""
        if is_deleted_or_erased(document):
            return self.tombstone(document["_id"], version)
        row = {name: document.get(name) for name in self._as_stored}
        for column in self._made:
            row[column.name] = column.read(document) if personal or not column.personal else None
        row[ID_COLUMN], row[VERSION_COLUMN], row[DELETED_COLUMN] = document["_id"], version, False
        return row

    @cached_property
    def _as_stored(self) -> tuple[str, ...]:
        """Names of columns that copy a stored field and need no length limit. Most columns do."""
        return tuple(one.name for one in self.columns if one not in self._made)

    @cached_property
    def _made(self) -> tuple[Column, ...]:
        return tuple(
            one
            for one in self.columns
            if one.value or one.personal or (one.type == "text" and not one.name.endswith("_id"))
        )

    def tombstone(self, id_: Any, version: int) -> WarehouseRow:
        """Return the row of a deleted or erased record, which has only its ID."""
        empty = dict.fromkeys((column.name for column in self.columns), None)
        return {ID_COLUMN: id_, **empty, VERSION_COLUMN: version, DELETED_COLUMN: True}


def is_deleted_or_erased(document: StoredDocument) -> bool:
    """Return whether a record is deleted, or is an erased event."""
    return document.get("deleted_at") is not None or document.get("type") == "erased"


def to_version(time: int, increment: int) -> int:
    """Return a snapshot's cluster time as one number that grows with time.

    Source: MongoDB's manual, "Timestamps": seconds since 1970, and an increment within the second.
    """
    return (time - VERSION_EPOCH_SECONDS) << VERSION_INCREMENT_BITS | increment


def to_id_text(value: Any) -> str:
    """Return an ID as text."""
    return value.hex() if isinstance(value, (bytes, Binary)) else str(value)


def _times(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "time") for name in names)


def _counts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "integer", _count(name), (name,)) for name in names)


def _count(name: str) -> Callable[[StoredDocument], int]:
    return lambda document: document.get(name) or 0


def _created(document: StoredDocument) -> Any:
    """Return the time in the document's ID, or None if its ID has none."""
    id_ = document["_id"]
    return id_.generation_time if isinstance(id_, ObjectId) else None


def _counted(gift: StoredDocument) -> int:
    """Return the gift's share of the amount raised: net of refunds, or 0 unless it succeeded."""
    taken = gift["status"] == "succeeded"
    return gift["amount"] - (gift.get("refunded_amount") or 0) if taken else 0


def _link(event: StoredDocument) -> str | None:
    """Return the clicked page, without the parts of its URL that may identify a person."""
    try:
        page = urlunsplit((*urlsplit(event["url"])[:3], "", "")) if event.get("url") else None
    except ValueError:
        return None
    return redact_url(page, has_any_address) if page else None


def _arm(email: StoredDocument) -> str | None:
    return read_arm_name(email["arm_id"]) if email.get("arm_id") else None


def _tied_by(event: StoredDocument) -> str | None:
    return event.get("tied_by") or (USUAL_TIE if event.get("email_id") else None)


def _decided(name: str) -> Callable[[StoredDocument], Any]:
    return lambda gift: (gift.get("decision") or {}).get(name)


def _attributes(document: StoredDocument) -> str | None:
    """Return the attributes as a JSON object."""
    found = document.get("attributes")
    return json.dumps(found, ensure_ascii=False, sort_keys=True) if found else None


# At most 20 attributes, so their JSON can exceed the limit of other texts.
ATTRIBUTES_COLUMN = Column("attributes", value=_attributes, personal=True, is_bounded=True)
CREATED_COLUMN = Column("created_at", "time", _created, ("_id",))
ORGANIZATION_COLUMN, FUNDRAISER_COLUMN = Column("organization_id"), Column("fundraiser_id")

ORGANIZATION_TABLE = Table("organizations", (Column("name"), Column("time_zone"), CREATED_COLUMN))
FUNDRAISER_TABLE = Table(
    "fundraisers",
    (
        ORGANIZATION_COLUMN,
        Column("name"),
        Column("goal_amount", "integer"),
        Column("goal_currency"),
        *_times("starts_at", "ends_at"),
        CREATED_COLUMN,
    ),
)
MAILING_TABLE = Table(
    "mailings",
    (
        ORGANIZATION_COLUMN,
        FUNDRAISER_COLUMN,
        Column("name"),
        Column("subject"),
        *_times("sent_at"),
        Column("cost_amount", "integer"),
        Column("cost_currency"),
        CREATED_COLUMN,
    ),
)
USER_TABLE = Table(
    "users",
    (
        ORGANIZATION_COLUMN,
        Column("name", personal=True),
        Column("email", personal=True),
        ATTRIBUTES_COLUMN,
        CREATED_COLUMN,
    ),
)
EMAIL_TABLE = Table(
    "emails",
    (
        ORGANIZATION_COLUMN,
        FUNDRAISER_COLUMN,
        Column("mailing_id"),
        Column("user_id"),
        *_times(
            *("sent_at", "deferred_at", "delivered_at", "bounced_at", "blocked_at", "dropped_at"),
            *("first_opened_at", "last_opened_at", "first_clicked_at", "last_clicked_at"),
            *("unsubscribed_at", "resubscribed_at", "spam_reported_at"),
        ),
        *_counts("opens", "clicks", "machine_opens", "machine_clicks", "donations_count"),
        Column("donated", "boolean", lambda email: bool(email.get("donated")), ("donated",)),
        Column("arm", value=_arm, needs=("arm_id",)),
        Column("held_out", "boolean", lambda email: bool(email.get("held_out")), ("held_out",)),
        ATTRIBUTES_COLUMN,
        CREATED_COLUMN,
    ),
)
EVENT_TABLE = Table(
    "events",
    (
        ORGANIZATION_COLUMN,
        Column("email_id"),
        Column("type"),
        Column("happened_at", "time", lambda event: event.get("at"), ("at",)),
        Column("machine", "boolean", lambda event: bool(event.get("machine")), ("machine",)),
        Column("machine_reason"),
        Column("bounce_type"),
        Column("link", value=_link, needs=("url",)),
        Column("tied_by", value=_tied_by, needs=("tied_by", "email_id")),
    ),
)
DONATION_TABLE = Table(
    "donations",
    (
        ORGANIZATION_COLUMN,
        FUNDRAISER_COLUMN,
        Column("mailing_id"),
        Column("email_id"),
        Column("user_id"),
        Column("status"),
        Column("amount", "integer"),
        *_counts("refunded_amount"),
        Column("counted_amount", "integer", _counted, ("status", "amount", "refunded_amount")),
        Column("currency"),
        Column("match", value=read_match, needs=("match", "decision")),
        Column("match_rule", value=_decided("rule"), needs=("decision",)),
        Column("match_touch", value=_decided("touch"), needs=("decision",)),
        Column(
            "recurring", "boolean", lambda gift: bool(gift.get("recurring_id")), ("recurring_id",)
        ),
        Column("first_instalment_id", value=lambda gift: gift.get("follows"), needs=("follows",)),
        Column("donated_at", "time"),
        CREATED_COLUMN,
        Column("donor_name", personal=True),
        Column("donor_email", personal=True),
        Column(
            "external_id",
            value=lambda gift: hide_import_id(gift.get("external_id")),
            personal=True,
        ),
    ),
)
# Progress of each table's backfill, merged like other rows.
BACKFILL_TABLE = Table(
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

WAREHOUSE_TABLES = (
    ORGANIZATION_TABLE,
    FUNDRAISER_TABLE,
    MAILING_TABLE,
    USER_TABLE,
    EMAIL_TABLE,
    EVENT_TABLE,
    DONATION_TABLE,
)
TABLE_BY_NAME = {table.name: table for table in WAREHOUSE_TABLES}
