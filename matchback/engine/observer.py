"""Observers: an application's own notes about records, in the transaction that settles them."""

from collections.abc import Callable
from typing import Protocol

from .contribution import StoredDocument
from .update import Update


class Observer(Protocol):
    """Follows the records of one settlement. Settling creates one for each transaction."""

    def note(self, source: str, row: StoredDocument, update: Update) -> None:
        """Look at a record that is counted now, and add to its update.

        Another thread may use the session meanwhile, so this must not use it.

        Args:
            source: collection of the record.
            row: its new state, but `counted` is still the earlier one.
        """

    def write(self, send: Callable[..., None]) -> None:
        """Store the notes.

        Args:
            send: send(function, *args, **kwargs) runs a function that uses the session.
        """
