"""A preview of another match policy, and rematching by the current policy.

The preview finds the gifts whose match would change, and writes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from mongoengine import get_connection, get_db

from documents.conditions import MATCHABLE_STATUSES, is_counted, net_amount
from documents.matching.batch_rules import decide_all
from documents.matching.instalments import gifts_and_firsts
from documents.matching.policy import MatchPolicy
from documents.matching.policy_version import find_effective_policy
from documents.matching.reading import read_evidence
from documents.matching.rematch import NOT_PINNED_FILTER, mark_for_rematch
from documents.rows.donation import DonationRow
from documents.storage.former_match import list_stored_names, read_match
from matchback.engine import Tx

GIFTS_PER_PAGE = 250
MatchTarget = tuple[str, ObjectId | None, ObjectId | None]  # match, email, mailing


@dataclass(frozen=True)
class MatchChange:
    """A gift whose match would change.

    Attributes:
        amount: the net amount in minor units, or 0 if reports do not count the gift.
    """

    donation_id: ObjectId
    amount: int
    currency: str
    before: MatchTarget
    after: MatchTarget


def preview_policy(
    organization_id: ObjectId,
    default: MatchPolicy,
    edit: Callable[[MatchPolicy], MatchPolicy],
    fundraiser_id: ObjectId | None = None,
) -> Iterator[tuple[int, list[MatchChange]]]:
    """Preview the matches of an organization's or fundraiser's gifts under an edited policy.

    Args:
        default: the policy for organizations without their own.
        edit: returns the edited policy, given the current one.

    Yields:
        For each page, the number of gifts read and the matches that would change.
    """
    for id_ in _fundraisers(organization_id, fundraiser_id):
        held = find_effective_policy(Tx(get_db()), organization_id, id_, default)
        yield from _of_fundraiser(id_, edit(held))


def mark_all_for_rematch(
    organization_id: ObjectId, fundraiser_id: ObjectId | None = None
) -> Iterator[int]:
    """Mark gifts for rematch by the current policy, except gifts that staff pinned.

    Workers decide the gifts. An interrupted run can be repeated: it starts from the beginning and
    keeps correct matches.

    Yields:
        The number of gifts marked on each page.
    """
    for id_ in _fundraisers(organization_id, fundraiser_id):
        for page in _pages(id_, NOT_PINNED_FILTER):
            ids = [row["_id"] for row in page]
            mark_for_rematch(Tx(get_db()), ids)
            yield len(ids)


def _fundraisers(organization_id: ObjectId, fundraiser_id: ObjectId | None) -> list[ObjectId]:
    query: dict[str, Any] = {"organization_id": organization_id}
    if fundraiser_id:
        query["_id"] = fundraiser_id
    return [row["_id"] for row in get_db().fundraisers.find(query, {"_id": 1})]


def _pages(fundraiser_id: ObjectId, more: dict[str, Any]) -> Iterator[list[DonationRow]]:
    matched = {"status": {"$in": MATCHABLE_STATUSES}, "deleted_at": None, **more}
    query: dict[str, Any] = {"fundraiser_id": fundraiser_id, **matched}
    while True:
        found = get_db().donations.find(query).sort("_id", 1)
        page = list(found.limit(GIFTS_PER_PAGE))
        if not page:
            return
        yield page
        query["_id"] = {"$gt": page[-1]["_id"]}


def _of_fundraiser(
    fundraiser_id: ObjectId, policy: MatchPolicy
) -> Iterator[tuple[int, list[MatchChange]]]:
    for page in _pages(fundraiser_id, {}):
        with get_connection().start_session(snapshot=True) as session:
            yield len(page), _changes(Tx(get_db(), session), page, policy)


def _changes(tx: Tx, page: list[DonationRow], policy: MatchPolicy) -> list[MatchChange]:
    known = {gift["_id"] for gift in page}
    changes = []
    for one in decide_all(read_evidence(tx, page, gifts_and_firsts), policy):
        gift, email = one.gift, one.decision.email
        after = one.decision.match, email and email.id, email and email.mailing_id
        is_same_class = gift.get("match") in list_stored_names(after[0])
        matched = after[0] if is_same_class else read_match(gift)
        before = matched, gift.get("email_id"), gift.get("mailing_id")
        if before != after and gift["_id"] in known:
            amount = net_amount(gift) if is_counted(gift) else 0
            change = MatchChange(gift["_id"], amount, gift["currency"], before, after)  # type: ignore[arg-type]
            changes.append(change)
    return changes
