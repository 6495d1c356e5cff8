"""Incidents: problems of an organization, from their beginning to their end.

One row holds the state of one kind and subject. Every change is conditional on the row as read. So
two workers, or a worker that is killed and another one, open an incident once.
"""

from datetime import datetime
from typing import Any, NamedTuple, Self

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
    get_db,
)
from pymongo.errors import DuplicateKeyError

from documents.notices.rules import (
    BUDGET_PAUSE,
    NOTICE_KINDS,
    NoticeKind,
    choose_first_notice,
    choose_next_notice,
    is_within_budget,
    keep_recent,
)
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META

# Longer than the hour in which an incident that begins again waits for its notice.
CLOSED_INCIDENT_SECONDS = 30 * 24 * 3600
OPEN_FILTER: dict[str, Any] = {"is_open": True}


class Problem(NamedTuple):
    """A problem that exists now.

    subject: the endpoint or the provider, or blank.
    """

    organization_id: ObjectId
    kind: NoticeKind
    subject: str
    since: datetime

    @property
    def key(self) -> str:
        """Natural key of the incident."""
        return f"{self.organization_id}:{self.kind}:{self.subject}"


class Incident(Document):
    """A problem, from its beginning to its end.

    Attributes:
        since: time at which the problem began.
        opened_at: time at which Matchback found it.
        next_notice_at: time of the next notice; None if no more notices follow.
        notices: number of notices since `opened_at`.
        noticed_at: times of the notices of the last day, also of earlier occurrences.
    """

    key = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    kind = StringField(required=True, choices=NOTICE_KINDS)
    subject = StringField(default="")
    since = DateTimeField(required=True)
    opened_at = DateTimeField(required=True)
    is_open = BooleanField()
    closed_at = DateTimeField()
    next_notice_at = DateTimeField()
    notices = IntField(default=0)
    noticed_at = ListField(DateTimeField())

    meta = {
        "collection": "incidents",
        "auto_create_index": False,
        "indexes": [
            {"fields": ["is_open"], "partialFilterExpression": OPEN_FILTER},
            {"fields": ["closed_at"], "expireAfterSeconds": CLOSED_INCIDENT_SECONDS},
        ],
        **OWNED_META,
    }

    @classmethod
    def list_open(cls) -> list[Self]:
        """Return the open incidents of all organizations."""
        return list(cls.objects(__raw__=OPEN_FILTER))

    @classmethod
    def open(cls, problem: Problem, at: datetime) -> None:
        """Open the incident of a problem, unless it is open already."""
        rows = get_db().incidents
        known = rows.find_one({"_id": problem.key}, {"is_open": 1, "noticed_at": 1})
        earlier = known.get("noticed_at", []) if known else []
        values = {
            **problem._asdict(),
            "is_open": True,
            "opened_at": at,
            "next_notice_at": choose_first_notice(earlier, at),
            "notices": 0,
        }
        if known is None:
            try:
                rows.insert_one({"_id": problem.key, **values, "noticed_at": []})
            except DuplicateKeyError:
                return
        elif not known.get("is_open"):
            as_read = {"_id": problem.key, "is_open": None, "noticed_at": earlier}
            rows.update_one(as_read, {"$set": values, "$unset": {"closed_at": ""}})

    def close(self, at: datetime) -> None:
        """Close the incident. Its waiting notices are then dropped."""
        removed = {"is_open": "", "next_notice_at": ""}
        self._update({"$set": {"closed_at": at}, "$unset": removed})

    def note_notice(self, at: datetime) -> None:
        """Note that the mails of a notice are stored, and plan the next one."""
        following = choose_next_notice(self.kind, self.notices + 1, at)
        values: dict[str, Any] = {"noticed_at": [*keep_recent(self.noticed_at, at), at]}
        update: dict[str, Any] = {"$set": values, "$inc": {"notices": 1}}
        if following is None:
            update["$unset"] = {"next_notice_at": ""}
        else:
            values["next_notice_at"] = following
        self._update(update)

    def postpone_notice(self, at: datetime) -> None:
        """Let the notice wait, because the organization has received too many of its kind."""
        self._update({"$set": {"next_notice_at": at + BUDGET_PAUSE}})

    def has_budget(self, at: datetime) -> bool:
        """Return whether the organization may receive one more notice of this kind.

        Anyone can send requests without a signature. Their notices must not delay those of others.
        """
        prefix = f"{self.organization_id}:{self.kind}"
        of_kind = {"_id": {"$gte": f"{prefix}:", "$lt": f"{prefix};"}}
        rows = get_db().incidents.find(of_kind, {"noticed_at": 1})
        return is_within_budget((time for row in rows for time in row["noticed_at"]), at)

    def _update(self, update: dict[str, Any]) -> None:
        as_read = {"_id": self.key, "opened_at": self.opened_at, "notices": self.notices}
        get_db().incidents.update_one({**as_read, **OPEN_FILTER}, update)
