"""Counters that several kinds of records share."""

from typing import Self

from mongoengine import DateTimeField, DictField, IntField, MapField


class SharedCounters:
    """Mixin with the counters of fundraisers and mailings.

    Only the engine writes them; see documents/counters.py.

    - funnel: emails by outcome (sent, delivered, opened, …), and events (opens, clicks).
    - by_match: gifts and amount raised, by match class (link, address, pinned, none).
    - matched: gifts that match the emails, `count` and `raised` by currency. A gift that is pinned
      to another fundraiser's email counts there.
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
    matched = DictField()
    recurring = DictField()
    funnel = MapField(IntField())
    delays = MapField(IntField())
    journal_from = DateTimeField()

    def start_journal(self) -> Self:
        """Note on a new record that the journal has all its changes."""
        self.journal_from = self.created_at  # type: ignore[attr-defined]
        return self


class ArmCounters:
    """Mixin with the counters of participants and their gifts, by intention to treat.

    - recipients: participants, whether or not their email was sent.
    - givers: participants with a gift in their window; by currency as well.
    - raised: net minor units by currency.
    - credited: net minor units of the gifts that match the emails, by currency.
    - ends: participants by the UTC day on which their window ends, such as 2026-12-20.
    - squares: sums of the squared net minor units of each participant, by currency, in two parts;
      see `join_square`.
    """

    recipients = IntField(default=0)
    delivered = IntField(default=0)
    opened = IntField(default=0)
    clicked = IntField(default=0)
    givers = IntField(default=0)
    givers_by_currency = MapField(IntField())
    raised = MapField(IntField())
    credited = MapField(IntField())
    ends = MapField(IntField())
    squares = DictField()
