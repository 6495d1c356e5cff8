"""Facts of payments, and the join that merges them. Pure.

A fact is the latest snapshot of one object, such as a charge, an invoice, a refund or a post. The
merge keeps the later of two facts, by the time of their events. So facts may arrive in any order,
and repeatedly.
"""

import json
from collections.abc import Mapping
from typing import Any

PaymentFact = dict[str, Any]
PaymentFacts = dict[str, PaymentFact]  # by the ID of the object

FAILED_STATUS, PENDING_STATUS, SUCCEEDED_STATUS = "failed", "pending", "succeeded"
# The rank decides between two snapshots from the same second.
STATUS_RANKS = {
    PENDING_STATUS: 0,
    FAILED_STATUS: 1,
    SUCCEEDED_STATUS: 2,
}
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
        # Evidence of a capture: prefer the last capture, in its snapshot before any refund.
        return fact["captured"], -fact["amount_refunded"], fact["is_capture"], fact["at"], text
    # Of two snapshots from one second, the more advanced or more complete one wins. Otherwise, the
    # text decides, so that the result never depends on the order. The current form of a fact wins
    # over the form of an earlier version.
    rank = STATUS_RANKS.get(fact.get("status", ""), 0) + (fact.get("is_closed") or 0)
    is_todays = "authorized" in fact
    money = fact.get("captured") or 0, fact.get("amount_refunded") or fact.get("refunded") or 0
    told = sum(value is not None for value in fact.values())
    return fact["at"], rank, is_todays, money, told, text
