"""The migration that gives each staff member an account."""

from typing import Any

from documents.access.former_staff import give_account
from matchback.engine import Tx

ACCOUNTS_MIGRATION = 40


def add_accounts(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Give each member an account with the same ID, the address and the password."""
    for row in rows:
        give_account(tx, row)
