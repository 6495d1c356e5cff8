"""Rules about which stored data belongs to an organization.

A collection whose records have `organization_id` needs no rule. Each other collection has one here,
and a test fails if a collection has neither. So deletion cannot forget a future collection.
"""

from typing import Literal

from mongoengine import get_db

Rule = Literal["account", "message", "journal", "gift day", "named", "last", "service"]

# An account goes with its last membership. Only an email, a mailing or a fundraiser finds a
# message, a journal row or a gift day. The ID of a named row ends with the organization's ID. Rows
# of the service hold no organization's data.
RULES: dict[str, Rule] = {
    "accounts": "account",
    "messages": "message",
    "counter_changes": "journal",
    "counter_sums": "journal",
    "gift_days": "gift day",
    "turns": "named",
    "asked_turns": "named",
    "leases": "named",
    "organizations": "last",
    "journal_progress": "service",
    "link_keys": "service",
    "migrations": "service",
    "recounts": "service",
    "relabellings": "service",
    "shared_posts": "service",
    "unexported": "service",
    "warehouse_state": "service",
}
# Other rows are found by these records, so they go later, in this order.
ANCHOR_COLLECTIONS = ("emails", "mailings", "fundraisers")
SYSTEM_PREFIX = "system."


def list_owned_collections() -> list[str]:
    """Return all collections whose records can name an organization, in the order of names.

    The database names them, so a collection of another version is among them.
    """
    names = get_db().list_collection_names(filter={"type": "collection"})
    return sorted(name for name in names if name not in RULES and not is_system(name))


def is_system(name: str) -> bool:
    """Return whether MongoDB itself keeps this collection."""
    return name.startswith(SYSTEM_PREFIX)
