"""The digests that staff choose: one row for each staff member and fundraiser.

A missing row means no digest. The row ends with the staff member or the fundraiser.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ObjectIdField, StringField

from documents.digests.rules import DIGEST_FREQUENCIES, DigestFrequency, find_next_due
from documents.fundraiser import Fundraiser
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

MAX_LISTED_CHOICES = 200


class DigestChoice(Document):
    """A staff member's digest of a fundraiser.

    Attributes:
        id: "<staff>:<fundraiser>", so that both have one row at most.
        next_due_at: time of the next mail.
        changes_since: time from which the next digest reports changes.
        totals: the counters of changes at that time; see `read_change_totals`.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    staff_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField(required=True)
    frequency = StringField(required=True, choices=DIGEST_FREQUENCIES)
    next_due_at = DateTimeField(required=True)
    changes_since = DateTimeField(required=True)
    totals = DictField()

    meta = {
        "collection": "digest_choices",
        "auto_create_index": False,
        "indexes": ["next_due_at", "staff_id", "fundraiser_id"],
        **OWNED_META,
    }

    @classmethod
    def choose(
        cls,
        staff_id: ObjectId,
        fundraiser: Fundraiser,
        frequency: DigestFrequency | None,
        zone: ZoneInfo,
    ) -> None:
        """Store the staff member's choice; None ends the digest.

        The first mail covers the period that ends next.
        """
        if frequency is None:
            cls.end(staff_id, fundraiser.id)
            return
        id_, at = make_choice_id(staff_id, fundraiser.id), now()
        if cls.objects(id=id_, frequency=frequency).first() is None:
            own = cls.objects(id=id_, organization_id=fundraiser.organization_id)
            own.update_one(
                upsert=True,
                set__staff_id=staff_id,
                set__fundraiser_id=fundraiser.id,
                set__frequency=frequency,
                set__next_due_at=find_next_due(frequency, at, zone),
                set__changes_since=at,
                set__totals=read_change_totals(fundraiser),
            )

    @classmethod
    def find(cls, staff_id: ObjectId, fundraiser_id: ObjectId) -> Self | None:
        """Return the staff member's digest of a fundraiser; None if there is none."""
        found: Self | None = cls.objects(id=make_choice_id(staff_id, fundraiser_id)).first()
        return found

    @classmethod
    def list_of(cls, staff_id: ObjectId) -> list[tuple[Self, Fundraiser]]:
        """Return a staff member's digests with their fundraisers, in order of names."""
        choices = list(cls.objects(staff_id=staff_id).limit(MAX_LISTED_CHOICES))
        fundraisers = {
            one.id: one
            for one in Fundraiser.objects(
                id__in=[choice.fundraiser_id for choice in choices], deleted_at=None
            )
        }
        found = [
            (choice, fundraisers[choice.fundraiser_id])
            for choice in choices
            if choice.fundraiser_id in fundraisers
        ]
        return sorted(found, key=lambda one: (one[1].name.casefold(), one[1].id))

    @classmethod
    def end(cls, staff_id: ObjectId, fundraiser_id: ObjectId) -> bool:
        """End a digest. Return whether there was one."""
        return bool(cls.objects(id=make_choice_id(staff_id, fundraiser_id)).delete())

    @classmethod
    def list_due(cls, at: datetime, number: int) -> list[Self]:
        """Return the digests whose mails are due, longest due first."""
        return list(cls.objects(next_due_at__lte=at).order_by("next_due_at").limit(number))

    def advance(self, **values: Any) -> bool:
        """Set the next due time and other values, unless another process has done so.

        Return whether this process did.
        """
        own = type(self).objects(
            id=self.id, organization_id=self.organization_id, next_due_at=self.next_due_at
        )
        update = {f"set__{name}": value for name, value in values.items()}
        return bool(own.update_one(**update))


def make_choice_id(staff_id: ObjectId, fundraiser_id: ObjectId) -> str:
    """Return the ID of the row of a staff member and a fundraiser."""
    return f"{staff_id}:{fundraiser_id}"


def end_digests_of_staff(staff_ids: Iterable[ObjectId]) -> None:
    """End all digests of removed staff members."""
    DigestChoice.objects(staff_id__in=list(staff_ids)).delete()


def end_digests_about(fundraiser_ids: Iterable[ObjectId]) -> None:
    """End all digests about deleted fundraisers."""
    DigestChoice.objects(fundraiser_id__in=list(fundraiser_ids)).delete()


def read_change_totals(fundraiser: Fundraiser) -> dict[str, Any]:
    """Return the counters whose growth a digest reports. No other record has their times."""
    funnel = fundraiser.funnel
    return {
        "refunded": dict(fundraiser.refunded),
        "bounced": funnel.get("bounced", 0),
        "unsubscribed": funnel.get("unsubscribed", 0),
    }
