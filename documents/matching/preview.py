"""A preview of another match policy: the gifts that would get another email. It writes nothing.

`matchback rematch` uses it too, to decide gifts again by the policy that is set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from mongoengine import get_connection, get_db

from documents.conditions import MATCHED_STATUSES, counts, net
from documents.matching.batch_rules import decide_all
from documents.matching.instalments import gifts_and_firsts
from documents.matching.policy import MatchPolicy
from documents.matching.policy_version import policy_of
from documents.matching.reading import read_evidence
from documents.matching.rematch import NOT_BY_PIN, mark
from documents.rows.donation import DonationRow
from matchback.engine import Tx

GIFTS_A_PAGE = 250
Place = tuple[str, ObjectId | None, ObjectId | None]  # match, email, mailing


@dataclass(frozen=True)
class Change:
    """A gift that would be matched differently. What it counts with: nothing, should it not."""

    donation_id: ObjectId
    amount: int
    currency: str
    before: Place
    after: Place


def what_if(
    organization_id: ObjectId,
    default: MatchPolicy,
    edit: Callable[[MatchPolicy], MatchPolicy],
    fundraiser_id: ObjectId | None = None,
) -> Iterator[tuple[int, list[Change]]]:
    """Decide again all gifts of an organization or fundraiser, under an edited policy.

    Args:
        default: the policy of organizations that have none.
        edit: makes the policy in question of the one that holds.

    Yields:
        How many more gifts were looked at, and those of them that would change.
    """
    for id_ in _fundraisers(organization_id, fundraiser_id):
        held = policy_of(Tx(get_db()), organization_id, id_, default)
        yield from _of_fundraiser(id_, edit(held))


def rematch(organization_id: ObjectId, fundraiser_id: ObjectId | None = None) -> Iterator[int]:
    """Let gifts be decided again by the policy that is set; workers do it. Yields how many more.

    Repeating it after it was interrupted starts again, and changes nothing that is right.
    """
    for id_ in _fundraisers(organization_id, fundraiser_id):
        for page in _pages(id_, NOT_BY_PIN):
            ids = [row["_id"] for row in page]
            mark(Tx(get_db()), ids)
            yield len(ids)


def _fundraisers(organization_id: ObjectId, fundraiser_id: ObjectId | None) -> list[ObjectId]:
    query: dict[str, Any] = {"organization_id": organization_id}
    if fundraiser_id:
        query["_id"] = fundraiser_id
    return [row["_id"] for row in get_db().fundraisers.find(query, {"_id": 1})]


def _pages(fundraiser_id: ObjectId, more: dict[str, Any]) -> Iterator[list[DonationRow]]:
    matched = {"status": {"$in": MATCHED_STATUSES}, "deleted_at": None, **more}
    query: dict[str, Any] = {"fundraiser_id": fundraiser_id, **matched}
    while True:
        found = get_db().donations.find(query).sort("_id", 1)
        page = list(found.limit(GIFTS_A_PAGE))
        if not page:
            return
        yield page
        query["_id"] = {"$gt": page[-1]["_id"]}


def _of_fundraiser(
    fundraiser_id: ObjectId, policy: MatchPolicy
) -> Iterator[tuple[int, list[Change]]]:
    for page in _pages(fundraiser_id, {}):
        with get_connection().start_session(snapshot=True) as session:
            yield len(page), _changes(Tx(get_db(), session), page, policy)


def _changes(tx: Tx, page: list[DonationRow], policy: MatchPolicy) -> list[Change]:
    known = {gift["_id"] for gift in page}
    changes = []
    for one in decide_all(read_evidence(tx, page, gifts_and_firsts), policy):
        gift, email = one.gift, one.decision.email
        after = one.decision.match, email and email.id, email and email.mailing_id
        before = gift.get("match"), gift.get("email_id"), gift.get("mailing_id")
        if before != after and gift["_id"] in known:
            amount = net(gift) if counts(gift) else 0
            change = Change(gift["_id"], amount, gift["currency"], before, after)  # type: ignore[arg-type]
            changes.append(change)
    return changes
