"""The list of records that a page watches, parsed from its query. Pure."""

from typing import NamedTuple

from bson import ObjectId
from pydantic import Field

from service.api.fields import RequestModel
from service.api.parsing import bad_request

WATCHED_RECORD_COLLECTIONS = (
    *("fundraisers", "mailings", "emails", "users", "donations"),
    "imports",
)
# The newest record of an organization. It lets a page learn of records that it does not show yet.
NEWEST_RECORD_COLLECTIONS = {
    "new_fundraisers": "fundraisers",
    "new_mailings": "mailings",
    "new_donations": "donations",
}
WATCHED_COLLECTIONS = (*WATCHED_RECORD_COLLECTIONS, *NEWEST_RECORD_COLLECTIONS)
MAX_WATCHED_RECORDS = 100
MAX_WATCH_LENGTH = MAX_WATCHED_RECORDS * (max(map(len, WATCHED_COLLECTIONS)) + 26)


class WatchedRecord(NamedTuple):
    """A record and its organization, so that no ID reaches another organization's record."""

    organization_id: ObjectId
    collection: str
    id: ObjectId


class LiveQuery(RequestModel):
    watch: str = Field(
        min_length=1, max_length=MAX_WATCH_LENGTH, description="fundraisers:<id>,users:<id>"
    )


def read_watch(text: str, organization_id: ObjectId) -> set[WatchedRecord]:
    """Return the named records, as the organization's.

    Raises:
        falcon.HTTPBadRequest: a collection is unknown, an ID is invalid, or there are too many.
    """
    parts = text.split(",")
    if len(parts) > MAX_WATCHED_RECORDS:
        raise bad_request(f"A page can watch at most {MAX_WATCHED_RECORDS} records.")
    watched = set()
    for part in parts:
        collection, _, id_ = part.partition(":")
        if collection not in WATCHED_COLLECTIONS or not ObjectId.is_valid(id_):
            raise bad_request("Name the records as in `fundraisers:<id>,mailings:<id>`.")
        watched.add(WatchedRecord(organization_id, collection, ObjectId(id_)))
    return watched
