"""Rules of routing: the organization of an item, and the times of further looks. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
from bson import ObjectId

from documents.erased.items import encode_items

# An email may be recorded after its first events. The first interval is longer than a transaction
# takes, as for unmatched events (tracking/unmatched.py). The sum is four days and a half, because
# providers report for about three days after a message was sent.
LOOK_AGAIN_INTERVALS = (
    timedelta(seconds=70),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(hours=24),
    timedelta(hours=72),
)
ROUTED = "routed"
INVALID, FAILED, NO_REFERENCE, UNKNOWN_EMAIL, SEVERAL_ORGANIZATIONS = (
    "invalid",
    "failed",
    "no_reference",
    "unknown_email",
    "several_organizations",
)
UNROUTED_REASONS = {
    INVALID: "Matchback cannot read the item",
    FAILED: "reading the item failed because of a bug",
    NO_REFERENCE: "an event of the item names no email, or not by a token as the account requires",
    UNKNOWN_EMAIL: "an event of the item names an email that is not recorded",
    SEVERAL_ORGANIZATIONS: "the item names emails of several organizations",
}
DELIVERY_DIGEST_BYTES = 8  # an ID of 12 bytes begins with 4 bytes of its time


class NamedEmail(NamedTuple):
    """The email that an event names.

    Attributes:
        has_reference: whether the event has an ID or a token at all.
        owners: the organizations that own such an email; at most one, except in a hostile text.
    """

    has_reference: bool
    owners: frozenset[ObjectId]


class Route(NamedTuple):
    """The organization of an item, or the reason why it has none. Both are None without events."""

    organization_id: ObjectId | None
    reason: str | None


def choose_route(named: Sequence[NamedEmail]) -> Route:
    """Return the route of an item by the emails that its events name.

    An organization gets an item only if every event of the item names an email of it.
    """
    owners = frozenset[ObjectId]().union(*(one.owners for one in named))
    if len(owners) > 1:
        return Route(None, SEVERAL_ORGANIZATIONS)
    if not all(one.has_reference for one in named):
        return Route(None, NO_REFERENCE)
    if not all(one.owners for one in named):
        return Route(None, UNKNOWN_EMAIL)
    return Route(next(iter(owners), None), None)


def choose_next_look(reasons: Iterable[str], looks: int, at: datetime) -> datetime | None:
    """Return the time of the next look at unrouted items, or None if no look can help.

    Args:
        looks: the number of looks so far, at least 1.
    """
    if UNKNOWN_EMAIL not in reasons or looks > len(LOOK_AGAIN_INTERVALS):
        return None
    return at + LOOK_AGAIN_INTERVALS[looks - 1]


def make_delivery_id(post_id: ObjectId, version: int, organization_id: ObjectId) -> ObjectId:
    """Return the ID of the delivery that routing makes from a version of a post.

    It begins with the time at which the post arrived, because retention and replay read the time.
    """
    named = post_id.binary + organization_id.binary + str(version).encode()
    digest = hashlib.blake2b(named, digest_size=DELIVERY_DIGEST_BYTES).digest()
    return ObjectId(post_id.binary[:4] + digest)


def encode_body(items: list[object]) -> bytes:
    """Return items as the body of a post."""
    try:
        return orjson.dumps(items)
    except TypeError:  # such as a lone surrogate, or too many nested levels
        return b"[%b]" % b",".join(map(_encode_item, items))


def _encode_item(item: object) -> bytes:
    """Return an item as JSON. Only an unusual item has escapes, which need more space."""
    try:
        return orjson.dumps(item)
    except TypeError:
        return encode_items([item])[1:-1]
