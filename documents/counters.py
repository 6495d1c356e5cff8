"""Declarations of all counters. The engine keeps them; see matchback/engine/caches.py."""

from typing import Any

from documents.archive import Archive
from documents.arm import Arm, build_arm_row
from documents.conditions import (
    SUMMED_EMAIL_FIELDS,
    amount_of,
    both,
    currency_of_gift,
    delay_key,
    gifts_of_email,
    has_delay,
    has_known_segments,
    has_value,
    is_counted,
    is_deferred,
    is_first_instalment,
    is_in_experiment,
    is_instalment,
    is_mailed,
    is_money_taken,
    is_opened,
    is_sent,
    is_unsubscribed,
    match_count_key,
    match_raised_key,
    net_amount,
    read_credited,
    refunded_amount_of,
    sign_email,
    window_end_key,
)
from documents.donation import Donation
from documents.donor import Donor, build_donor_row
from documents.email import Email
from documents.event import EVENT_COUNTER_CONDITIONS, Event
from documents.evidence_change import EvidenceChanges
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay, build_gift_day_row, quarter_key, raised_quarter_key
from documents.history.gift_changes import GiftChanges
from documents.history.journal import JOURNAL
from documents.index_tables.email_index import (
    EMAIL_INDEX_FIELDS,
    EMAIL_INDEX_LINKS,
    EmailIndex,
    has_rare_action,
)
from documents.index_tables.former_layout import is_email_index_filled, is_user_index_filled
from documents.index_tables.user_index import USER_INDEX_FIELDS, UserIndex
from documents.link import Link, LinkClicks, build_link_row
from documents.mailing import Mailing
from documents.match import MATCH_INDEX
from documents.outgoing.observer import OutgoingEvents
from documents.participant import (
    PARTICIPANT_INDEX,
    Participant,
    build_participant_row,
    count_givers_by_currency,
    read_raised,
    split_squares,
)
from documents.segments.arm_segment import (
    ArmSegment,
    build_arm_email_scope,
    build_arm_segment_row,
    build_participant_scope,
)
from documents.segments.segment import Segment, build_email_scope, build_segment_row
from documents.storage.export_outbox import note_targets
from documents.user import User
from matchback.engine import Cache, CounterCache, Flag, IndexTable, LatestCache, Ledger


def _gifts(on: type) -> list[Cache]:
    """Return the counters of gifts that a fundraiser and a mailing share."""
    gift: dict[str, Any] = {"of": Donation, "on": on, "when": is_counted}
    return [
        CounterCache(field="donations_count", **gift),
        CounterCache(field="raised", **gift, amount=net_amount, by=currency_of_gift),
        CounterCache(field="gifts", **gift, by=currency_of_gift),
        CounterCache(field="delays", **gift | {"when": has_delay}, by=delay_key),
        CounterCache(field="by_match", **gift, by=match_count_key),
        CounterCache(field="by_match", **gift, amount=net_amount, by=match_raised_key),
        CounterCache(field="recurring.plans", **gift | {"when": is_first_instalment}),
        CounterCache(
            field="recurring.first_gift",
            **gift | {"when": is_first_instalment},
            amount=net_amount,
            by=currency_of_gift,
        ),
        CounterCache(
            field="recurring.lifetime",
            **gift | {"when": is_instalment},
            amount=net_amount,
            by=currency_of_gift,
        ),
        CounterCache(
            field="refunded",
            **gift | {"when": is_money_taken},
            amount=refunded_amount_of,
            by=currency_of_gift,
        ),
        CounterCache(field="donors", of=Donor, on=on, when=has_value("donations_count")),
    ]


FUNNEL_CONDITIONS = {
    "sent": is_sent,
    "deferred": is_deferred,
    "delivered": has_value("delivered_at"),
    "bounced": has_value("bounced_at"),
    "blocked": has_value("blocked_at"),
    "dropped": has_value("dropped_at"),
    "opened": is_opened,
    "clicked": has_value("clicks"),
    "unsubscribed": is_unsubscribed,
    "spam_reported": has_value("spam_reported_at"),
    "donated": has_value("donations_count"),
}
MAILED_FUNNEL_CONDITIONS = {name: both(is_mailed, when) for name, when in FUNNEL_CONDITIONS.items()}
CLICK_COUNTERS = ("clicks", "machine_clicks")
LINK_CLICKS_TARGET: dict[str, Any] = {"on": LinkClicks, "via": "clicker_id"}
ARM_FUNNEL_FIELDS = ("delivered", "opened", "clicked")
EVENT_CONDITION_FIELDS = ("type", "machine")  # the fields that the event conditions read


SEGMENT_TARGET: dict[str, Any] = {"on": Segment, "via": "segment_ids"}


def _emails(**on: Any) -> list[Cache]:
    """Return the counters of emails that a fundraiser, a mailing and a segment share."""
    email: dict[str, Any] = {"of": Email, **on, "when": is_mailed}
    return [
        CounterCache(field="emails_count", **email),
        *(
            CounterCache(field=f"funnel.{name}", **email | {"when": when})
            for name, when in MAILED_FUNNEL_CONDITIONS.items()
        ),
        *(
            CounterCache(field=f"funnel.{name}", **email, amount=amount_of(name))
            for name in SUMMED_EMAIL_FIELDS
        ),
        # These follow the emails' own counters, so gifts need no segments.
        CounterCache(
            field="matched", **on, of=Email, when=has_known_segments, split=gifts_of_email
        ),
    ]


ARM_EMAIL_CONDITIONS = {
    "recipients": is_in_experiment,
    **{name: both(is_in_experiment, FUNNEL_CONDITIONS[name]) for name in ARM_FUNNEL_FIELDS},
}


def _experiments() -> list[Cache]:
    """Return the counters of participants, of arms, and of the parts of arms by attribute."""
    gift: dict[str, Any] = {"of": Donation, "on": Participant, "via": "participant_ids"}
    return [
        CounterCache(field="emails", of=Email, on=Participant, via="_id", when=is_in_experiment),
        CounterCache(field="gifts", **gift, when=is_counted),
        CounterCache(
            field="raised", **gift, when=is_counted, amount=net_amount, by=currency_of_gift
        ),
        *_arms(on=Arm),
        *_arms(on=ArmSegment, via="arm_segment_ids"),
    ]


def _arms(**on: Any) -> list[Cache]:
    email, participant = {"of": Email, **on}, {"of": Participant, **on}
    is_giver = both(has_value("emails"), has_value("gifts"))
    return [
        *(
            CounterCache(field=name, **email, when=when)
            for name, when in ARM_EMAIL_CONDITIONS.items()
        ),
        CounterCache(field="credited", **email, split=read_credited),
        CounterCache(field="ends", **email, when=is_in_experiment, by=window_end_key),
        CounterCache(field="givers", **participant, when=is_giver),
        CounterCache(field="givers_by_currency", **participant, split=count_givers_by_currency),
        CounterCache(field="raised", **participant, split=read_raised),
        CounterCache(field="squares", **participant, split=split_squares),
    ]


def _gift_days(via: str) -> list[Cache]:
    gift: dict[str, Any] = {"of": Donation, "on": GiftDay, "via": via, "when": is_counted}
    return [
        CounterCache(field="gifts", **gift, by=quarter_key),
        CounterCache(field="raised", **gift, amount=net_amount, by=raised_quarter_key),
    ]


LEDGER = Ledger(
    [
        # Counters of gifts.
        *_gifts(Fundraiser),
        *_gifts(Mailing),
        CounterCache(field="donations_count", of=Donation, on=Email, when=is_counted),
        CounterCache(
            field="raised",
            of=Donation,
            on=Email,
            when=is_counted,
            amount=net_amount,
            by=currency_of_gift,
        ),
        CounterCache(field="donations_count", of=Donation, on=User, when=is_counted),
        CounterCache(
            field="donated",
            of=Donation,
            on=User,
            when=is_counted,
            amount=net_amount,
            by=currency_of_gift,
        ),
        LatestCache(
            field="last_donated_at",
            of=Donation,
            on=User,
            at="donated_at",
            where={"status": "succeeded"},
        ),
        # Counters of donors: those of a fundraiser, and those of a mailing.
        CounterCache(
            field="donations_count",
            of=Donation,
            on=Donor,
            via="fundraiser_donor_id",
            when=is_counted,
        ),
        CounterCache(
            field="donations_count", of=Donation, on=Donor, via="mailing_donor_id", when=is_counted
        ),
        # Counters of gifts by time.
        *_gift_days("fundraiser_day_id"),
        *_gift_days("mailing_day_id"),
        # Counters of emails.
        *_emails(on=Fundraiser),
        *_emails(on=Mailing),
        *_emails(**SEGMENT_TARGET),
        CounterCache(field="emails_count", of=Email, on=User, when=is_mailed),
        # Counters of events, and of the archives of dropped events.
        *(
            CounterCache(field=field, of=Event, on=Email, when=when, reads=EVENT_CONDITION_FIELDS)
            for field, when in EVENT_COUNTER_CONDITIONS.items()
        ),
        *(
            CounterCache(field=field, of=Archive, on=Email, amount=amount_of(field), reads=(field,))
            for field in EVENT_COUNTER_CONDITIONS
        ),
        # Counters of clicks on a link: an email's clicks, all clicks, and emails that clicked.
        *(
            CounterCache(
                field=field,
                of=Event,
                **LINK_CLICKS_TARGET,
                when=EVENT_COUNTER_CONDITIONS[field],
                reads=EVENT_CONDITION_FIELDS,
            )
            for field in CLICK_COUNTERS
        ),
        *(
            CounterCache(field=field, of=source, **on, amount=amount_of(field), reads=(field,))
            for source, on in ((Archive, LINK_CLICKS_TARGET), (LinkClicks, {"on": Link}))
            for field in CLICK_COUNTERS
        ),
        CounterCache(
            field="emails",
            of=LinkClicks,
            on=Link,
            when=has_value("clicks"),
            reads=("clicks",),
        ),
        # Counters of experiments.
        *_experiments(),
        # Counters of mailings.
        CounterCache(
            field="cost",
            of=Mailing,
            on=Fundraiser,
            amount=amount_of("cost_amount"),
            by=lambda mailing: mailing["cost_currency"],
        ),
    ],
    flags=[Flag(field="donated", on=Email, when=has_value("donations_count"))],
    created_on_demand={
        Donor: build_donor_row,
        LinkClicks: build_link_row,
        Link: build_link_row,
        GiftDay: build_gift_day_row,
        Participant: build_participant_row,
        Arm: build_arm_row,
        ArmSegment: build_arm_segment_row,
        Segment: build_segment_row,
    },
    on_write=note_targets,
    signatures={Email: sign_email},
    index_tables=[
        IndexTable(
            of=User,
            on=UserIndex,
            fields=USER_INDEX_FIELDS,
            fixed=("organization_id",),
            pending=("rematch_due", "erase_due"),
            is_filled=is_user_index_filled,
        ),
        IndexTable(
            of=Email,
            on=EmailIndex,
            fields=EMAIL_INDEX_FIELDS,
            fixed=EMAIL_INDEX_LINKS,
            when=has_rare_action,
            is_filled=is_email_index_filled,
        ),
    ],
    settled_alone=[Email],  # gifts, events and clicks follow their email; see settling/settle.py
    link_indexes={
        Donation: MATCH_INDEX,
        Email: PARTICIPANT_INDEX,
        Participant: PARTICIPANT_INDEX,
    },
    link_scopes={
        (Email, "segment_ids"): build_email_scope,
        (Email, "arm_segment_ids"): build_arm_email_scope,
        (Participant, "arm_segment_ids"): build_participant_scope,
    },
    # A client's change increments the version. The other two are marks for another decision.
    unmarked_after_commit={Donation: ("version", "rematch", "outcomes_due")},
    journal=JOURNAL,
    observers={
        OutgoingEvents: [Donation, Email],
        GiftChanges: [Donation],
        EvidenceChanges: [Donation, Email],
    },
)
