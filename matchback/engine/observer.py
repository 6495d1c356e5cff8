"""Observers: an application's own notes about records, in the transaction that settles them."""

from collections.abc import Callable
from typing import Protocol

from .contribution import StoredDocument
from .update import Update

SendWrite = Callable[..., None]  # send(function, *args, **kwargs): run it in the writer's thread


class Observer(Protocol):
    """Follows the records of one settlement. Settling creates one for each transaction."""

    def note(self, source: str, row: StoredDocument, update: Update) -> None:
        """Look at a record that is counted now, and add to its update.

        Another thread may use the session meanwhile, so this must not use it.

        Args:
            source: collection of the record.
            row: its new state, but `counted` is still the earlier one.
        """

    def write(self, send: SendWrite) -> None:
        """Store the notes by functions that use the transaction's session."""
