"""Match decisions for a batch of due gifts, made within the transaction that settles them.

The order is fixed: read everything (`reading.py`), decide everything (`batch_rules.py`), write.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from bson import ObjectId

from documents.erased.late_records import mark_donors_of_late_gifts
from documents.matching.batch_rules import UNMATCHED, Decided, decide_all, to_unmatch, update_of
from documents.matching.instalments import gifts_to_decide
from documents.matching.past_match import build_past_match
from documents.matching.policy import MatchPolicy
from documents.matching.policy_version import find_effective_policy
from documents.matching.reading import read_evidence
from documents.matching.rematch import mark_astray
from documents.rows.donation import DonationRow, MatchFields
from documents.rows.email import EmailRow
from documents.storage.former_match import read_match
from documents.values.time import now
from matchback.engine import Changes, Tx

Updates = list[tuple[DonationRow, MatchFields]]


def decide_matches(tx: Tx, changes: Changes, default: MatchPolicy) -> None:
    """Match the paid gifts that lack a valid match. Unmatch the gifts that were not paid.

    A refunded gift gets or keeps a match, whether it was settled before or after the refund.

    Args:
        default: the policy for organizations without their own.
    """
    rows: list[Any] = changes.rows.get("donations", [])
    if not rows:
        return
    evidence = read_evidence(tx, rows, gifts_to_decide)
    policy = _read_policy(tx, evidence.gifts[0], default) if evidence.gifts else default
    decided = decide_all(evidence, policy)
    at = now()
    updates: Updates = [(row, UNMATCHED) for row in to_unmatch(rows)]
    updates += [(one.gift, update_of(one, policy, at)) for one in decided]
    _keep_past(tx, updates, at)
    _write(changes, updates)
    _hold(changes, decided, at)
    _lend_emails(changes, decided, evidence.email_rows)
    owned = [(one.gift, one.user_id) for one in decided if one.user_id]
    mark_donors_of_late_gifts(tx, owned, evidence.email_rows)
    known = {row["_id"] for row in rows}
    rows += [gift for gift in evidence.gifts if gift["_id"] not in known]
    mark_astray(tx, evidence.firsts.values(), {one.gift["_id"] for one in decided})


def _read_policy(tx: Tx, gift: DonationRow, default: MatchPolicy) -> MatchPolicy:
    return find_effective_policy(tx, gift["organization_id"], gift["fundraiser_id"], default)


def _keep_past(tx: Tx, updates: Updates, at: datetime) -> None:
    """Store the replaced decisions. Call this before `_write`, which changes the rows."""
    past = [kept for row, update in updates if (kept := build_past_match(row, update, at))]
    if past:
        tx.database.past_matches.insert_many(past, session=tx.session)


def _write(changes: Changes, updates: Updates) -> None:
    for gift, update in updates:
        row: dict[str, Any] = cast("Any", gift)
        # Only in memory, for the observer of outgoing events.
        row["match_before"] = read_match(row), row.get("email_id")
        row.update(update)
        changes.update_of("donations", row["_id"]).set_or_unset(update)


def _lend_emails(
    changes: Changes, decided: list[Decided], rows: Mapping[ObjectId, EmailRow]
) -> None:
    """Give settling the rows of matched emails, so that it need not read them again."""
    known = {
        row["_id"] for read in (changes.rows, changes.targets) for row in read.get("emails", ())
    }
    matched = {email.id for one in decided if (email := one.decision.email)}
    targets = changes.targets.setdefault("emails", [])
    targets += [rows[id_] for id_ in matched - known if id_ in rows]


def _hold(changes: Changes, decided: list[Decided], at: datetime) -> None:
    """Write to the records that the decisions depend on, so that concurrent changes conflict.

    A transaction that deletes or touches an email marks the affected gifts. Without the conflict,
    that transaction would miss a match that another transaction makes at the same time. Similarly,
    a transaction that rematches a first instalment would miss a new instalment that follows it.
    """
    for one in decided:
        for email_id in one.rests_on:
            changes.update_of("emails", email_id).set({"matched_at": at})
        if one.follows:
            changes.update_of("donations", one.follows).set({"held_at": at})
