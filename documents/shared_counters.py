"""The counters that fundraisers and mailings share."""

from mongoengine import DictField, IntField, MapField


class SharedCounters:
    """Mixed into what reports are made of. Written by the engine alone; see documents/counters.py.

    funnel: emails by what became of them (sent, delivered, opened, …), and events (opens, clicks).
    by_match: by match class (link, address, pinned, none), how many gifts and how much was raised.
    recurring: plans that were begun, what their first gifts brought, and what they have in all.
    gifts, raised, refunded, cost: by currency; money in minor units.
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
