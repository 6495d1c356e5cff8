"""Pages of donations with a filter on their match, which has no index on the donations.

A page reads IDs from the matches and then the donations. It also applies all filters to the
donations, because a donation can change between both reads.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from bson import ObjectId
from mongoengine import Document, get_db

from documents.match import find_matched_ids, has_all_matches
from documents.storage.former_match import read_match_filter
from documents.storage.pagination import PageRead, find_records
from matchback.engine import Tx

# More matches of one class are so common that a page finds them in the order of the donations.
MAX_SORTED_MATCHES = 2_000
LINK_FILTERS = ("user_id", "email_id")


def read_page(document: type[Document], page: PageRead) -> list[Any]:
    """Return the records of a page of donations."""
    matched = _build_match_query(page)
    if matched is None or not has_all_matches():
        return find_records(document, page)
    if page.order[0][0] == "_id":
        return list(islice(_read_in_order(document, page, matched), page.number))
    parts = find_matched_ids(Tx(get_db()), matched, first=MAX_SORTED_MATCHES + 1)
    if "links" not in matched:
        few = next(parts, [])
        if len(few) > MAX_SORTED_MATCHES:
            return find_records(document, page)
        parts = iter([few])
    return _read_sorted(document, page, parts)


def _build_match_query(page: PageRead) -> dict[str, Any] | None:
    """Return the query for the match records, or None if donations need no filter by match."""
    links = [page.filters[name] for name in LINK_FILTERS if name in page.filters]
    match = read_match_filter(page.filters)
    if "external_id" in page.filters or not (links or match):
        return None
    query: dict[str, Any] = {"organization_id": page.organization_id}
    if links:
        query["links"] = {"$all": links}
    if match:
        query["match"] = match
    if "fundraiser_id" in page.filters:
        query["fundraiser_id"] = page.filters["fundraiser_id"]
    return query


def _read_in_order(
    document: type[Document], page: PageRead, matched: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield donations in the order of their IDs, which is also the order of the matches."""
    query = {"$and": [matched, page.beyond]} if page.beyond else matched
    descending = page.order[0][1] < 0
    parts = find_matched_ids(Tx(get_db()), query, descending=descending, first=page.number)
    for part in parts:
        yield from find_records(document, _limit_to(page, part))


def _read_sorted(
    document: type[Document], page: PageRead, parts: Iterable[list[ObjectId]]
) -> list[Any]:
    field, direction = page.order[0]
    found = [one for part in parts for one in find_records(document, _limit_to(page, part))]
    found.sort(key=lambda one: (getattr(one, field), one.id), reverse=direction < 0)
    return found[: page.number]


def _limit_to(page: PageRead, ids: list[ObjectId]) -> PageRead:
    return replace(page, query={"$and": [{"_id": {"$in": ids}}, page.query]})
