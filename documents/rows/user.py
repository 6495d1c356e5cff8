"""The stored form of users."""

from datetime import datetime
from typing import Any, NotRequired

from documents.rows.record import RecordRow


class UserRow(RecordRow):
    """A row of `users`; see `User`."""

    name: str
    email: str
    attributes: NotRequired[dict[str, str]]
    erasing: NotRequired[str]
    erasing_names: NotRequired[list[str]]
    erase_due: NotRequired[datetime]
    address: NotRequired[str]
    mailbox: NotRequired[str]
    former_mailboxes: NotRequired[list[str]]
    words: NotRequired[list[str]]
    rematch_mailboxes: NotRequired[list[str]]
    rematch_due: NotRequired[datetime]
    rematch_page: NotRequired[dict[str, Any]]
    emails_count: NotRequired[int]
    donations_count: NotRequired[int]
    donated: NotRequired[dict[str, int]]
    last_donated_at: NotRequired[datetime]
    enrolled_at: NotRequired[datetime]
    export_due: NotRequired[datetime]
