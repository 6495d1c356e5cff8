"""Erasure of a person in unrouted items of shared accounts; see erasure.py for the whole erasure.

These items belong to no organization, so every organization's erasure searches them by address. An
item may name an email that another organization records later. Such an item stays without the
address, and without the client's IP address and user agent. So no organization can remove the
events of another one.
"""

from collections.abc import Sequence
from typing import Any

from mongoengine import get_db

from documents.erased.decoded import list_json_texts
from documents.erased.items import ERASED_BODY, encode_items
from documents.erased.person import Person
from documents.erased.rules import Traces, find_addresses
from documents.errors import Unusable
from documents.giving_links.unowned_references import list_candidate_ids
from documents.privacy.posts import redact_json
from documents.providers.registry import PROVIDERS
from documents.providers.report import ERASED_ITEM, EventReport, clean_text
from documents.rows.collections import collection
from documents.rows.shared_post import SharedPostRow
from documents.shared_accounts.plan import NO_ORGANIZATION
from documents.tracking.reader import parse_stored_body

POSTS_PER_BATCH = 20


def erase_shared_posts(person: Person) -> bool:
    """Remove the person from all unrouted items.

    Return False if a post about the person is due, and must be routed first.
    """
    posts, finished = collection(get_db(), SharedPostRow), True
    for post in posts.find().sort("_id", 1).batch_size(POSTS_PER_BATCH):
        body = _without(person.traces, post)
        if body is None:
            continue
        # A worker may route the post at the same time. It then must not restore the items.
        as_read = {"_id": post["_id"], "version": post["version"], "due": None}
        update = {"$set": {"body": body, "size": len(body)}, "$inc": {"version": 1}}
        if not get_db().shared_posts.update_one(as_read, update).matched_count:
            finished = False
    return finished


def _without(traces: Traces, post: SharedPostRow) -> bytes | None:
    """Return the body without the person; None if it does not mention them."""
    raw = bytes(post["body"])
    if not traces.has_address_or_reference(raw.decode("utf-8", "replace")):
        return None
    items = parse_stored_body(post["provider"], raw)
    if items is None:
        return ERASED_BODY
    kept = [_redact_item(traces, post, item) for item in items]
    return encode_items(kept) if kept != items else None


def _redact_item(traces: Traces, post: SharedPostRow, item: Any) -> Any:
    text = "\n".join(list_json_texts(item))
    if not traces.has_address_or_reference(text):
        return item
    try:
        reports = PROVIDERS[post["provider"]].read_events(NO_ORGANIZATION, item)
    except Unusable:
        return ERASED_ITEM
    may_be_routed = "look_again_at" in post and all(
        list_candidate_ids(report.email_ref, tokens_only=post.get("tokens_only", False))
        for report in reports
    )
    is_theirs = _is_theirs(traces, reports)
    if is_theirs and not may_be_routed:
        return ERASED_ITEM
    clients = {text for report in reports for text in (report.ip, report.user_agent)}

    def tells(text: str) -> bool:
        return traces.has_address(text) or (is_theirs and clean_text(text) in clients)

    redacted = redact_json(item, tells)
    left = "\n".join(list_json_texts(redacted))
    return ERASED_ITEM if traces.has_address_or_reference(left) else redacted


def _is_theirs(traces: Traces, reports: Sequence[EventReport]) -> bool:
    """Return whether an item is about the person, and not only about other recipients."""
    addresses = [list(find_addresses(report.address)) for report in reports]
    return not all(addresses) or any(
        traces.belongs_to_person(one) for found in addresses for one in found
    )
