"""The figures of all arms, from emails and gifts alone, and what the ledger has instead.

The parts of an arm have the same figures, one part for each segment of the arm's emails.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from mongoengine import get_db

from documents.participant import join_square

Figures = dict[Any, dict[Any, int]]  # by arm, and by the name of the figure
ARM_FIGURE_FIELDS = ("recipients", "delivered", "opened", "clicked", "givers")

SPLIT_FIGURE_FIELDS = {
    "givers of": "givers_by_currency",
    "raised": "raised",
    "credited": "credited",
    "ends": "ends",
}


def recompute_arms() -> Figures:
    """Return each arm's figures by its ID."""
    return recompute(lambda email: [email["arm_id"]])


def recompute_parts() -> Figures:
    """Return the figures of each arm in each segment, by both IDs."""
    return recompute(lambda email: [(email["arm_id"], one) for one in email["segment_ids"]])


def recompute(list_keys: Callable[[Any], Iterable[Hashable]]) -> Figures:
    """Return the figures by the keys of emails. A gift belongs to the user that matching found."""
    gifts = list(get_db().donations.find({"status": "succeeded", "deleted_at": None}))
    arms: defaultdict[Any, Counter[Any]] = defaultdict(Counter)
    for email in get_db().emails.find({"arm_id": {"$exists": True}, "deleted_at": None}):
        figures: Counter[Any] = Counter()
        figures["recipients"] += 1
        figures["delivered"] += "delivered_at" in email
        figures["opened"] += bool(email["opens"] or email["clicks"])
        figures["clicked"] += bool(email["clicks"])
        figures["ends", email["outcome_until"].date().isoformat()] += 1
        for currency, amount in email.get("raised", {}).items():
            figures["credited", currency] += amount
        given: Counter[str] = Counter()
        mine = [gift for gift in gifts if counts(email, gift)]
        for gift in mine:
            given[gift["currency"]] += gift["amount"] - gift.get("refunded_amount", 0)
        figures["givers"] += bool(mine)
        for currency, amount in given.items():
            figures["givers of", currency] += 1
            figures["raised", currency] += amount
            figures["squares", currency] += amount**2
        for key in list_keys(email):
            arms[key].update(figures)
    return {id_: {key: n for key, n in one.items() if n} for id_, one in arms.items()}


def counts(email: dict[str, Any], gift: dict[str, Any]) -> bool:
    """Return whether a gift counts for the email's arm, by intention to treat."""
    is_mine = gift.get("user_id") == email["user_id"]
    is_here = email.get("organization_wide") or gift["fundraiser_id"] == email["fundraiser_id"]
    return (
        is_mine
        and bool(is_here)
        and email["outcome_from"] <= gift["donated_at"] < email["outcome_until"]
    )


def read_arms() -> Figures:
    """Return each arm's figures as the ledger keeps them."""
    return _read(get_db().arms.find(), lambda row: row["_id"])


def read_parts() -> Figures:
    """Return the figures of each arm in each segment as the ledger keeps them."""
    return _read(get_db().arm_segments.find(), lambda row: (row["arm_id"], row["segment_id"]))


def _read(rows: Iterable[Any], key_of: Callable[[Any], Hashable]) -> Figures:
    arms: Figures = {}
    for row in rows:
        figures: dict[Any, int] = {name: row.get(name, 0) for name in ARM_FIGURE_FIELDS}
        for name, field in SPLIT_FIGURE_FIELDS.items():
            figures |= {(name, currency): n for currency, n in row.get(field, {}).items()}
        for currency, parts in row.get("squares", {}).items():
            figures["squares", currency] = join_square(parts.get("high", 0), parts.get("low", 0))
        if figures := {key: n for key, n in figures.items() if n}:
            arms[key_of(row)] = figures
    return arms
