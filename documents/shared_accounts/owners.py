"""Owners of emails: the organizations that a post's references lead to."""

from collections.abc import Mapping
from itertools import islice

from bson import ObjectId

from documents.giving_links.link_token import refresh_link_keys
from documents.organization import is_in_deletion
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.shared_post import SharedPostRow
from documents.shared_accounts.plan import RoutingPlan, plan_routes
from documents.shared_accounts.rules import UNKNOWN_EMAIL
from matchback.engine import Tx

IDS_PER_QUERY = 1000


def make_plan(tx: Tx, post: SharedPostRow) -> RoutingPlan:
    """Return the plan of a post. A token may need a key that is newer than the cached keys."""

    def find(ids: set[ObjectId]) -> Mapping[ObjectId, ObjectId]:
        return find_organizations(tx, ids)

    def plan() -> RoutingPlan:
        body, tokens_only = bytes(post["body"]), post.get("tokens_only", False)
        return plan_routes(post["provider"], body, find, tokens_only=tokens_only)

    found = plan()
    if UNKNOWN_EMAIL in found.reasons and refresh_link_keys():
        found = plan()
    _drop_items_of_deletions(found)
    return found


def _drop_items_of_deletions(plan: RoutingPlan) -> None:
    """Drop items of organizations in deletion. Otherwise, their events would delay its end."""
    for organization_id in filter(is_in_deletion, list(plan.routed)):
        plan.ignored += len(plan.routed.pop(organization_id))


def find_organizations(tx: Tx, email_ids: set[ObjectId]) -> dict[ObjectId, ObjectId]:
    """Return the organization of each existing email, deleted or not."""
    found: dict[ObjectId, ObjectId] = {}
    left = iter(email_ids)
    while ids := list(islice(left, IDS_PER_QUERY)):
        rows = collection(tx.database, EmailRow).find(
            {"_id": {"$in": ids}}, {"organization_id": 1}, session=tx.session
        )
        found |= {row["_id"]: row["organization_id"] for row in rows}
    return found
