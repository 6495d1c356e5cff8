"""Failed jobs: records without attempts left, which wait for a person.

There is no separate list. A record with `trouble.failed_at` is a failed job.
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
# Records of no organization, which only the operator sees.
SERVICE_JOB_NAMES = {"shared_posts": "route_shared_post"}
ALL_JOB_NAMES = JOB_NAMES | SERVICE_JOB_NAMES
FAILED_FILTER = {"trouble.failed_at": {"$type": "date"}}


@dataclass(frozen=True)
class FailedJob:
    """A record that could not be settled. The job has the record's ID.

    organization_id: None for a record of no organization.
    """

    id: ObjectId
    organization_id: ObjectId | None
    collection: str
    error: str
    tries: int
    failed_at: datetime

    @property
    def job(self) -> str:
        """Name of the task that settles the record."""
        return ALL_JOB_NAMES[self.collection]

    @classmethod
    def page(
        cls, organization_id: ObjectId | None, limit: int, after: ObjectId | None = None
    ) -> list["FailedJob"]:
        """Return failed jobs of one organization or of all, newest first, below the ID `after`.

        The hint is necessary: in the order of IDs, MongoDB would scan all records for the few
        failed ones.
        """
        query: dict[str, Any] = dict(FAILED_FILTER)
        if organization_id is not None:
            query["organization_id"] = organization_id
        if after is not None:
            query["_id"] = {"$lt": after}
        found = [
            cls.from_row(name, row)
            for name in _list_collections(organization_id)
            for row in get_db()[name]
            .find(query, FAILED_JOB_FIELDS)
            .hint("failed")
            .sort("_id", -1)
            .limit(limit)
        ]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    @classmethod
    def fetch(cls, organization_id: ObjectId | None, id_: str) -> "FailedJob":
        """Return a failed job by its ID.

        Raises:
            NotFound: no failed job has this ID.
        """
        if ObjectId.is_valid(id_):
            query: dict[str, Any] = {"_id": ObjectId(id_), **FAILED_FILTER}
            if organization_id is not None:
                query["organization_id"] = organization_id
            for name in _list_collections(organization_id):
                row = get_db()[name].find_one(query, FAILED_JOB_FIELDS)
                if row:
                    return cls.from_row(name, row)
        raise NotFound

    @classmethod
    def from_row(cls, name: str, row: dict[str, Any]) -> "FailedJob":
        """Return the failed job of a row that was read with `FAILED_JOB_FIELDS`."""
        trouble = row["trouble"]
        return cls(
            row["_id"],
            row.get("organization_id"),
            name,
            trouble["error"],
            trouble["tries"],
            trouble["failed_at"],
        )

    def retry(self) -> None:
        """Make the record due again, so that the sweep settles it."""
        self._update({"$set": {"due": now()}, "$unset": {"trouble": ""}})

    def discard(self) -> None:
        """Remove the job. The record's outstanding changes stay uncounted."""
        self._update({"$unset": {"trouble": ""}})

    def _update(self, update: dict[str, Any]) -> None:
        where = {"_id": self.id, "organization_id": self.organization_id, **FAILED_FILTER}
        get_db()[self.collection].update_one(where, update)


FAILED_JOB_FIELDS = {"organization_id": 1, "trouble": 1}


def _list_collections(organization_id: ObjectId | None) -> list[str]:
    return list(ALL_JOB_NAMES if organization_id is None else JOB_NAMES)
