"""The stored form of posts from shared accounts."""

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId

from documents.rows.record import StoredTrouble


class SharedPostRow(TypedDict):
    """A row of `shared_posts`; see `SharedPost`."""

    _id: ObjectId
    provider: str
    body: bytes
    items: int
    size: int
    tokens_only: NotRequired[bool]
    version: int
    looks: int
    due: NotRequired[datetime]
    trouble: NotRequired[StoredTrouble]
    reasons: NotRequired[dict[str, int]]
    look_again_at: NotRequired[datetime]
