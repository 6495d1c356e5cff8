"""The fields of every stored record: organization, times, version, and the mark of deletion."""

import random
import time
from collections.abc import Callable
from copy import deepcopy
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

from config.database import catch_up
from documents.errors import Conflict, NotFound
from documents.storage.base import Document
from documents.storage.tenancy import OWNED, check_owner
from documents.values.time import now

ATTEMPTS = 25
INSERT_ATTEMPTS = 3
PAUSE_SECONDS = 0.005


@cache
def _blank(document: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a new document stores when nothing is said of it; and of that what can be changed."""
    row = dict(document().to_mongo())
    return row, {name: value for name, value in row.items() if isinstance(value, (dict, list))}


def new_row(document: type, **values: Any) -> Any:
    """Return the row that a new document stores, without the cost of making the document.

    Its type is that of the document's rows; see documents/rows/.
    """
    times = dict.fromkeys(("created_at", "updated_at"), now())
    known = {name: value for name, value in values.items() if value is not None}
    blank, changeable = _blank(document)
    return {"_id": ObjectId(), **blank, **deepcopy(changeable), **times, **known}


class Record(Document):
    """A record of one organization. Deleting is a mark, so that what it counted is taken back."""

    organization_id = ObjectIdField(required=True)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)
    deleted_at = DateTimeField()
    version = IntField(default=0)

    meta: ClassVar[dict[str, Any]] = {
        "abstract": True,
        "auto_create_index": False,
        "auto_create_index_on_save": False,
        **OWNED,
    }

    def save(self, *args: Any, **kwargs: Any) -> Any:
        check_owner(self.organization_id)
        return super().save(*args, **kwargs)

    @classmethod
    def live(cls, organization_id: ObjectId, **query: Any) -> QuerySet:
        """The organization's records that are not deleted."""
        return cls.objects(organization_id=organization_id, deleted_at=None, **query)

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A list's filters as conditions on stored fields."""
        return given

    @classmethod
    def fetch(cls, organization_id: ObjectId, id_: ObjectId | str) -> Self:
        """One record by its id.

        Raises:
            NotFound: none, deleted, or another organization's.
        """
        record: Self | None = None
        if ObjectId.is_valid(id_):
            record = cls.live(organization_id, id=id_).first()
        if record is None:
            raise NotFound
        return record

    def insert(self) -> Self:
        """Store a new record; under an id given in advance, the same one again is no error.

        Raises:
            NotUniqueError: another record has one of its unique fields.
        """
        try:
            self.save(force_insert=True)
        except NotUniqueError:
            catch_up()  # so that whoever looks for the other record finds it
            own = {"id": self.id, "organization_id": self.organization_id}
            known: Self | None = type(self).objects(**own).first()
            if known is None:
                raise
            return known
        return self

    def insert_unless(self, find: Callable[[], Self | None]) -> tuple[Self, bool]:
        """Store a new record, or find the one that has what must be unique. Says whether it is new.

        Raises:
            Conflict: neither, several times: what stood in the way was never a majority's.
        """
        for _ in range(INSERT_ATTEMPTS):
            try:
                return self.insert(), True
            except NotUniqueError:
                # A primary that is deposed at this moment may have refused for a record that is
                # rolled back: then there is nothing to find, and nothing in the way any more.
                if (known := find()) is not None:
                    return known, False
        raise Conflict("The record is being made by another request; try again.")

    def change(self, edit: Callable[[Self], None]) -> Self:
        """Edit the record as it is stored now, and save it, unless somebody else did meanwhile.

        The edit is tried again on the newer record then, so that two edits are never half mixed.

        Raises:
            NotFound: deleted meanwhile.
            Conflict: changed by others at every attempt.
        """
        record = self
        for attempt in range(ATTEMPTS):
            edit(record)
            read = record.version
            record.version, record.updated_at = read + 1, now()
            try:
                record.save(save_condition={"version": read, "deleted_at": None})
            except SaveConditionError:
                time.sleep(random.uniform(0, PAUSE_SECONDS * attempt))  # noqa: S311
                record = type(self).fetch(self.organization_id, self.id)
            else:
                return record
        raise Conflict("The record is being changed by many clients at once; try again.")

    def mark_deleted(self, **also: Any) -> None:
        """Delete: from now on nobody finds it. Sources become due, so their counts go too."""

        def edit(record: Self) -> None:
            record.deleted_at = now()
            for name, value in also.items():
                setattr(record, name, value)

        self.change(edit)


class Source:
    """Mixed into records that are counted: `counted` was applied, `due` says it may have changed.

    `due` is set in the same write as the change itself, so that no crash comes between.
    """

    counted = ListField()
    due = DateTimeField()
    trouble = DictField(default=None)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self.due = now()
        self.trouble = None  # whatever kept it from being settled may be mended by the change
        return super().save(*args, **kwargs)  # type: ignore[misc]
