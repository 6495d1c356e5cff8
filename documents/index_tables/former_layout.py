"""The layout before index tables: users and emails had the indexes themselves.

`matchback migrate` fills the index tables and then drops these indexes. Until then, readers use
them, because the index tables are incomplete.
"""

from typing import Any

from pymongo.database import Database

from documents.storage.process_cache import ProcessCache

FORMER_USER_INDEXES = tuple(
    f"organization_id_1_{name}_1__id_1"
    for name in ("donations_count", "emails_count", "last_donated_at")
)
FORMER_RARE_ACTIONS_INDEX = "mailing_rare"
FORMER_EMAIL_INDEXES = (
    "organization_id_1_donations_count_1__id_1",
    "organization_id_1_donated_1__id_1",
    FORMER_RARE_ACTIONS_INDEX,
)


FILLED_CACHE_SECONDS = 60.0

# Only positive answers, which stay true because no process creates the former indexes again.
_filled = ProcessCache[tuple[str, str], bool](FILLED_CACHE_SECONDS, most=16)


def is_user_index_filled(database: Database[Any]) -> bool:
    """Return whether every user has a row in the index table."""
    return _lacks_indexes(database, "users", FORMER_USER_INDEXES)


def is_email_index_filled(database: Database[Any]) -> bool:
    """Return whether every email with a rare action has a row in the index table."""
    return _lacks_indexes(database, "emails", FORMER_EMAIL_INDEXES)


def forget_former_layout() -> None:
    """Clear the cached answers."""
    _filled.clear()


def _lacks_indexes(database: Database[Any], name: str, former: tuple[str, ...]) -> bool:
    key = database.name, name
    if _filled.get(key):
        return True
    is_filled = database[name].index_information().keys().isdisjoint(former)
    if is_filled:
        _filled.put(key, is_filled)
    return is_filled
