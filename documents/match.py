"""Matches: an index collection that finds donations by their match.

A donation keeps all fields of its match, but none of them has an index. In a transaction, an update
of an indexed field costs MongoDB time that grows with the square of the collection's indexes. So
settling inserts a small record here instead, in the same transaction.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, ListField, ObjectIdField, StringField, get_db

from documents.rows.collections import collection
from documents.rows.donation import DonationRow, MatchRow
from documents.storage.base import Document
from documents.storage.former_match import read_match
from documents.storage.process_cache import ProcessCache
from documents.storage.tenancy import OWNED_META
from matchback.engine import LinkIndex, Tx, shorten_link

MATCHES_MIGRATION = 20  # until it finishes, donations have the former indexes
LINK_FIELDS = (
    *("email_id", "mailing_id", "user_id"),
    *("fundraiser_donor_id", "mailing_donor_id", "fundraiser_day_id", "mailing_day_id"),
    "participant_ids",
)
# The former indexes of donations. The migration's end drops them, so a new database has none.
FORMER_INDEXES = (
    "organization_id_1_match_1__id_1",
    "user_id_1__id_1",
    "user_id_1_donated_at_1",
    "email_id_1",
    "email_id_1__id_1",
    "mailing_id_1",
    "fundraiser_donor_id_1",
    "mailing_donor_id_1",
    "fundraiser_day_id_1",
    "mailing_day_id_1",
    "fundraiser_id_1_match_1_donated_at_1",
    "known_organization_id_match_id",
    "known_user_id_id",
    "known_user_id_donated_at",
    "known_email_id_id",
    "known_mailing_id",
    "known_fundraiser_donor_id",
    "known_mailing_donor_id",
    "known_fundraiser_day_id",
    "known_mailing_day_id",
)
FIRST_IDS_PER_READ, MAX_IDS_PER_READ = 100, 5_000

COMPLETE_CACHE_SECONDS = 60.0

_complete = ProcessCache[str, bool](COMPLETE_CACHE_SECONDS, most=16)


class Match(Document):
    """A record that finds a donation by its match. The ID is the donation's ID.

    links: the IDs of the email, mailing, user, donors, gift days and participants of the donation,
    with digests in place of texts. They differ between collections, so one index finds them all.
    """

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField(required=True)
    match = StringField(required=True)
    donated_at = DateTimeField(required=True)
    links = ListField(required=True)

    meta = {
        "collection": "matches",
        "auto_create_index": False,
        "indexes": [
            ["links", "id"],
            ["organization_id", "match", "id"],
            ["fundraiser_id", "match", "donated_at"],
        ],
        **OWNED_META,
    }


def _build_match_fields(gift: DonationRow) -> Mapping[str, Any] | None:
    """Return the fields of a donation's match record, or None if the donation has no match.

    A deleted donation keeps its record, because an erasure finds the donation by its user.
    """
    if (match := read_match(gift)) is None:
        return None
    return {
        "organization_id": gift["organization_id"],
        "fundraiser_id": gift["fundraiser_id"],
        "match": match,
        "donated_at": gift["donated_at"],
    }


def has_all_matches() -> bool:
    """Return whether every matched donation has its record.

    Until then, readers search the donations themselves, which still have the former indexes. A
    positive answer stays true, so it is cached.
    """
    database = get_db()
    if _complete.get(database.name):
        return True
    done = database.migrations.find_one({"_id": MATCHES_MIGRATION}, {"finished_at": 1}) or {}
    is_complete = "finished_at" in done or not has_former_indexes()
    if is_complete:
        _complete.put(database.name, is_complete)
    return is_complete


def has_former_indexes() -> bool:
    """Return whether donations have an index of their match, as in the former layout."""
    return not set(FORMER_INDEXES).isdisjoint(get_db().donations.index_information())


def forget_match_layout() -> None:
    """Clear the cached answer of `has_all_matches`."""
    _complete.clear()


MATCH_INDEX = LinkIndex(
    collection="matches",
    fields=LINK_FIELDS,
    build=_build_match_fields,
    is_complete=has_all_matches,
)


def find_matched_ids(
    tx: Tx, query: Mapping[str, Any], *, descending: bool = False, first: int = FIRST_IDS_PER_READ
) -> Iterator[list[ObjectId]]:
    """Yield the IDs of donations by a query on their match records, in order of ID.

    Each part is larger than the previous one, so that a caller that stops early reads little.
    """
    number, order = first, -1 if descending else 1
    beyond = "$lt" if descending else "$gt"
    after: dict[str, Any] = {}
    while True:
        found = collection(tx.database, MatchRow).find(
            {"$and": [query, after]} if after else query,
            {"_id": 1},
            sort=[("_id", order)],
            limit=number,
            batch_size=number,
            session=tx.session,
        )
        if ids := [row["_id"] for row in found]:
            yield ids
        if len(ids) < number:
            return
        after = {"_id": {beyond: ids[-1]}}
        number = min(2 * number, MAX_IDS_PER_READ)


def find_linked_gifts(
    tx: Tx,
    link: str,
    ids: Iterable[Any],
    query: Mapping[str, Any],
    fields: Mapping[str, int] | None = None,
) -> Iterator[DonationRow]:
    """Yield the donations that link to one of these IDs and match a query.

    Args:
        link: the field of the donation, one of `LINK_FIELDS`.
    """
    wanted = list(ids)
    linked = {link: {"$in": wanted}, **query}
    gifts = collection(tx.database, DonationRow)
    if not has_all_matches():
        yield from gifts.find(linked, fields, session=tx.session)
        return
    links = [shorten_link(id_) for id_ in wanted]
    for part in find_matched_ids(tx, {"links": {"$in": links}}):
        these = {"_id": {"$in": part}, **linked}
        yield from gifts.find(these, fields, session=tx.session)
