"""The migration that counts the gifts of emails on their fundraisers and mailings.

Reports read its state, so this module imports no other migration.
"""

from mongoengine import get_db

MATCHED_MIGRATION = 43


def has_matched_counters() -> bool:
    """Return whether fundraisers and mailings count the gifts of all their emails."""
    finished = {"_id": MATCHED_MIGRATION, "finished_at": {"$ne": None}}
    return get_db().migrations.find_one(finished, {"_id": 1}) is not None
