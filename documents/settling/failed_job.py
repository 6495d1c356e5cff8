"""Failed jobs: records whose attempts are used up, for a person to look at.

There is no separate list, because a failed job is a record whose `trouble` says so.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.errors import NotFound
from documents.values.time import now

JOB_NAMES = {
    "donations": "update_email_donation",
    "emails": "count_email",
    "mailings": "count_mailing",
    "deliveries": "tally_delivery",
}
FAILED_FILTER = {"trouble.failed_at": {"$type": "date"}}


@dataclass(frozen=True)
class FailedJob:
    """A record that could not be settled; the job has its id."""

    id: ObjectId
    organization_id: ObjectId
    collection: str
    error: str
    tries: int
    failed_at: datetime

    @property
    def job(self) -> str:
        """The task that did it."""
        return JOB_NAMES[self.collection]

    @classmethod
    def page(
        cls, organization_id: ObjectId | None, limit: int, after: ObjectId | None = None
    ) -> list["FailedJob"]:
        """The latest records first, below the id `after`; of one organization, or of all.

        Hinted: in the order of ids, MongoDB would go through all records for the few that failed.
        """
        query: dict[str, Any] = dict(FAILED_FILTER)
        if organization_id is not None:
            query["organization_id"] = organization_id
        if after is not None:
            query["_id"] = {"$lt": after}
        found = [
            cls.from_row(name, row)
            for name in JOB_NAMES
            for row in get_db()[name]
            .find(query, FAILED_JOB_FIELDS)
            .hint("failed")
            .sort("_id", -1)
            .limit(limit)
        ]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    @classmethod
    def fetch(cls, organization_id: ObjectId | None, id_: str) -> "FailedJob":
        """One of them.

        Raises:
            NotFound: there is none with this id.
        """
        if ObjectId.is_valid(id_):
            query: dict[str, Any] = {"_id": ObjectId(id_), **FAILED_FILTER}
            if organization_id is not None:
                query["organization_id"] = organization_id
            for name in JOB_NAMES:
                row = get_db()[name].find_one(query, FAILED_JOB_FIELDS)
                if row:
                    return cls.from_row(name, row)
        raise NotFound

    @classmethod
    def from_row(cls, name: str, row: dict[str, Any]) -> "FailedJob":
        """Of a record of this collection, read with the fields of `FIELDS`."""
        trouble = row["trouble"]
        return cls(
            row["_id"],
            row["organization_id"],
            name,
            trouble["error"],
            trouble["tries"],
            trouble["failed_at"],
        )

    def retry(self) -> None:
        """Make the record due again; the sweep takes it from there."""
        self._update({"$set": {"due": now()}, "$unset": {"trouble": ""}})

    def discard(self) -> None:
        """Take it off the list. What the record should have counted stays uncounted."""
        self._update({"$unset": {"trouble": ""}})

    def _update(self, update: dict[str, Any]) -> None:
        where = {"_id": self.id, "organization_id": self.organization_id, **FAILED_FILTER}
        get_db()[self.collection].update_one(where, update)


FAILED_JOB_FIELDS = {"organization_id": 1, "trouble": 1}
