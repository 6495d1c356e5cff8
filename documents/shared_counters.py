"""Counters that fundraisers and mailings share."""

from typing import Self

from mongoengine import DateTimeField, DictField, IntField, MapField


class SharedCounters:
    """Mixin with the counters of reports. Only the engine writes them; see documents/counters.py.

    - funnel: emails by outcome (sent, delivered, opened, …), and events (opens, clicks).
    - by_match: gifts and amount raised, by match class (link, address, pinned, none).
    - recurring: plans that began, their first gifts, and all their gifts so far.
    - delays: gifts by hours from their email; see documents/values/delays.py.
    - gifts, raised, refunded, cost: by currency; money in minor units.
    - journal_from: time since which the journal has every change; see documents/history/.
    """

    emails_count = IntField(default=0)
    donations_count = IntField(default=0)
    donors = IntField(default=0)
    raised = MapField(IntField())
    refunded = MapField(IntField())
    gifts = MapField(IntField())
    cost = MapField(IntField())
    by_match = DictField()
    recurring = DictField()
    funnel = MapField(IntField())
    delays = MapField(IntField())
    journal_from = DateTimeField()

    def start_journal(self) -> Self:
        """Note on a new record that the journal has all its changes."""
        self.journal_from = self.created_at  # type: ignore[attr-defined]
        return self
