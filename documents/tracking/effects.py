"""Effects of events on their emails, when an event's email becomes known.

An event takes effect once: when it is stored with its email, or later, when its email is found. The
same transaction writes and counts it. A new click can change the labels of clicks around it, which
are then counted again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bson import ObjectId

from config.observability import metrics
from documents.conditions import is_mailed
from documents.counters import LEDGER
from documents.erased import items as erased_items
from documents.erased.links import redact_clicked_url
from documents.event import read_event_times
from documents.giving_links.link_token import has_trap_token
from documents.ip_key import make_ip_slot, narrow_ip_key
from documents.link import build_link_values, make_link_clicks_id
from documents.matching import late_touches
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.tracking.click_labels import label_clicks
from documents.tracking.new_labels import RelabelResult
from documents.tracking.rules import MachineClickRule
from documents.values.time import now
from matchback.engine import Changes, Tx, add

FIRST, LAST = "first_clicked_at", "last_clicked_at"


def compute_event_changes(
    tx: Tx, events: Sequence[EventRow], emails: Mapping[ObjectId, EmailRow], rule: MachineClickRule
) -> Changes:
    """Label clicks, and return the changes that events make to their emails.

    Complete the given rows, which the caller writes. Write changes to other events directly.

    Args:
        events: rows with an `email_id` that are not counted yet.
        emails: rows of their emails.
    """
    touched = {event["email_id"]: emails[event["email_id"]] for event in events}
    changes = Changes(targets={"emails": list(touched.values())})
    for event in events:
        if event["type"] == "click":
            _complete_click(changes, event, touched[event["email_id"]])
    relabelled = label_clicks(tx, events, emails, rule)
    changes.targets["emails"] += relabelled.others
    for event in events:
        add(changes.increments, LEDGER.contribution("events", event))
        _note_times(changes, event, touched[event["email_id"]])
    apply_relabelling(changes, relabelled)
    late_touches.mark_gifts_of_touched(tx, changes)
    if reasons := Counter(event["machine_reason"] for event in events if "machine_reason" in event):
        tx.on_commit(partial(metrics.count_machine_clicks, reasons))
    _forget_erased(tx, events, touched)
    return changes


def _note_times(changes: Changes, event: EventRow, email: EmailRow) -> None:
    """Add the times that the event moves on its email to the changes.

    Times of clicks are always added, because a new label of an earlier click can need them.
    """
    known: Mapping[str, Any] = email
    first, last = read_event_times(event)
    if event["type"] != "click":
        first = {
            name: at for name, at in first.items() if (was := known.get(name)) is None or at < was
        }
        last = {
            name: at for name, at in last.items() if (was := known.get(name)) is None or at > was
        }
    if first or last:
        changes.update_of("emails", event["email_id"]).minimum(first).maximum(last)


def _forget_erased(tx: Tx, events: Sequence[EventRow], emails: Mapping[Any, EmailRow]) -> None:
    """Mark events of erased people for erasure after they are counted."""
    erased = [event for event in events if emails[event["email_id"]].get("erased")]
    if not erased:
        return
    user_ids = {emails[event["email_id"]]["user_id"] for event in erased}
    erased_items.mark_for_erasure(tx, list(user_ids))
    items = [(event["delivery_id"], event["item"]) for event in erased]
    erased_items.note_items(tx, erased[0]["organization_id"], items)


def _complete_click(changes: Changes, click: EventRow, email: EmailRow) -> None:
    """Add to a click's row what follows from its email, and its link to the changes.

    Skip the link if it is a trap link, or if the email is held out.
    """
    url, mailing_id = click.get("url", ""), email.get("mailing_id")
    if "ip_key" in click:
        click["ip_key"] = narrow_ip_key(click["ip_key"], mailing_id or email["_id"])
        click["ip_slot"] = make_ip_slot(click["ip_key"], click["at"])
        if mailing_id:
            hold_mailing(changes, mailing_id)
    if has_trap_token(email["organization_id"], email["_id"], url):
        click["trap"] = True
    elif url and mailing_id and is_mailed(email):
        _name_link(changes, click, email)


def hold_mailing(changes: Changes, mailing_id: ObjectId) -> None:
    """Write to the mailing, so that of two transactions that compare its clicks one starts again.

    Otherwise, neither may see the other's clicks.
    """
    changes.update_of("mailings", mailing_id).set({"clicks_compared_at": now()})


def _name_link(changes: Changes, click: EventRow, email: EmailRow) -> None:
    click["clicker_id"] = make_link_clicks_id(email["_id"], click["url"])
    for target, row in build_link_values(email, click["url"]).items():
        if "url" in row and email.get("erased"):
            row["url"] = redact_clicked_url(row["url"])
        changes.update_of(*target).set_on_insert(row)


def apply_relabelling(changes: Changes, relabelled: RelabelResult) -> None:
    """Add the effects of new labels on stored clicks to the changes."""
    add(changes.increments, relabelled.change)
    for email_id, span in relabelled.click_times.items():
        update = changes.update_of("emails", email_id)
        new = update.withdraw("$min", FIRST), update.withdraw("$max", LAST)
        known = [at for at in (*(span or ()), *new) if at is not None]
        if known:
            update.set({FIRST: min(known), LAST: max(known)})
        else:
            update.unset(FIRST, LAST)
