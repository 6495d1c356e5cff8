"""Decisions for the due gifts of a batch, within the transaction that settles them.

It reads everything (`reading.py`), decides everything (`batch_rules.py`, pure), and then writes.
"""

from datetime import datetime
from typing import Any

from documents.matching.batch_rules import UNMATCHED, Decided, decide_all, to_unmatch, update_of
from documents.matching.instalments import gifts_to_decide
from documents.matching.past_match import past_match
from documents.matching.policy import MatchPolicy
from documents.matching.policy_version import policy_of
from documents.matching.reading import read_evidence
from documents.matching.rematch import mark_astray
from documents.rows.donation import DonationRow, MatchFields
from documents.values.time import now
from matchback.engine import Changes, Tx

Updates = list[tuple[DonationRow, MatchFields]]


def decide(tx: Tx, changes: Changes, default: MatchPolicy) -> None:
    """Match the gifts whose money was taken and that have no match that holds; unmatch the others.

    A refunded gift has its match, whether it was settled before the refund came or not.

    Args:
        default: the policy of organizations that have none of their own.
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
    known = {row["_id"] for row in rows}
    rows += [gift for gift in evidence.gifts if gift["_id"] not in known]
    mark_astray(tx, evidence.firsts.values(), {one.gift["_id"] for one in decided})


def _read_policy(tx: Tx, gift: DonationRow, default: MatchPolicy) -> MatchPolicy:
    return policy_of(tx, gift["organization_id"], gift["fundraiser_id"], default)


def _keep_past(tx: Tx, updates: Updates, at: datetime) -> None:
    """Store the decisions that others replace. The rows are still as they were read."""
    past = [kept for row, update in updates if (kept := past_match(row, update, at))]
    if past:
        tx.database.past_matches.insert_many(past, session=tx.session)


def _write(changes: Changes, updates: Updates) -> None:
    for row, update in updates:
        row.update(update)  # type: ignore[typeddict-item]  # mypy expects all fields
        changes.update_of("donations", row["_id"]).set_or_unset(update)


def _hold(changes: Changes, decided: list[Decided], at: datetime) -> None:
    """Write what the decisions depend on, so that a change meanwhile conflicts.

    A transaction that deletes an email, or learns that one was sent, opened or clicked, marks the
    gifts that this can affect. It would not see a match that is made at the same time. Neither
    would a transaction that matches a first instalment again see one that follows it.
    """
    for one in decided:
        for email_id in one.rests_on:
            changes.update_of("emails", email_id).set({"matched_at": at})
        if one.follows:
            changes.update_of("donations", one.follows).set({"held_at": at})
