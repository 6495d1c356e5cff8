"""New labels of stored clicks, and their effects on counters and times."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bson import ObjectId
from pymongo import UpdateOne

from documents.counters import LEDGER
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.storage.export_outbox import note_writes
from documents.tracking.stored_clicks import TimeSpan, read_click_times
from matchback.engine import Contribution, Tx, Update, add, difference

LABEL_FIELDS = ("machine", "machine_reason", "shares_ip")
LabelChange = tuple[EventRow, EventRow]  # a stored click before and after


@dataclass
class RelabelResult:
    """The effects of new labels on stored clicks.

    Attributes:
        change: amounts to add to counters.
        changed: number of clicks that moved between people and machines.
        click_times: for each email with such a click, the first and last stored click by a person;
            None if no such click is left.
        others: rows of emails without an arriving event whose clicks have new labels.
    """

    change: Contribution = field(default_factory=dict)
    changed: int = 0
    click_times: dict[ObjectId, TimeSpan | None] = field(default_factory=dict)
    others: list[EmailRow] = field(default_factory=list)


def write_labels(tx: Tx, changed: Sequence[LabelChange]) -> RelabelResult:
    """Store new labels of stored clicks. Return the effects."""
    result = RelabelResult()
    operations = []
    for before, after in changed:
        labels = {name: after.get(name) for name in LABEL_FIELDS}
        update = Update().set_or_unset(labels)
        operations.append(UpdateOne({"_id": before["_id"]}, update.operators))
        if bool(before.get("machine")) != bool(after.get("machine")):
            add(result.change, _difference(before, after))
            result.changed += 1
            result.click_times[after["email_id"]] = None
    if operations:
        tx.database.events.bulk_write(operations, ordered=False, session=tx.session)
        note_writes(tx, {"events": [before["_id"] for before, _ in changed]})
    for email_id in result.click_times:
        result.click_times[email_id] = read_click_times(tx, email_id)
    return result


def _difference(before: EventRow, after: EventRow) -> Contribution:
    contribution = LEDGER.contribution
    return difference(contribution("events", after), contribution("events", before))
