"""The effects of events on their emails, when an event's email becomes known.

An event takes effect once: when it is stored with its email, or later, when its email is found. The
same transaction writes and counts it. Clicks are judged together with those around them. So a new
click can change the labels of others, which are then counted again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId

from documents.counters import LEDGER
from documents.erased import items as erased_items
from documents.erased.links import without_person
from documents.event import times
from documents.link import clicker_id, new_link_and_clicker
from documents.matching import late_touches
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.tracking.click_labels import Relabelled, label
from documents.tracking.rules import Rule
from matchback.engine import Changes, Tx, add

FIRST, LAST = "first_clicked_at", "last_clicked_at"


def arrive(
    tx: Tx, events: Sequence[EventRow], emails: Mapping[ObjectId, EmailRow], rule: Rule
) -> Changes:
    """Judge clicks, and say what the events change of their emails.

    Completes the given events' rows, which the caller writes; writes to other events itself.

    Args:
        events: rows with an email_id, not counted yet.
        emails: the rows of their emails.
    """
    touched = {event["email_id"]: emails[event["email_id"]] for event in events}
    changes = Changes(targets={"emails": list(touched.values())})
    for event in events:
        _name_link(changes, event, touched[event["email_id"]])
    relabelled = label(tx, events, touched, rule)
    for event in events:
        add(changes.increments, LEDGER.contribution("events", event))
        first, last = times(event)
        changes.update_of("emails", event["email_id"]).minimum(first).maximum(last)
    apply(changes, relabelled)
    late_touches.gifts_of_touched(tx, changes)
    _forget_erased(tx, events, touched)
    return changes


def _forget_erased(tx: Tx, events: Sequence[EventRow], emails: Mapping[Any, EmailRow]) -> None:
    """Let what was reported of erased people be erased once it is counted."""
    erased = [event for event in events if emails[event["email_id"]].get("erased")]
    if not erased:
        return
    user_ids = {emails[event["email_id"]]["user_id"] for event in erased}
    erased_items.erase_again(tx, list(user_ids))
    items = [(event["delivery_id"], event["item"]) for event in erased]
    erased_items.note(tx, erased[0]["organization_id"], items)


def _name_link(changes: Changes, event: EventRow, email: EmailRow) -> None:
    if event["type"] == "click" and event.get("url") and email.get("mailing_id"):
        event["clicker_id"] = clicker_id(email["_id"], event["url"])
        for target, row in new_link_and_clicker(email, event["url"]).items():
            if "url" in row and email.get("erased"):
                row["url"] = without_person(row["url"])
            changes.update_of(*target).set_on_insert(row)


def apply(changes: Changes, relabelled: Relabelled) -> None:
    """Add to what is to be written that stored clicks were judged anew."""
    add(changes.increments, relabelled.change)
    for email_id, span in relabelled.click_times.items():
        update = changes.update_of("emails", email_id)
        new = update.take_back("$min", FIRST), update.take_back("$max", LAST)
        known = [at for at in (*(span or ()), *new) if at is not None]
        if known:
            update.set({FIRST: min(known), LAST: max(known)})
        else:
            update.unset(FIRST, LAST)
