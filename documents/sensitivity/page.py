"""The sums of one page of a fundraiser's gifts."""

import time
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from documents.matching.instalments import gifts_and_firsts
from documents.matching.policy import MatchPolicy
from documents.matching.policy_version import find_effective_policy
from documents.matching.reading import read_evidence
from documents.rows.donation import DonationRow
from documents.rows.sensitivity import SensitivityRunRow
from documents.sensitivity.rules import AlternativeMatches, MailingSums
from documents.sensitivity.snapshot import open_snapshot
from matchback.engine import Tx

GIFTS_PER_PAGE = 500
# Processor time for the decisions of a page. It ends earlier if its donors have very many emails.
PAGE_SECONDS = 0.25
# A gift without a match is not in the reports yet.
COUNTED_GIFTS_FILTER: dict[str, Any] = {
    "status": "succeeded",
    "deleted_at": None,
    "match": {"$type": "string"},
}
GIFT_FIELDS = dict.fromkeys(
    (
        *("organization_id", "fundraiser_id", "mailing_id", "status", "donated_at"),
        *("amount", "refunded_amount", "currency", "donor_email", "donor_mailbox"),
        *("email_ref", "recurring_id", "pin", "trouble"),
    ),
    1,
)


@dataclass(frozen=True)
class GiftPage:
    """The result of a page.

    Attributes:
        last_id: the last gift of the page; None if there is none.
        is_last: whether no gift follows.
        seconds: processor time.
    """

    sums: MailingSums
    policy: MatchPolicy
    last_id: ObjectId | None
    is_last: bool
    seconds: float


def compute_page(run: SensitivityRunRow, default: MatchPolicy) -> GiftPage:
    """Compute the sums of the next gifts, as of the snapshot of the run.

    Args:
        default: the policy for organizations without their own.

    Raises:
        OperationFailure: MongoDB does not keep the snapshot any more.
    """
    begun_at = time.thread_time()
    tx = Tx(open_snapshot(run["snapshot"]))
    policy = find_effective_policy(tx, run["organization_id"], run["_id"], default)
    gifts = _read_gifts(tx, run)
    matches = AlternativeMatches(read_evidence(tx, gifts, gifts_and_firsts), policy)
    sums, decided = MailingSums(), 0
    until = time.thread_time() + PAGE_SECONDS  # reading does not count, so each page decides many
    for gift in gifts:
        sums.add(gift, matches.find(gift))
        decided += 1
        if time.thread_time() > until:
            break
    last_id = gifts[decided - 1]["_id"] if decided else None
    is_last = decided == len(gifts) < GIFTS_PER_PAGE
    return GiftPage(sums, policy, last_id, is_last, time.thread_time() - begun_at)


def _read_gifts(tx: Tx, run: SensitivityRunRow) -> list[DonationRow]:
    query: dict[str, Any] = {"fundraiser_id": run["_id"], **COUNTED_GIFTS_FILTER}
    if after := run.get("after"):
        query["_id"] = {"$gt": after}
    found = tx.database.donations.find(query, GIFT_FIELDS, batch_size=GIFTS_PER_PAGE)
    return list(found.sort("_id", 1).limit(GIFTS_PER_PAGE))
