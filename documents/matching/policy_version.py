"""Stored versions of match policies. Each change is a version, and each decision names its own."""

from datetime import timedelta
from typing import Any, Self

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    FloatField,
    IntField,
    ListField,
    NotUniqueError,
    ObjectIdField,
    StringField,
)

from config.database import catch_up
from documents.errors import Conflict, NotFound
from documents.matching.policy import MatchPolicy
from documents.rows.fundraiser import PolicyVersionRow
from documents.storage.base import Document
from documents.storage.tenancy import OWNED
from documents.values.time import now
from matchback.engine import Tx

ATTEMPTS = 5


class PolicyVersion(Document):
    """One version of an organization's policy, or of one fundraiser's. The last one holds."""

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField()  # None: the organization's
    version = IntField(required=True)
    window_seconds = FloatField()
    prefer = ListField(StringField())
    touch = StringField()
    other_fundraiser = StringField()
    removed = BooleanField(default=False)  # from here on, what is next more general holds again
    created_at = DateTimeField(default=now)

    meta = {
        "collection": "policy_versions",
        **OWNED,
        "auto_create_index": False,
        "indexes": [
            {"fields": ["organization_id", "fundraiser_id", "version"], "unique": True},
        ],
    }

    @classmethod
    def set(
        cls, organization_id: ObjectId, fundraiser_id: ObjectId | None, policy: MatchPolicy
    ) -> MatchPolicy:
        """Let this policy hold from now on; what is decided already stays.

        Raises:
            Conflict: it is being set by many at once.
        """
        values = {
            "window_seconds": policy.window.total_seconds(),
            "prefer": list(policy.prefer),
            "touch": policy.touch,
            "other_fundraiser": policy.other_fundraiser,
        }
        return as_policy(cls._add(organization_id, fundraiser_id, **values).to_mongo())

    @classmethod
    def remove(cls, organization_id: ObjectId, fundraiser_id: ObjectId | None) -> None:
        """Let what is next more general hold again.

        Raises:
            NotFound: there is none here.
        """
        last = cls._last(organization_id, fundraiser_id)
        if last is None or last.removed:
            raise NotFound
        cls._add(organization_id, fundraiser_id, removed=True)

    @classmethod
    def fundraisers_with_own(cls, organization_id: ObjectId) -> list[ObjectId]:
        """Fundraisers whose policy was set, and is not taken back."""
        own = cls.objects(organization_id=organization_id, fundraiser_id__ne=None)
        last = {one.fundraiser_id: one.removed for one in own.order_by("version")}
        return [id_ for id_, removed in last.items() if not removed]

    @classmethod
    def _last(cls, organization_id: ObjectId, fundraiser_id: ObjectId | None) -> Self | None:
        of = {"organization_id": organization_id, "fundraiser_id": fundraiser_id}
        last: Self | None = cls.objects(**of).order_by("-version").first()
        return last

    @classmethod
    def _add(cls, organization_id: ObjectId, fundraiser_id: ObjectId | None, **values: Any) -> Self:
        for _ in range(ATTEMPTS):
            last = cls._last(organization_id, fundraiser_id)
            new = cls(
                organization_id=organization_id,
                fundraiser_id=fundraiser_id,
                version=(last.version if last else 0) + 1,
                **values,
            )
            try:
                saved: Self = new.save(force_insert=True)
            except NotUniqueError:  # somebody else set one at this moment
                catch_up()
            else:
                return saved
        raise Conflict("The policy is being changed by many clients at once; try again.")


def policy_of(
    tx: Tx, organization_id: ObjectId, fundraiser_id: ObjectId | None, default: MatchPolicy
) -> MatchPolicy:
    """The policy that holds: the fundraiser's, else the organization's, else the default."""
    for of in dict.fromkeys((fundraiser_id, None)):
        last = tx.database.policy_versions.find_one(
            {"organization_id": organization_id, "fundraiser_id": of},
            sort=[("version", -1)],
            session=tx.session,
        )
        if last is not None and not last.get("removed"):
            return as_policy(last)
    return default


def as_policy(row: PolicyVersionRow) -> MatchPolicy:
    """Return the policy that a stored version states."""
    stored: Any = row  # Its words were checked when the policy was set.
    return MatchPolicy(
        window=timedelta(seconds=row["window_seconds"]),
        prefer=tuple(stored["prefer"]),
        touch=stored["touch"],
        other_fundraiser=stored["other_fundraiser"],
        scope="fundraiser" if row.get("fundraiser_id") else "organization",
        version=row["version"],
    )
