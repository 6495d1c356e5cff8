"""The emails of a mailing, newest first, by what their recipients did.

A page reads a bounded number of emails, whatever the size of the mailing.
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from mongoengine import QuerySet, get_db

from documents.email import (
    ID_INDEX,
    MAILED_FILTER,
    MAILING_ID_INDEX,
    RECIPIENT_ACTION_FIELDS,
    Email,
    build_action_condition,
)
from documents.index_tables.email_index import MAILING_ROWS_INDEX, EmailIndex
from documents.index_tables.former_layout import FORMER_RARE_ACTIONS_INDEX, is_email_index_filled
from documents.mailing import Mailing
from documents.rows.email import EmailRow

COMMON_ACTIONS = {"opened", "clicked"}
EMAILS_PER_COMMON_ACTION = 2  # at least one in this many emails usually has a common action
EmailPage = tuple[list[EmailRow], ObjectId | None]  # with the ID at which the next page continues


def query_mailing(
    mailing: Mailing, query: dict[str, Any], index: str, fields: Sequence[str]
) -> QuerySet:
    """Return a query for a mailing's emails, without those that are held out.

    The hint is necessary: a cached plan that was best for one mailing may read all of another.
    """
    of = {"organization_id": mailing.organization_id, "mailing_id": mailing.id}
    found = Email.objects(__raw__={**of, **MAILED_FILTER, "deleted_at": None, **query})
    return found.hint(index).only(*fields).as_pymongo()


def list_newest_emails(
    mailing: Mailing,
    did: str | None,
    before: ObjectId,
    number: int,
    *,
    fields: Sequence[str],
    arm_id: str | None = None,
) -> EmailPage:
    """Return the mailing's next emails whose recipients did this, newest first.

    Also return the ID at which the next page continues, or None at the end.

    Args:
        arm_id: the arm of the emails; None for all.
    """
    older: dict[str, Any] = {"_id": {"$lt": before}}
    picks = [build_action_condition(name) for name in RECIPIENT_ACTION_FIELDS.get(did or "", ())]
    of_arm = {"arm_id": arm_id} if arm_id else {}
    if picks and did not in COMMON_ACTIONS and is_email_index_filled(get_db()):
        return _list_rare(mailing, {**older, "$or": picks}, of_arm, number, fields)
    if of_arm or did in COMMON_ACTIONS:
        acted = {"$or": picks} if picks else {}
        return _list_common(mailing, older, {**acted, **of_arm}, number, fields)
    found = {
        row["_id"]: row
        for pick in picks or [{}]
        for row in query_mailing(
            mailing, older | pick, FORMER_RARE_ACTIONS_INDEX if pick else MAILING_ID_INDEX, fields
        )
        .order_by("-id")
        .limit(number)
    }
    rows = [found[id_] for id_ in sorted(found, reverse=True)[:number]]
    return rows, rows[-1]["_id"] if len(rows) == number else None


def _list_rare(
    mailing: Mailing,
    query: dict[str, Any],
    more: dict[str, Any],
    number: int,
    fields: Sequence[str],
) -> EmailPage:
    """Return a page of emails from the index table.

    It is short if emails were deleted a moment ago, or do not meet the further condition.
    """
    of = {"organization_id": mailing.organization_id, "mailing_id": mailing.id}
    found = EmailIndex.objects(__raw__={**of, **query}).hint(MAILING_ROWS_INDEX)
    ids = [row.id for row in found.only("id").order_by("-id").limit(number)]
    these = query_mailing(mailing, {"_id": {"$in": ids}, **more}, ID_INDEX, fields)
    rows = sorted(these, key=lambda row: row["_id"], reverse=True)
    return rows, ids[-1] if len(ids) == number else None


def _list_common(
    mailing: Mailing,
    older: dict[str, Any],
    pick: dict[str, Any],
    number: int,
    fields: Sequence[str],
) -> EmailPage:
    """Return a page of emails with a common action or of an arm from a bounded range.

    It may be short or empty.
    """
    looked_at = query_mailing(mailing, older, MAILING_ID_INDEX, ["id"]).order_by("-id")
    edge = looked_at.skip(number * EMAILS_PER_COMMON_ACTION).first()
    near = {"_id": {**older["_id"], **({"$gte": edge["_id"]} if edge else {})}}
    found = query_mailing(mailing, near | pick, MAILING_ID_INDEX, fields).order_by("-id")
    rows = list(found.limit(number))
    return rows, rows[-1]["_id"] if len(rows) == number else edge and edge["_id"]
