"""Stored versions of match policies. Each change adds a version, and decisions store theirs."""

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

from config.database import await_majority
from documents.errors import Conflict, NotFound
from documents.evidence_change import note_changed_policy
from documents.matching.policy import MatchPolicy
from documents.rows.fundraiser import PolicyVersionRow
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now
from matchback.engine import Tx

MAX_VERSION_ATTEMPTS = 5


class PolicyVersion(Document):
    """One version of an organization's or fundraiser's policy. The latest version applies."""

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField()  # None for the organization's policy
    version = IntField(required=True)
    window_seconds = FloatField()
    prefer = ListField(StringField())
    touch = StringField()
    other_fundraiser = StringField()
    removed = BooleanField(default=False)  # If true, the next more general policy applies.
    created_at = DateTimeField(default=now)

    meta = {
        "collection": "policy_versions",
        **OWNED_META,
        "auto_create_index": False,
        "indexes": [
            {"fields": ["organization_id", "fundraiser_id", "version"], "unique": True},
        ],
    }

    @classmethod
    def set(
        cls, organization_id: ObjectId, fundraiser_id: ObjectId | None, policy: MatchPolicy
    ) -> MatchPolicy:
        """Set the policy for future decisions. Existing decisions do not change.

        Raises:
            Conflict: too many clients are changing the policy at the same time.
        """
        values = {
            "window_seconds": policy.window.total_seconds(),
            "prefer": list(policy.prefer),
            "touch": policy.touch,
            "other_fundraiser": policy.other_fundraiser,
        }
        return to_policy(cls._add(organization_id, fundraiser_id, **values).to_mongo())

    @classmethod
    def remove(cls, organization_id: ObjectId, fundraiser_id: ObjectId | None) -> None:
        """Remove the policy, so that the next more general one applies again.

        Raises:
            NotFound: the organization or fundraiser has no policy of its own.
            Conflict: too many clients are changing the policy at the same time.
        """
        last = cls._last(organization_id, fundraiser_id)
        if last is None or last.removed:
            raise NotFound
        cls._add(organization_id, fundraiser_id, removed=True)

    @classmethod
    def list_fundraisers_with_policy(cls, organization_id: ObjectId) -> list[ObjectId]:
        """List the fundraisers that have their own policy."""
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
        note_changed_policy(organization_id, fundraiser_id)
        for _ in range(MAX_VERSION_ATTEMPTS):
            last = cls._last(organization_id, fundraiser_id)
            new = cls(
                organization_id=organization_id,
                fundraiser_id=fundraiser_id,
                version=(last.version if last else 0) + 1,
                **values,
            )
            try:
                saved: Self = new.save(force_insert=True)
            except NotUniqueError:  # Another client has just added the same version.
                await_majority()
            else:
                return saved
        raise Conflict("Too many clients are changing the policy. Try again.")


def find_effective_policy(
    tx: Tx, organization_id: ObjectId, fundraiser_id: ObjectId | None, default: MatchPolicy
) -> MatchPolicy:
    """Return the fundraiser's policy, or the organization's, or the default."""
    for of in dict.fromkeys((fundraiser_id, None)):
        last = tx.database.policy_versions.find_one(
            {"organization_id": organization_id, "fundraiser_id": of},
            sort=[("version", -1)],
            session=tx.session,
        )
        if last is not None and not last.get("removed"):
            return to_policy(last)
    return default


def to_policy(row: PolicyVersionRow) -> MatchPolicy:
    """Convert a stored version to a policy."""
    stored: Any = row  # Clients can store only valid values.
    return MatchPolicy(
        window=timedelta(seconds=row["window_seconds"]),
        prefer=tuple(stored["prefer"]),
        touch=stored["touch"],
        other_fundraiser=stored["other_fundraiser"],
        scope="fundraiser" if row.get("fundraiser_id") else "organization",
        version=row["version"],
    )
