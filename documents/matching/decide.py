"""Decisions for the due gifts of a batch, within the transaction that settles them.

The decision itself is pure (see rules.py). past_match.py keeps a decision that another replaces.
"""

from typing import Any

from bson import ObjectId

from documents.conditions import is_matched
from documents.donor import donor_id
from documents.gift_day import gift_day_id
from documents.matching.candidates import Candidates
from documents.matching.instalments import Plans
from documents.matching.past_match import past_match
from documents.matching.policy import MatchPolicy
from documents.matching.policy_version import policy_of
from documents.matching.rules import Decision, Gift, match, reasons
from documents.values.time import now
from matchback.engine import Changes, Row, Tx

# What a match says of a gift; gone when the gift is to have none.
UNMATCHED: dict[str, Any] = dict.fromkeys(
    (
        *("match", "decision", "email_id", "mailing_id", "user_id", "follows", "rematch"),
        *("fundraiser_donor_id", "mailing_donor_id", "fundraiser_day_id", "mailing_day_id"),
    )
)


def decide(tx: Tx, changes: Changes, default: MatchPolicy) -> None:
    """Match the gifts whose money was taken and that have no match that holds; unmatch the others.

    A refunded gift has its match, whether it was settled before the refund came or not.

    Args:
        default: the policy of organizations that have none of their own.
    """
    rows = changes.rows.get("donations", [])
    if not rows:
        return
    plans = Plans(tx, rows)
    rows += plans.undecided({row["_id"] for row in rows})
    updates = [(row, UNMATCHED) for row in rows if row.get("match") and not is_matched(row)]
    past = [past_match(row, update) for row, update in updates]
    wanting = [row for row in rows if plans.wants_decision(row)]
    if wanting:
        of = wanting[0]["organization_id"], wanting[0]["fundraiser_id"]
        policy = policy_of(tx, *of, default)
        judge = Judge(Candidates(tx, wanting, plans.firsts.values()), plans, policy)
        for row in judge.in_order(wanting):
            update = judge.update(row)
            past.append(past_match(row, update))
            row.update(update)
            updates.append((row, update))
            _hold(changes, row, judge.candidates)
    _write(tx, changes, updates, [row for row in past if row])
    plans.mark_astray({row["_id"] for row in wanting})


class Judge:
    """Decides a batch of gifts of one fundraiser, under one policy."""

    def __init__(self, candidates: Candidates, plans: Plans, policy: MatchPolicy) -> None:
        self.candidates = candidates
        self.plans = plans
        self.policy = policy
        self._decided: dict[ObjectId, Decision] = {}

    def in_order(self, gifts: list[Row]) -> list[Row]:
        """First instalments before those that follow them."""
        return sorted(gifts, key=lambda gift: self.plans.first_of(gift) is not None)

    def decision(self, gift: Row) -> Decision:
        """Which email led to it, and why."""
        first = self.plans.first_of(gift)
        known = self._decision_of(first) if first else None
        evidence = self.candidates.evidence(gift, known)
        found = match(Gift(gift["fundraiser_id"], gift["donated_at"]), evidence, self.policy)
        self._decided[gift["_id"]] = found
        return found

    def _decision_of(self, first: Row) -> Decision:
        return self._decided.get(first["_id"]) or self.candidates.decision_of(first)

    def update(self, gift: Row) -> dict[str, Any]:
        """What the decision makes of a gift's row; None unsets."""
        decision = self.decision(gift)
        email = decision.email
        first = self.plans.first_of(gift)
        # The donor's own address says who gives. An email that was passed on to somebody unknown
        # still says whose giving it is part of.
        user_id = self.candidates.user_id(gift) or (email.user_id if email else None)
        who = gift | {"user_id": user_id}
        mailing_id = email.mailing_id if email else None
        return {
            "match": decision.match,
            "email_id": email.id if email else None,
            "mailing_id": mailing_id,
            "user_id": user_id,
            "follows": first["_id"] if first else None,
            "rematch": None,
            "fundraiser_donor_id": donor_id("fundraiser", gift["fundraiser_id"], who),
            "mailing_donor_id": donor_id("mailing", mailing_id, who) if mailing_id else None,
            "fundraiser_day_id": gift_day_id("fundraiser", gift["fundraiser_id"], gift),
            "mailing_day_id": gift_day_id("mailing", mailing_id, gift) if mailing_id else None,
            "decision": {
                "rule": decision.rule,
                "touch": decision.touch,
                "note": decision.note,
                "window_seconds": int(self.policy.window.total_seconds()),
                "policy": self.policy.reference,
                "considered": reasons(decision.considered),
                "pinned_at": (gift.get("pin") or {}).get("at"),
                "decided_at": now(),
            },
        }


def _hold(changes: Changes, gift: Row, candidates: Candidates) -> None:
    """Write the emails that the decision depends on, so that changing one meanwhile conflicts.

    A transaction that deletes the email, or learns that one of these was sent, opened or clicked,
    looks for the gifts that this may matter to. It would not see a match that is just being made.
    """
    held = [email.id for email in candidates.to_donor(gift)] if gift["match"] != "direct" else []
    if gift["email_id"]:  # one that counts on it as before would not write it
        held.append(gift["email_id"])
    for id_ in held:
        changes.updates.setdefault(("emails", id_), {}).setdefault("$set", {})["matched_at"] = now()
    if gift["follows"]:  # nor would one that matches the first instalment anew see this one
        first = changes.updates.setdefault(("donations", gift["follows"]), {})
        first.setdefault("$set", {})["held_at"] = now()


def _write(
    tx: Tx, changes: Changes, updates: list[tuple[Row, dict[str, Any]]], past: list[Row]
) -> None:
    for row, update in updates:
        row.update(update)
        known = changes.updates.setdefault(("donations", row["_id"]), {}).setdefault("$set", {})
        known |= {name: value for name, value in update.items() if value is not None}
        gone = {name: "" for name, value in update.items() if value is None}
        changes.updates["donations", row["_id"]]["$unset"] = gone
    if past:
        tx.database.past_matches.insert_many(past, session=tx.session)
