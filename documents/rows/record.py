"""Stored fields that many kinds of rows share."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId


class StoredTrouble(TypedDict):
    """Failed attempts to settle a record; see concurrency/retries.py.

    slow: attempts that took too long. They do not use up retries.
    """

    tries: int
    error: str
    slow: NotRequired[int]
    retry_at: NotRequired[datetime]
    failed_at: NotRequired[datetime]


class RecordRow(TypedDict):
    """A record of one organization."""

    _id: ObjectId
    organization_id: ObjectId
    created_at: NotRequired[datetime]
    updated_at: NotRequired[datetime]
    deleted_at: NotRequired[datetime]
    version: NotRequired[int]


class SourceRow(TypedDict):
    """A record that counters count."""

    counted: NotRequired[list[Any]]
    due: NotRequired[datetime]
    trouble: NotRequired[StoredTrouble]


class TalliedRow(TypedDict):
    """A record with the counters of `SharedCounters`."""

    emails_count: NotRequired[int]
    donations_count: NotRequired[int]
    donors: NotRequired[int]
    raised: NotRequired[dict[str, int]]
    refunded: NotRequired[dict[str, int]]
    gifts: NotRequired[dict[str, int]]
    cost: NotRequired[dict[str, int]]
    by_match: NotRequired[dict[str, Any]]
    matched: NotRequired[dict[str, Any]]
    recurring: NotRequired[dict[str, Any]]
    funnel: NotRequired[dict[str, int]]
    delays: NotRequired[dict[str, int]]
    journal_from: NotRequired[datetime]
