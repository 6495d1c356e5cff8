"""The segments of new emails.

A client can send a new value for every user. So a mailing has a limited number of values of each
attribute, and further values share one segment. Two processes can exceed the limit by a few values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import DuplicateKeyError

from config.database import await_majority
from documents.organization import Organization
from documents.segments.arm_segment import make_arm_segment_ids
from documents.segments.segment import make_segment_id
from documents.storage.process_cache import ProcessCache
from documents.values.attributes import MAILBOX_PROVIDER
from documents.values.mailbox_provider import find_mailbox_provider

MAX_VALUES_PER_ATTRIBUTE = 200
MAX_ATTRIBUTES_PER_OWNER = 40
VALUES_CACHE_SECONDS, MAX_CACHED_ATTRIBUTES = 600.0, 1_000

# A stale value only affects emails that are recorded within the second of a change.
_own_domains = ProcessCache[ObjectId, tuple[str, ...]]()


@dataclass(frozen=True)
class SegmentOwner:
    """The mailing of an email, or the fundraiser of an email without a mailing."""

    organization_id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId | None

    @property
    def id(self) -> ObjectId:
        return self.mailing_id or self.fundraiser_id

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of the owner's segments."""
        owners = {"organization_id": self.organization_id, "fundraiser_id": self.fundraiser_id}
        return owners | {"mailing_id": self.mailing_id}


def build_segment_row_of(owner: SegmentOwner, attribute: str, value: str | None) -> dict[str, Any]:
    """Return the row of a new segment.

    Args:
        value: None for the segment of all values beyond the limit.
    """
    row: dict[str, Any] = {
        "_id": make_segment_id(owner.id, attribute, value),
        **owner.fields,
        "attribute": attribute,
        **({"is_rest": True} if value is None else {"value": value}),
    }
    return {key: one for key, one in row.items() if one is not None}


@dataclass
class _KnownValues:
    """The stored values of an attribute.

    Segments are never deleted, so a known value stays, and a full attribute stays full.
    """

    owner: SegmentOwner
    attribute: str
    ids: dict[str | None, ObjectId] = field(default_factory=dict)
    is_ignored: bool = False

    def find(self, value: str) -> ObjectId | None:
        """Return the segment of a value. Store it if it is new and the limit allows."""
        if self.is_ignored:
            return None
        if (id_ := self.ids.get(value)) is not None:
            return id_
        if len(self.ids) < MAX_VALUES_PER_ATTRIBUTE:
            self._load()  # other processes may have added values
        if (id_ := self.ids.get(value)) is not None:
            return id_
        return self._add(value if len(self.ids) < MAX_VALUES_PER_ATTRIBUTE else None)

    def _load(self) -> None:
        query = {**self.owner.fields, "attribute": self.attribute}
        found = list(get_db().segments.find(query, {"value": 1}))
        self.ids = {row.get("value"): row["_id"] for row in found}
        self.is_ignored = not found and _has_all_attributes(self.owner)

    def _add(self, value: str | None) -> ObjectId | None:
        if self.is_ignored:
            return None
        if (id_ := self.ids.get(value)) is not None:
            return id_
        row = build_segment_row_of(self.owner, self.attribute, value)
        try:
            get_db().segments.insert_one(row)
        except DuplicateKeyError:  # another request stored it
            await_majority()  # so that a failover cannot lose it
        self.ids[value] = row["_id"]
        return self.ids[value]


_known = ProcessCache[tuple[ObjectId, str], _KnownValues](
    VALUES_CACHE_SECONDS, most=MAX_CACHED_ATTRIBUTES
)


def find_segment_ids(
    owner: SegmentOwner, address: str, attributes: Mapping[str, str]
) -> list[ObjectId]:
    """Return the segments of a new email to a user with this address and these attributes."""
    provider = find_mailbox_provider(address, _find_own_domains(owner.organization_id))
    found = []
    for attribute, value in {MAILBOX_PROVIDER: provider, **attributes}.items():
        key = owner.id, attribute
        if (known := _known.get(key)) is None:
            known = _KnownValues(owner, attribute)
            _known.put(key, known)
        found.append(known.find(value))
    return [id_ for id_ in found if id_ is not None]


def build_segment_values(
    owner: SegmentOwner, address: str, attributes: Mapping[str, str], arm_id: str | None
) -> dict[str, Any]:
    """Return the fields of a new email that come from its user.

    Args:
        arm_id: the email's arm, if it has one.
    """
    ids = find_segment_ids(owner, address, attributes)
    values: dict[str, Any] = {"segment_ids": ids}
    if attributes:
        values["attributes"] = dict(attributes)
    if arm_id:
        values["arm_segment_ids"] = make_arm_segment_ids(ids, arm_id)
    return values


def _has_all_attributes(owner: SegmentOwner) -> bool:
    """Return whether the owner has segments of so many attributes that it gets no others."""
    names = get_db().segments.distinct("attribute", owner.fields)
    return len(names) >= MAX_ATTRIBUTES_PER_OWNER


def _find_own_domains(organization_id: ObjectId) -> tuple[str, ...]:
    if (domains := _own_domains.get(organization_id)) is None:
        found = Organization.objects(id=organization_id).only("email_domains").first()
        domains = tuple(found.email_domains) if found else ()
        _own_domains.put(organization_id, domains)
    return domains
