"""Clicks from one IP address for several recipients of a mailing.

An address that has clicked for several recipients keeps the mark, whatever else arrives. So an
arriving click can only add marks, to itself and to stored clicks within `recipient_seconds`.

More than `MAX_IP_CLICKS_PER_SECOND` clicks from one address in one whole second are a crowd. Clicks
in a crowd and near it have the mark, too. So reading one more click than that in each second is
enough.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from bson import ObjectId

from documents.ip_key import IP_SLOT_SECONDS, make_ip_slot
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.tracking.click_signs import ONE_SECOND, find_shared
from documents.tracking.rules import MAX_IP_CLICKS_PER_SECOND, MachineClickRule
from documents.tracking.stored_clicks import read_without_crowds
from matchback.engine import Tx

MIN_CLICKS_PER_READ = 1000
CLICKS_PER_SLOT = 20


def mark_shared_ips(
    tx: Tx, arriving: Sequence[EventRow], rule: MachineClickRule
) -> dict[ObjectId, list[EventRow]]:
    """Mark the arriving clicks whose IP address clicked for several recipients.

    Return the stored clicks that must get the mark now, by email.
    """
    clicks = [event for event in arriving if "ip_slot" in event]
    gained: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    if not clicks or not rule.compares_recipients:
        return gained
    new = {bytes(click["_id"]) for click in clicks}
    for click in _find_shared(clicks, _read_near(tx, clicks, rule), rule):
        if bytes(click["_id"]) in new:
            click["shares_ip"] = True
        elif "shares_ip" not in click:
            gained[click["email_id"]].append(click)
    return gained


def find_shared_ips(
    tx: Tx, stored: Sequence[EventRow], rule: MachineClickRule
) -> dict[bytes, bool]:
    """Return whether each stored click is from an IP address of several recipients, by its ID."""
    clicks = [event for event in stored if "ip_slot" in event]
    marks = {click["_id"]: False for click in clicks}
    if not clicks or not rule.compares_recipients:
        return marks
    for click in _find_shared(clicks, _read_near(tx, clicks, rule), rule):
        if click["_id"] in marks:
            marks[click["_id"]] = True
    return marks


def _find_shared(
    clicks: Sequence[EventRow], near: Iterable[EventRow], rule: MachineClickRule
) -> list[EventRow]:
    """Return the clicks whose IP address clicked for several recipients at once."""
    by_key: defaultdict[bytes, dict[bytes, EventRow]] = defaultdict(dict)
    for click in (*near, *clicks):
        by_key[click["ip_key"]][bytes(click["_id"])] = click
    found: list[EventRow] = []
    for same in by_key.values():
        if len(same) < rule.recipients:
            continue
        rows = sorted(same.values(), key=itemgetter("at"))
        shared = find_shared(
            [row["at"] for row in rows],
            [row["email_id"] for row in rows],
            rule.recipients,
            rule.recipient_seconds,
            MAX_IP_CLICKS_PER_SECOND,
        )
        found += [row for row, is_shared in zip(rows, shared, strict=True) if is_shared]
    return found


def _read_near(tx: Tx, clicks: Sequence[EventRow], rule: MachineClickRule) -> list[EventRow]:
    """Return the stored clicks near these, from the same IP addresses in the same mailing."""
    reach = timedelta(seconds=rule.recipient_seconds) + ONE_SECOND  # a crowd covers whole seconds
    slots: defaultdict[ObjectId, list[datetime]] = defaultdict(list)
    for click in clicks:
        for slot in _list_slots(click, reach):
            slots[slot].append(click["at"])
    times = [click["at"] for click in clicks]
    query = {
        "ip_slot": {"$in": list(slots)},
        "at": {"$gte": min(times) - reach, "$lte": max(times) + reach},
    }
    most = max(MIN_CLICKS_PER_READ, CLICKS_PER_SLOT * len(slots))
    fields = dict.fromkeys(("email_id", "at", "ip_key", "shares_ip"), 1)
    found = collection(tx.database, EventRow).find(query, fields, session=tx.session)
    rows = list(found.limit(most + 1).batch_size(most + 1))
    if len(rows) <= most:
        return rows
    return [
        row
        for slot, near in slots.items()
        for row in read_without_crowds(
            tx,
            {"ip_slot": slot},
            (min(near) - reach, max(near) + reach),
            MAX_IP_CLICKS_PER_SECOND,
        )
    ]


def _list_slots(click: EventRow, reach: timedelta) -> set[ObjectId]:
    """Return the slots of the minutes around a click."""
    key, at = click["ip_key"], click["at"]
    second, seconds = int(at.timestamp()) % IP_SLOT_SECONDS, reach // ONE_SECOND
    first, last = (second - seconds) // IP_SLOT_SECONDS, (second + seconds + 1) // IP_SLOT_SECONDS
    return {make_ip_slot(key, at, offset) for offset in range(first, last + 1)}
