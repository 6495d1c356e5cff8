"""The fields of every stored record: organization, times, version, and the mark of deletion."""

import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    DictField,
    IntField,
    ListField,
    NotUniqueError,
    ObjectIdField,
    QuerySet,
)
from mongoengine.errors import SaveConditionError

from config.database import await_majority
from documents.errors import Conflict, NotFound
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META, check_owner
from documents.values.time import now

MAX_CHANGE_ATTEMPTS = 25
MAX_INSERT_ATTEMPTS = 3
RECORD_PAUSE_SECONDS = 0.005


@cache
def _blank(document: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row of a document without values, and the row's mutable values.

    These are empty, so that a shallow copy is enough.
    """
    row = dict(document().to_mongo())
    changeable = {name: value for name, value in row.items() if isinstance(value, (dict, list))}
    assert not any(changeable.values())
    return row, changeable


def build_record_row(document: type, **values: Any) -> Any:
    """Return the row that a new document stores, without the cost of making the document.

    See documents/rows/ for its type.
    """
    times = dict.fromkeys(("created_at", "updated_at"), now())
    known = {name: value for name, value in values.items() if value is not None}
    blank, changeable = _blank(document)
    own = {name: _copy(value) for name, value in changeable.items()}
    return {"_id": ObjectId(), **blank, **own, **times, **known}


def _copy(value: Any) -> Any:
    """Copy dictionaries and lists at all levels. `deepcopy` takes seven times as long."""
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


class Record(Document):
    """A record of one organization.

    Deletion sets a mark, so that settling can reverse its counts.
    """

    organization_id = ObjectIdField(required=True)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)
    deleted_at = DateTimeField()
    version = IntField(default=0)

    sealed_fields: ClassVar[tuple[str, ...]] = ()  # secrets that a master key seals

    meta: ClassVar[dict[str, Any]] = {
        "abstract": True,
        "auto_create_index": False,
        "auto_create_index_on_save": False,
        **OWNED_META,
    }

    def save(self, *args: Any, **kwargs: Any) -> Any:
        check_owner(self.organization_id)
        return super().save(*args, **kwargs)

    @classmethod
    def live(cls, organization_id: ObjectId, **query: Any) -> QuerySet:
        """Return the organization's records that are not deleted."""
        return cls.objects(organization_id=organization_id, deleted_at=None, **query)

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Convert a list's filters into conditions on stored fields."""
        return given

    @classmethod
    def fetch(cls, organization_id: ObjectId, id_: ObjectId | str) -> Self:
        """Return a record by its ID.

        Raises:
            NotFound: no live record of the organization has this ID.
        """
        record: Self | None = None
        if ObjectId.is_valid(id_):
            record = cls.live(organization_id, id=id_).first()
        if record is None:
            raise NotFound
        return record

    def insert(self) -> Self:
        """Store a new record. If a record with the same ID exists, return that record.

        Raises:
            NotUniqueError: another record has one of the unique fields.
        """
        try:
            self.save(force_insert=True)
        except NotUniqueError:
            await_majority()  # so that a search finds the other record
            own = {"id": self.id, "organization_id": self.organization_id}
            known: Self | None = type(self).objects(**own).first()
            if known is None:
                raise
            return known
        return self

    def insert_unless(self, find: Callable[[], Self | None]) -> tuple[Self, bool]:
        """Store a new record, or find the one with the same unique field. Return whether it is new.

        Raises:
            Conflict: several attempts neither stored nor found the record.
        """
        for _ in range(MAX_INSERT_ATTEMPTS):
            try:
                return self.insert(), True
            except NotUniqueError:
                # A primary may lose its role after it rejected this insert. The conflicting record
                # can then be rolled back, so the next attempt succeeds.
                if (known := find()) is not None:
                    return known, False
        raise Conflict("Another request is creating this record. Retry the request.")

    def change(self, edit: Callable[[Self], None]) -> Self:
        """Edit the stored record and save it, unless another process changed it meanwhile.

        After a conflict, apply the edit again to the newer record, so that two edits never mix.

        Raises:
            NotFound: another process deleted the record meanwhile.
            Conflict: other processes changed the record at every attempt.
        """
        record = self
        for attempt in range(MAX_CHANGE_ATTEMPTS):
            edit(record)
            read = record.version
            record.version, record.updated_at = read + 1, now()
            try:
                record.save(save_condition={"version": read, "deleted_at": None})
            except SaveConditionError:
                time.sleep(random.uniform(0, RECORD_PAUSE_SECONDS * attempt))  # noqa: S311
                record = type(self).fetch(self.organization_id, self.id)
            else:
                return record
        raise Conflict("Many requests are changing this record. Retry the request.")

    def mark_deleted(self, **also: Any) -> None:
        """Mark the record as deleted, so that no query finds it.

        Settling then reverses its counts.
        """

        def edit(record: Self) -> None:
            record.deleted_at = now()
            for name, value in also.items():
                setattr(record, name, value)

        self.change(edit)


class CountedRecord:
    """Mixin for records that counters count.

    counted: contribution that counters already include.
    due: time of the last change that is not settled. The write that changes the record also sets
    it, so that a crash cannot separate the two.
    """

    counted = ListField()
    due = DateTimeField()
    trouble = DictField(default=None)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self.due = now()
        self.trouble = None  # the change may have fixed the error
        return super().save(*args, **kwargs)  # type: ignore[misc]
