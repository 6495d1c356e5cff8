"""The layout before index tables: users and emails had the indexes themselves.

`matchback migrate` fills the index tables and then drops these indexes. Until then, readers use
them, because the index tables are incomplete.
"""

from typing import Any

from pymongo.database import Database

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


def is_user_index_filled(database: Database[Any]) -> bool:
    """Return whether every user has a row in the index table."""
    return database.users.index_information().keys().isdisjoint(FORMER_USER_INDEXES)


def is_email_index_filled(database: Database[Any]) -> bool:
    """Return whether every email with a rare action has a row in the index table."""
    return database.emails.index_information().keys().isdisjoint(FORMER_EMAIL_INDEXES)
