"""The declarations of all counters. The engine keeps them: see matchback/engine/caches.py."""

from typing import Any

from documents.archive import Archive
from documents.conditions import (
    amount_of,
    counts,
    currency,
    has,
    is_first,
    is_instalment,
    is_unsubscribed,
    is_waiting,
    match_count,
    match_raised,
    net,
    refunded,
    was_sent,
    was_taken,
)
from documents.donation import Donation
from documents.donor import Donor, new_donor
from documents.email import Email
from documents.event import COUNTED, Event
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay, new_gift_day, quarter, raised_in_quarter
from documents.link import Link, LinkClicks, new_row
from documents.mailing import Mailing
from documents.storage.export_outbox import note_targets
from documents.user import User
from matchback.engine import Cache, CounterCache, Flag, LatestCache, Ledger


def _gifts(on: type) -> list[Cache]:
    """The same of a fundraiser and of a mailing."""
    gift: dict[str, Any] = {"of": Donation, "on": on, "when": counts}
    return [
        CounterCache(field="donations_count", **gift),
        CounterCache(field="raised", **gift, amount=net, by=currency),
        CounterCache(field="gifts", **gift, by=currency),
        CounterCache(field="by_match", **gift, by=match_count),
        CounterCache(field="by_match", **gift, amount=net, by=match_raised),
        CounterCache(field="recurring.plans", **gift | {"when": is_first}),
        CounterCache(
            field="recurring.first_gift", **gift | {"when": is_first}, amount=net, by=currency
        ),
        CounterCache(
            field="recurring.lifetime", **gift | {"when": is_instalment}, amount=net, by=currency
        ),
        CounterCache(field="refunded", **gift | {"when": was_taken}, amount=refunded, by=currency),
        CounterCache(field="donors", of=Donor, on=on, when=has("donations_count")),
    ]


FUNNEL = {
    "sent": was_sent,
    "deferred": is_waiting,
    "delivered": has("delivered_at"),
    "bounced": has("bounced_at"),
    "blocked": has("blocked_at"),
    "dropped": has("dropped_at"),
    "opened": has("opens"),
    "clicked": has("clicks"),
    "unsubscribed": is_unsubscribed,
    "spam_reported": has("spam_reported_at"),
    "donated": has("donations_count"),
}
CLICKS = ("clicks", "machine_clicks")
ON_CLICKS: dict[str, Any] = {"on": LinkClicks, "via": "clicker_id"}
EVENT = ("type", "machine")  # what the conditions of COUNTED read
SUMS = ("opens", "machine_opens", "clicks", "machine_clicks", "unknown_events")


def _emails(on: type) -> list[Cache]:
    """The same of a fundraiser and of a mailing."""
    email: dict[str, Any] = {"of": Email, "on": on}
    return [
        CounterCache(field="emails_count", **email),
        *(
            CounterCache(field=f"funnel.{name}", **email, when=when)
            for name, when in FUNNEL.items()
        ),
        *(CounterCache(field=f"funnel.{name}", **email, amount=amount_of(name)) for name in SUMS),
    ]


def _gift_days(via: str) -> list[Cache]:
    gift: dict[str, Any] = {"of": Donation, "on": GiftDay, "via": via, "when": counts}
    return [
        CounterCache(field="gifts", **gift, by=quarter),
        CounterCache(field="raised", **gift, amount=net, by=raised_in_quarter),
    ]


LEDGER = Ledger(
    [
        # a gift
        *_gifts(Fundraiser),
        *_gifts(Mailing),
        CounterCache(field="donations_count", of=Donation, on=Email, when=counts),
        CounterCache(field="raised", of=Donation, on=Email, when=counts, amount=net, by=currency),
        CounterCache(field="donations_count", of=Donation, on=User, when=counts),
        CounterCache(field="donated", of=Donation, on=User, when=counts, amount=net, by=currency),
        LatestCache(
            field="last_donated_at",
            of=Donation,
            on=User,
            at="donated_at",
            where={"status": "succeeded"},
        ),
        # a person who gives: to the fundraiser, and through the mailing
        CounterCache(
            field="donations_count", of=Donation, on=Donor, via="fundraiser_donor_id", when=counts
        ),
        CounterCache(
            field="donations_count", of=Donation, on=Donor, via="mailing_donor_id", when=counts
        ),
        # when gifts came in
        *_gift_days("fundraiser_day_id"),
        *_gift_days("mailing_day_id"),
        # an email
        *_emails(Fundraiser),
        *_emails(Mailing),
        CounterCache(field="emails_count", of=Email, on=User),
        # an event, and those that were dropped for their age
        *(
            CounterCache(field=field, of=Event, on=Email, when=when, reads=EVENT)
            for field, when in COUNTED.items()
        ),
        *(
            CounterCache(field=field, of=Archive, on=Email, amount=amount_of(field), reads=(field,))
            for field in COUNTED
        ),
        # a click, of a link: by an email, and by how many emails
        *(
            CounterCache(field=field, of=Event, **ON_CLICKS, when=COUNTED[field], reads=EVENT)
            for field in CLICKS
        ),
        *(
            CounterCache(field=field, of=source, **on, amount=amount_of(field), reads=(field,))
            for source, on in ((Archive, ON_CLICKS), (LinkClicks, {"on": Link}))
            for field in CLICKS
        ),
        CounterCache(field="emails", of=LinkClicks, on=Link, when=has("clicks")),
        # a mailing
        CounterCache(
            field="cost",
            of=Mailing,
            on=Fundraiser,
            amount=amount_of("cost_amount"),
            by=lambda mailing: mailing["cost_currency"],
        ),
    ],
    flags=[Flag(field="donated", on=Email, when=has("donations_count"))],
    created_on_demand={
        Donor: new_donor,
        LinkClicks: new_row,
        Link: new_row,
        GiftDay: new_gift_day,
    },
    on_write=note_targets,
    settled_alone=[Email],  # its gifts, events and clicks follow; see settling/settle.py
)
