"""The migrations of match classes: donations and past matches get the current names.

`direct` becomes `link` or `pinned`, `indirect` becomes `address`, and `unresolved` becomes `none`.
"""

from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.migrations.counting import count_settled_rows
from documents.rows.donation import DonationRow, PastMatchRow
from documents.storage.export_outbox import note_writes
from documents.storage.former_match import FORMER_MATCHES, read_match
from documents.values.time import now
from matchback.engine import Tx

FIRST_INSTALMENT_FIELDS = {"match": 1, "decision.rule": 1, "email_id": 1}
PinnedEmail = tuple[ObjectId, ObjectId]  # a donation, and an email that staff pinned it to


def rename_matches(tx: Tx, rows: list[DonationRow]) -> None:
    """Rename the classes of donations, move their counts, and export the donations again."""
    gifts = [gift for gift in rows if gift.get("match") in FORMER_MATCHES]
    if not gifts:
        return
    pinned_firsts = _hold_pinned_firsts(tx, gifts)
    for gift in gifts:
        follows_pinned = _follows_link(gift) and gift.get("follows") in pinned_firsts
        gift["match"] = "pinned" if follows_pinned else read_match(gift)
    _write(tx, "donations", gifts)
    count_settled_rows(tx, "donations", gifts)
    note_writes(tx, {"donations": [gift["_id"] for gift in gifts]})


def rename_past_matches(tx: Tx, rows: list[PastMatchRow]) -> None:
    """Rename the classes of past matches."""
    past = [row for row in rows if row.get("match") in FORMER_MATCHES]
    if not past:
        return
    firsts = _find_firsts(tx, [row["donation_id"] for row in past if _follows_link(row)])
    pinned = _find_pinned_emails(tx, list(firsts.values()))
    for row in past:
        of_first: Any = firsts.get(row["donation_id"]), row.get("email_id")
        follows_pinned = _follows_link(row) and of_first in pinned
        row["match"] = "pinned" if follows_pinned else read_match(row) or ""
    _write(tx, "past_matches", past)


def _follows_link(row: DonationRow | PastMatchRow) -> bool:
    """Return whether a later instalment has the class `direct` of its first instalment."""
    decision = row.get("decision")
    return row.get("match") == "direct" and decision is not None and decision["rule"] == "recurring"


def _hold_pinned_firsts(tx: Tx, gifts: list[DonationRow]) -> set[ObjectId]:
    """Return the first instalments that staff pinned to an email.

    Write to all first instalments, because a concurrent transaction that decides one would miss the
    new class of its later instalments. The write makes that transaction fail and start again.
    """
    ids = list({first for gift in gifts if _follows_link(gift) and (first := gift.get("follows"))})
    if not ids:
        return set()
    these, held = {"_id": {"$in": ids}}, {"$set": {"held_at": now()}}
    tx.database.donations.update_many(these, held, session=tx.session)
    found = tx.database.donations.find(these, FIRST_INSTALMENT_FIELDS, session=tx.session)
    return {first["_id"] for first in found if read_match(first) == "pinned"}


def _find_firsts(tx: Tx, donation_ids: list[ObjectId]) -> dict[ObjectId, ObjectId]:
    """Return the first instalments that these donations follow, by donation."""
    query = {"_id": {"$in": donation_ids}, "follows": {"$ne": None}}
    found = tx.database.donations.find(query, {"follows": 1}, session=tx.session)
    return {gift["_id"]: gift["follows"] for gift in found}


def _find_pinned_emails(tx: Tx, firsts: list[ObjectId]) -> set[PinnedEmail]:
    """Return each first instalment with the emails that staff have pinned it to so far."""
    pinned: dict[str, Any] = {"decision.rule": "pin", "email_id": {"$ne": None}}
    current = {"_id": {"$in": firsts}, **pinned}
    past = {"donation_id": {"$in": firsts}, **pinned}
    gifts = tx.database.donations.find(current, {"email_id": 1}, session=tx.session)
    decisions = tx.database.past_matches.find(
        past, {"donation_id": 1, "email_id": 1}, session=tx.session
    )
    return {
        *((gift["_id"], gift["email_id"]) for gift in gifts),
        *((one["donation_id"], one["email_id"]) for one in decisions),
    }


def _write(tx: Tx, collection: str, rows: list[Any]) -> None:
    operations = [UpdateOne({"_id": row["_id"]}, {"$set": {"match": row["match"]}}) for row in rows]
    tx.database[collection].bulk_write(operations, ordered=False, session=tx.session)
