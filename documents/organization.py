"""Organization: a customer of the platform. Every other record belongs to exactly one."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Self
from zoneinfo import ZoneInfo, available_timezones

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, ListField, StringField, get_db

from documents.errors import NotFound, Unacceptable
from documents.storage.base import Document
from documents.storage.export_outbox import EXPORT_INDEX, Exported
from documents.storage.process_cache import ProcessCache
from documents.values.address import is_address
from documents.values.address_domain import to_canonical_domain
from documents.values.locale import DEFAULT_LOCALE, canonical_locale
from documents.values.time import now

MAX_ORGANIZATION_NAME_LENGTH = 200
# Settling asks before each batch. A deletion waits much longer than this cache keeps an answer.
_deleting = ProcessCache[ObjectId, bool]()


class Organization(Exported, Document):
    """A tenant of the platform."""

    name = StringField(required=True)
    time_zone = StringField(default="UTC")  # IANA name; reports show days and hours in this zone
    # BCP 47 tag for the dashboard's language and formats
    locale = StringField(default=DEFAULT_LOCALE)
    # canonical domains of its own addresses, with their subdomains; see values/mailbox_provider.py
    email_domains = ListField(StringField())
    # Members who are only viewers see no personal data of donors; see storage/personal_data.py.
    hides_personal_data = BooleanField(default=False)
    # Passwords do not open the organization; see access/grants.py.
    requires_single_sign_on = BooleanField(default=False)
    created_at = DateTimeField(default=now)
    deleting_at = DateTimeField()  # when its deletion began; see organizations/deletion_request.py

    @classmethod
    def create(cls, name: str, time_zone: str = "UTC", locale: str = DEFAULT_LOCALE) -> Self:
        """Add an organization.

        Raises:
            Unacceptable: the name is blank or longer than 200 characters, or the time zone or the
                locale is unknown.
        """
        organization = cls(
            name=_checked(name),
            time_zone=find_time_zone(time_zone).key,
            locale=locale_named(locale),
        )
        organization.save(force_insert=True)
        return organization

    def amend(self, changes: dict[str, Any]) -> Self:
        """Change the name, the time zone, the locale, the privacy setting or the email domains.

        Raises:
            Unacceptable: the name is blank or longer than 200 characters, the time zone or the
                locale is unknown, or a domain is invalid.
        """
        if "name" in changes:
            self.name = _checked(changes["name"])
        if "time_zone" in changes:
            self.time_zone = find_time_zone(changes["time_zone"]).key
        if "locale" in changes:
            self.locale = locale_named(changes["locale"])
        if "hides_personal_data" in changes:
            self.hides_personal_data = changes["hides_personal_data"]
        if "email_domains" in changes:
            self.email_domains = _checked_domains(changes["email_domains"])
        self.save()
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the reports."""
        return ZoneInfo(self.time_zone or "UTC")

    @classmethod
    def named(cls, id_: str) -> Self:
        """Return the organization with this ID.

        Raises:
            NotFound: no organization has this ID, or it is in deletion.
        """
        live = cls.objects(id=id_, deleting_at=None) if ObjectId.is_valid(id_) else None
        found: Self | None = live.first() if live else None
        if found is None:
            raise NotFound
        return found

    @classmethod
    def check_not_deleting(cls, id_: ObjectId) -> None:
        """Check that the organization is not in deletion.

        Raises:
            NotFound: the organization is in deletion, or is gone.
        """
        if cls.objects(id=id_, deleting_at=None).only("id").first() is None:
            raise NotFound

    meta = {
        "collection": "organizations",
        "auto_create_index": False,
        "indexes": [EXPORT_INDEX],
    }


def is_in_deletion(id_: ObjectId) -> bool:
    """Return whether the organization is in deletion, or is gone.

    The answer can be a second old.
    """
    known = _deleting.get(id_)
    if known is None:
        row = get_db().organizations.find_one({"_id": id_}, {"deleting_at": 1})
        known = row is None or row.get("deleting_at") is not None
        _deleting.put(id_, known)
    return known


def list_in_deletion(ids: Iterable[ObjectId]) -> set[ObjectId]:
    """Return which of the organizations are in deletion, as the database has it now.

    Entrances ask at each use, because a request that began before the deletion can store a key or
    a session after it.
    """
    query = {"_id": {"$in": list(ids)}, "deleting_at": {"$ne": None}}
    return {row["_id"] for row in get_db().organizations.find(query, {"_id": 1})}


def _checked(name: str) -> str:
    name = name.strip().encode("utf-8", "replace").decode()
    if not 1 <= len(name) <= MAX_ORGANIZATION_NAME_LENGTH:
        raise Unacceptable("/name", "length", "The name must have 1 to 200 characters.")
    return name


def _checked_domains(domains: Sequence[str]) -> list[str]:
    """Return the canonical domains without duplicates, in the given order."""
    found: dict[str, None] = {}
    for place, domain in enumerate(domains):
        canonical = to_canonical_domain(domain.strip())
        if "." not in canonical or not is_address(f"name@{canonical}"):
            raise Unacceptable(
                f"/email_domains/{place}", "domain", "Must be a domain, such as example.edu."
            )
        found[canonical] = None
    return list(found)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def find_time_zone(name: str) -> ZoneInfo:
    """Return the time zone with this IANA name, such as America/New_York.

    Raises:
        Unacceptable: no time zone has this name.
    """
    # ZoneInfo opens a file by the given name, so check the name first.
    if name not in _zones():
        raise Unacceptable(
            "/time_zone",
            "not_found",
            "The time zone must be an IANA name, such as America/New_York.",
        )
    return ZoneInfo(name)


def locale_named(tag: str) -> str:
    """Return the locale of this BCP 47 tag, in CLDR's spelling.

    Raises:
        Unacceptable: CLDR has no locale with this tag.
    """
    if (found := canonical_locale(tag)) is None:
        raise Unacceptable(
            "/locale", "not_found", "The locale is unknown. Use a BCP 47 tag such as de-DE."
        )
    return found
