"""The list of records that a page watches, parsed from its query. Pure."""

from typing import NamedTuple

from bson import ObjectId
from pydantic import Field

from service.api.fields import Request
from service.api.parsing import malformed

RECORDS = ("fundraisers", "mailings", "emails", "users", "donations")
# The newest record of an organization. It lets a page learn of records that it does not show yet.
NEWEST = {
    "new_fundraisers": "fundraisers",
    "new_mailings": "mailings",
    "new_donations": "donations",
}
COLLECTIONS = (*RECORDS, *NEWEST)
WATCHED_LIMIT = 100
LONGEST = WATCHED_LIMIT * (max(map(len, COLLECTIONS)) + 26)


class Watched(NamedTuple):
    """A record and its organization, so that no ID reaches another organization's record."""

    organization_id: ObjectId
    collection: str
    id: ObjectId


class LiveQuery(Request):
    watch: str = Field(min_length=1, max_length=LONGEST, description="fundraisers:<id>,users:<id>")


def read_watch(text: str, organization_id: ObjectId) -> set[Watched]:
    """Return the named records, as the organization's.

    Raises:
        falcon.HTTPBadRequest: a collection is unknown, an ID is invalid, or there are too many.
    """
    parts = text.split(",")
    if len(parts) > WATCHED_LIMIT:
        raise malformed(f"A page can watch at most {WATCHED_LIMIT} records.")
    watched = set()
    for part in parts:
        collection, _, id_ = part.partition(":")
        if collection not in COLLECTIONS or not ObjectId.is_valid(id_):
            raise malformed("Name the records as in `fundraisers:<id>,mailings:<id>`.")
        watched.add(Watched(organization_id, collection, ObjectId(id_)))
    return watched
