"""Facts of payments, and the join that merges them. Pure.

A fact is the latest snapshot of one object: a charge, a payment intent, an invoice, a Checkout
Session, a refund, a dispute, or a post. Merging keeps the later of two by the time of their events,
so facts may come in any order and any number of times.
"""

import json
from collections.abc import Mapping
from typing import Any

PaymentFact = dict[str, Any]
PaymentFacts = dict[str, PaymentFact]  # by the ID of the object

FAILED_STATUS, PENDING_STATUS, SUCCEEDED_STATUS = "failed", "pending", "succeeded"
STATUS_RANKS = {
    PENDING_STATUS: 0,
    FAILED_STATUS: 1,
    SUCCEEDED_STATUS: 2,
}  # of two snapshots of the same second
CAPTURE_KIND = "capture"


def merge_facts(known: Mapping[str, PaymentFact], new: Mapping[str, PaymentFact]) -> PaymentFacts:
    """Return the later snapshot of each object. Commutative, associative and idempotent."""
    result = dict(known)
    for id_, fact in new.items():
        result[id_] = max(result.get(id_, fact), fact, key=_lateness)
    return result


def _lateness(fact: PaymentFact) -> tuple[Any, ...]:
    text = json.dumps(fact, sort_keys=True)
    if fact["kind"] == CAPTURE_KIND:
        # Evidence, not a state: of the last capture, the snapshot before any refund.
        return fact["captured"], -fact["amount_refunded"], fact["is_capture"], fact["at"], text
    # In one second, the snapshot that is further on or says more wins; else either, but always
    # the same. A fact in an earlier version's form loses to the same fact in today's.
    rank = STATUS_RANKS.get(fact.get("status", ""), 0) + (fact.get("is_closed") or 0)
    is_todays = "authorized" in fact
    money = fact.get("captured") or 0, fact.get("amount_refunded") or fact.get("refunded") or 0
    told = sum(value is not None for value in fact.values())
    return fact["at"], rank, is_todays, money, told, text
