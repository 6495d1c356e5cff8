"""An import of an uploaded file: what a person chose, how far it is, and its result.

A worker checks the file, and shows what an import would do. After a person starts it, a worker
imports the file. `documents/imports/run.py` has both. Every change by a person begins another
attempt, so that a worker with an earlier attempt stops; see `attempt.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Self

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    DictField,
    DynamicField,
    IntField,
    ListField,
    ObjectIdField,
    QuerySet,
    StringField,
)

from documents.errors import Conflict
from documents.imports import files
from documents.imports.fields import FIELDS
from documents.imports.rejection import Rejection
from documents.storage.record import Record
from documents.values.time import now

WAITING_STATES = ("checking", "running")  # a worker continues these
CHECKED_STATES = ("checking", "unclear", "ready", "failed")  # these have not begun to store
ENDED_STATES = ("done", "cancelled", "expired")
STATES = ("uploading", *WAITING_STATES, "unclear", "ready", "failed", *ENDED_STATES)
MAX_FILE_NAME_LENGTH = 200


class FileImport(Record):
    """An import.

    Attributes:
        state: one of STATES. A person must choose something in an unclear one.
        attempt: number of the current check or run, which a worker compares at each write.
        choices: what a person chose: encoding, delimiter, sheet, currency, decimal, date_order,
            fundraiser_id, mailing_id.
        columns: the fields that a person chose for columns, as pairs.
        found_columns: all columns of the file and what they are taken for, as pairs.
        asks: choices that would allow rejected lines.
        problem: why the file cannot be read.
        samples: the first rows as they would be stored.
        rows, position: number of rows, and of those that are checked or imported.
        held_out: number of lines with an email that must not be sent.
        planned: position and counts of the batch that is being stored.
    """

    records = StringField(required=True, choices=tuple(FIELDS))
    state = StringField(required=True, choices=STATES)
    attempt = IntField(default=1)
    filename = StringField()
    size = IntField(default=0)
    file_id = ObjectIdField()
    staff_id = ObjectIdField()
    choices = DictField()
    columns = ListField(ListField(DynamicField()))
    format = DictField()
    found_columns = ListField(ListField(DynamicField()))
    asks = ListField(StringField())
    problem = StringField()
    samples = ListField(DictField())
    rows = IntField()
    position = IntField(default=0)
    made = IntField(default=0)
    found = IntField(default=0)
    rejected = IntField(default=0)
    held_out = IntField()
    planned = DictField()
    started_at = DateTimeField()
    ended_at = DateTimeField()

    meta = {
        "collection": "imports",
        "indexes": [["organization_id", "id"], ["state", "id"]],
    }

    @classmethod
    def upload(
        cls,
        organization_id: ObjectId,
        source: BinaryIO,
        *,
        records: str,
        filename: str,
        staff_id: ObjectId | None = None,
    ) -> Self:
        """Store the file of a new import. `begin_check` continues it.

        Raises:
            Unusable: the file is too large.
        """
        new = cls(
            organization_id=organization_id,
            records=records,
            state="uploading",
            filename=filename[:MAX_FILE_NAME_LENGTH],
            file_id=ObjectId(),
            staff_id=staff_id,
        ).insert()
        try:
            new.size = files.store_file(organization_id, new.file_id, source)
        except BaseException:
            new.discard()
            raise
        return new

    def discard(self) -> None:
        """Delete an upload that was not completed."""
        files.drop_file(self.organization_id, self.file_id)
        self.delete()

    def begin_check(self) -> None:
        """Let a worker check the complete upload."""
        self._advance(("uploading",), state="checking", size=self.size)

    def choose(self, choices: Mapping[str, str], columns: Iterable[tuple[str, str]]) -> None:
        """Change the choices, and let a worker check the file again.

        Raises:
            Conflict: the import has begun or ended.
        """
        self._advance(
            CHECKED_STATES,
            state="checking",
            choices=dict(choices),
            columns=[list(pair) for pair in columns],
            **_blank_result(),
        )

    def start(self) -> None:
        """Let a worker import the file.

        Raises:
            Conflict: the check has not ended, or the import has begun.
        """
        self._advance(
            ("ready",), state="running", started_at=now(), **{**_blank_result(), "rows": self.rows}
        )

    def cancel(self) -> None:
        """Stop the import. Stored records stay.

        Raises:
            Conflict: the import has ended.
        """
        self._advance((*CHECKED_STATES, "running"), state="cancelled", ended_at=now(), samples=[])
        self.drop_file()

    def drop_file(self) -> None:
        """Delete the file, because it holds personal data."""
        if self.file_id:
            files.drop_file(self.organization_id, self.file_id)
            type(self).objects(id=self.id).update_one(unset__file_id=True)

    def _advance(self, states: Iterable[str], **changes: Any) -> None:
        sets = {f"set__{name}": value for name, value in changes.items()}
        query = {"id": self.id, "organization_id": self.organization_id, "state__in": list(states)}
        if (
            not type(self)
            .objects(**query)
            .update_one(inc__attempt=1, set__updated_at=now(), **sets)
        ):
            raise Conflict("The import has changed. Load its page again.")

    @classmethod
    def stop_all(cls, organization_id: ObjectId) -> None:
        """Stop all imports of an organization in deletion. Its deletion drops their files."""
        waiting = cls.objects(organization_id=organization_id, state__in=WAITING_STATES)
        waiting.update(inc__attempt=1, set__state="cancelled", set__ended_at=now())

    @classmethod
    def list_waiting(cls) -> QuerySet:
        """Return the imports that a worker continues, the oldest first."""
        return cls.objects(state__in=WAITING_STATES).order_by("id")

    @property
    def rejections(self) -> QuerySet:
        """The rejected lines, in order."""
        return Rejection.of(self.id)


def _blank_result() -> dict[str, Any]:
    return {
        "position": 0,
        "rows": None,
        "made": 0,
        "found": 0,
        "rejected": 0,
        "held_out": None,
        "planned": {},
        "problem": "",
        "asks": [],
    }
