"""Plan of one post: which items go to which organization, and which stay, with their reasons."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bson import ObjectId

from documents.errors import Unusable
from documents.giving_links.unowned_references import find_owners, list_candidate_ids
from documents.providers.registry import PROVIDERS
from documents.providers.report import ERASED_ITEM
from documents.shared_accounts.rules import (
    FAILED,
    INVALID,
    NamedEmail,
    Route,
    choose_route,
    encode_body,
)
from documents.tracking.reader import parse_stored_body

log = logging.getLogger(__name__)

NO_ORGANIZATION = b""  # routing reads only references, which do not depend on the organization

# Returns the organization of each existing email among these IDs.
FindOwners = Callable[[set[ObjectId]], Mapping[ObjectId, ObjectId]]


class ReadItem(NamedTuple):
    """An item of a post, and the references of its events, or the reason why it is unreadable."""

    item: Any
    references: frozenset[str | None]
    reason: str | None = None


class UnroutedItem(NamedTuple):
    """An item that belongs to no organization, and the reason."""

    item: Any
    reason: str


@dataclass
class RoutingPlan:
    """The items of one post by their organization.

    Attributes:
        body: the body that the plan read.
        is_readable: whether the body is JSON. If not, it is one unrouted item.
        ignored: number of items without events, and of erased items.
    """

    body: bytes
    is_readable: bool = True
    routed: dict[ObjectId, list[Any]] = field(default_factory=dict)
    unrouted: list[UnroutedItem] = field(default_factory=list)
    ignored: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """Number of unrouted items by reason."""
        return Counter(one.reason for one in self.unrouted)

    def encode(self, items: list[Any]) -> bytes:
        """Return these items as a body: the original body if they are all items."""
        number = len(self.unrouted) + self.ignored + sum(map(len, self.routed.values()))
        is_whole = not self.is_readable or len(items) == number
        return self.body if is_whole else encode_body(items)


def plan_routes(
    provider: str, body: bytes, find: FindOwners, *, tokens_only: bool = False
) -> RoutingPlan:
    """Return the plan of a stored body. The number of queries grows with the body only.

    Args:
        tokens_only: whether only link tokens name emails, and IDs do not.
    """
    items = parse_stored_body(provider, body)
    if items is None:
        return RoutingPlan(body, is_readable=False, unrouted=[UnroutedItem(None, INVALID)])
    read = [read_references(provider, item) for item in items]
    references = {reference for one in read for reference in one.references}
    candidates = {one: list_candidate_ids(one, tokens_only=tokens_only) for one in references}
    emails = _find_named_emails(candidates, find)
    plan = RoutingPlan(body)
    for one in read:
        _add(plan, one, emails)
    return plan


def read_references(provider: str, item: Any) -> ReadItem:
    """Return the references of an item's events."""
    if item == ERASED_ITEM:
        return ReadItem(item, frozenset())
    try:
        reports = PROVIDERS[provider].read_events(NO_ORGANIZATION, item)
    except Unusable:
        return ReadItem(item, frozenset(), INVALID)
    except Exception:
        # A bug with one item must not hold up the others. The operator retries after the fix.
        log.exception("cannot read an item of a shared post")
        return ReadItem(item, frozenset(), FAILED)
    return ReadItem(item, frozenset(report.email_ref for report in reports))


def _find_named_emails(
    candidates: Mapping[str | None, Sequence[ObjectId]], find: FindOwners
) -> dict[str | None, NamedEmail]:
    owners = find({id_ for ids in candidates.values() for id_ in ids})
    return {
        reference: NamedEmail(bool(ids), frozenset(find_owners(reference, ids, owners)))
        for reference, ids in candidates.items()
    }


def _add(plan: RoutingPlan, read: ReadItem, emails: Mapping[str | None, NamedEmail]) -> None:
    named = [emails[reference] for reference in read.references]
    route = Route(None, read.reason) if read.reason else choose_route(named)
    if route.organization_id is not None:
        plan.routed.setdefault(route.organization_id, []).append(read.item)
    elif route.reason is not None:
        plan.unrouted.append(UnroutedItem(read.item, route.reason))
    else:
        plan.ignored += 1
