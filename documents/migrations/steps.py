"""All migrations, in order. Add a new one at the end.

Each migration accepts the layouts of all earlier versions; see
tests/integration/documents/migrations/.
"""

from collections.abc import Callable
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.access.former_staff import FORMER_STAFF_FILTER
from documents.event import ALL_GROUPS, UNMATCHED_FILTER
from documents.evidence_change import note_fundraisers
from documents.gift_day import make_gift_day_id
from documents.history.journal import FUNDRAISERS_JOURNAL_MIGRATION, MAILINGS_JOURNAL_MIGRATION
from documents.match import MATCHES_MIGRATION
from documents.matching import rematch
from documents.migrations.accounts import (
    ACCOUNTS_MIGRATION,
    FORMER_MEMBERS_FILTER,
    GIVEN_PASSWORDS_MIGRATION,
    LONE_ACCOUNTS_MIGRATION,
    REMOVED_STAFF_FILTER,
    REMOVED_STAFF_MIGRATION,
    add_accounts,
    delete_lone_accounts,
    forget_removed_staff,
    note_given_passwords,
)
from documents.migrations.addresses import (
    respell_events,
    respell_gifts,
    respell_staff,
    respell_users,
)
from documents.migrations.counting import count_settled_rows, name_donors
from documents.migrations.delays import MATCHED_FILTER, add_delays
from documents.migrations.event_rows import rename_message_ids, shorten_event_rows
from documents.migrations.events import add_event_facts
from documents.migrations.index_tables import (
    EMAIL_INDEX_MIGRATION,
    USER_INDEX_MIGRATION,
    fill_index_table,
)
from documents.migrations.journal import start_journal
from documents.migrations.match_records import add_match_records
from documents.migrations.matched import MATCHED_MIGRATION
from documents.migrations.matches import rename_matches, rename_past_matches
from documents.migrations.migration import Migration, RowChange
from documents.migrations.payments import name_payments, reread_payment_webhooks
from documents.migrations.positions import POSITIONS_MIGRATIONS
from documents.migrations.segments import WITHOUT_SEGMENTS_FILTER, add_provider_segments
from documents.payments.gift import find_missing_gift_reason
from documents.payments.named_by import MIGRATION as PAYMENTS_NAMED
from documents.people.search_words import list_search_words
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.payment import PaymentRow
from documents.rows.user import UserRow
from documents.tracking.former_clicks import FORMER_CLICKS_MIGRATION as FORMER_CLICKS
from documents.tracking.former_rows import EVENT_ROWS_MIGRATION
from documents.values.address import to_mailbox
from documents.values.time import now
from matchback.engine import Tx


def _set(
    tx: Tx,
    collection: str,
    rows: list[Any],
    missing: Callable[[Any], dict[str, Any]],
) -> None:
    """Set missing fields, both in the collection and in the given rows."""
    operations = []
    for row in rows:
        new = {name: value for name, value in missing(row).items() if name not in row}
        if new:
            row.update(new)
            operations.append(UpdateOne({"_id": row["_id"]}, {"$set": new}))
    if operations:
        tx.database[collection].bulk_write(operations, ordered=False, session=tx.session)


def add_user_keys(tx: Tx, rows: list[UserRow]) -> None:
    """Add the mailbox and the search words of each user."""

    def missing(user: UserRow) -> dict[str, Any]:
        if "address" not in user:  # deleted
            return {}
        where = to_mailbox(user["email"])
        found = {"mailbox": where, "words": list_search_words(user["name"], user["email"])}
        if where == user["address"]:
            return found
        return found | {"rematch_mailboxes": [where], "rematch_due": now()}

    _set(tx, "users", rows, missing)


def rename_webhook_keys(tx: Tx, rows: list[Any]) -> None:
    """Rename `public_keys` to `keys`, because the field now holds keys of any provider."""
    _set(tx, "webhook_keys", rows, lambda row: {"keys": row.get("public_keys", [])})
    ids = [row["_id"] for row in rows]
    gone = {"$unset": {"public_keys": ""}}
    tx.database.webhook_keys.update_many({"_id": {"$in": ids}}, gone, session=tx.session)


def add_gift_keys(tx: Tx, rows: list[DonationRow]) -> None:
    """Add the donor's mailbox to each gift, and the gift days to each matched gift."""

    def missing(gift: DonationRow) -> dict[str, Any]:
        places: dict[str, Any] = {}
        if gift.get("donor_email"):
            places["donor_mailbox"] = to_mailbox(gift["donor_email"])
        if gift.get("match"):
            of = gift["fundraiser_id"]
            places["fundraiser_day_id"] = make_gift_day_id("fundraiser", of, gift)
        if gift.get("match") and (mailing_id := gift.get("mailing_id")):
            places["mailing_day_id"] = make_gift_day_id("mailing", mailing_id, gift)
        return places

    old = [gift for gift in rows if "donor_mailbox" not in gift]
    _set(tx, "donations", rows, missing)
    name_donors(tx, old)
    count_settled_rows(tx, "donations", rows)
    variants = [gift for gift in old if gift.get("donor_mailbox") != gift.get("donor_address")]
    open_ = [
        gift for gift in variants if gift.get("match") in rematch.OPEN_GIFTS_FILTER["match"]["$in"]
    ]
    by_rules = [one["_id"] for one in open_ if not _is_pinned(one)]
    rematch.mark_for_rematch(tx, by_rules)


def _is_pinned(gift: DonationRow) -> bool:
    decision = gift.get("decision")
    return bool(decision and decision.get("rule") == "pin")


def add_unsubscribe_groups(tx: Tx, rows: list[EmailRow]) -> None:
    """Add unsubscribe and resubscribe times by group, and remove the embedded messages.

    Messages are separate records in this version.
    """

    def missing(email: EmailRow) -> dict[str, Any]:
        left, back = email.get("unsubscribed_at"), email.get("resubscribed_at")
        found = {
            "left": {ALL_GROUPS: left} if left else {},
            "back": {ALL_GROUPS: back} if back else {},
        }
        return found if left else {}

    _set(tx, "emails", rows, missing)
    ids = [row["_id"] for row in rows if "messages" in row]
    if ids:
        gone = {"$unset": {"messages": ""}}
        tx.database.emails.update_many({"_id": {"$in": ids}}, gone, session=tx.session)
    count_settled_rows(tx, "emails", rows)


def recount_collection(collection: str) -> RowChange:
    """Return a change that only counts the collection's rows again."""
    return lambda tx, rows: count_settled_rows(tx, collection, rows)


def record_end_time(tx: Tx, rows: list[Any]) -> None:
    """Change nothing. The migration only records the time at which it ends."""


NO_ROW_FILTER = {"_id": None}
OPENED_MIGRATION = 26
DELAYS_MIGRATION = 29
SEGMENTS_MIGRATION = 30
SENSITIVITY_MIGRATION = 31
GAVE_FILTER = {"donations_count": {"$gt": 0}}
CLICKED_ONLY_FILTER = {"clicks": {"$gt": 0}, "opens": {"$in": [None, 0]}}


def add_payment_ids(tx: Tx, rows: list[PaymentRow]) -> None:
    """Give each payment its public ID and, if it has no gift, the reason."""

    def missing(payment: PaymentRow) -> dict[str, Any]:
        if payment.get("linked_to") or "instalments" in payment:
            return {}
        if payment.get("donation_id"):
            return {"public_id": ObjectId()}
        reason = find_missing_gift_reason(tx, payment)
        return {"public_id": ObjectId(), "reason": reason}

    _set(tx, "payments", rows, missing)


MIGRATIONS = (
    Migration(1, "Add mailboxes and search words to users", "users", add_user_keys),
    Migration(2, "Support webhook keys of any provider", "webhook_keys", rename_webhook_keys),
    Migration(3, "Add messages, links and clickers of events", "events", add_event_facts),
    Migration(4, "Count mailings again", "mailings", recount_collection("mailings")),
    Migration(5, "Count emails again", "emails", add_unsubscribe_groups),
    Migration(6, "Add days to gifts and count them again", "donations", add_gift_keys),
    Migration(7, "Count donors again", "donors", recount_collection("donors")),
    Migration(8, "Count clickers again", "clickers", recount_collection("clickers")),
    Migration(9, "Use one key for all spellings of a user's address", "users", respell_users),
    Migration(10, "Use one key for all spellings of a staff address", "staff", respell_staff),
    Migration(11, "Use one key for all spellings of an event address", "events", respell_events),
    Migration(12, "Use one key for all spellings of a donor's address", "donations", respell_gifts),
    Migration(
        FORMER_CLICKS,
        "Record the end of the former click format",
        "events",
        record_end_time,
        NO_ROW_FILTER,
    ),
    Migration(
        14,
        "Read payment webhooks again",
        "deliveries",
        reread_payment_webhooks,
        {"provider": "stripe"},
    ),
    Migration(16, "List payments without a gift", "payments", add_payment_ids),
    Migration(PAYMENTS_NAMED, "Add mailboxes to payments", "payments", name_payments),
    Migration(18, "Rename match classes of gifts", "donations", rename_matches),
    Migration(19, "Rename match classes of past matches", "past_matches", rename_past_matches),
    Migration(
        MATCHES_MIGRATION,
        "Add match records of donations",
        "donations",
        add_match_records,
        {"match": {"$type": "string"}},
    ),
    Migration(
        USER_INDEX_MIGRATION, "Fill the index table of users", "users", fill_index_table("users")
    ),
    Migration(
        EMAIL_INDEX_MIGRATION,
        "Fill the index table of emails",
        "emails",
        fill_index_table("emails"),
    ),
    Migration(EVENT_ROWS_MIGRATION, "Shorten events", "events", shorten_event_rows),
    Migration(
        25,
        "Rename the message ID of unmatched events",
        "events",
        rename_message_ids,
        UNMATCHED_FILTER,
    ),
    Migration(
        OPENED_MIGRATION,
        "Count clicked emails as opened",
        "emails",
        recount_collection("emails"),
        CLICKED_ONLY_FILTER,
    ),
    # Mailings first, so that the figures of a fundraiser's mailings are known whenever its own are.
    Migration(
        MAILINGS_JOURNAL_MIGRATION,
        "Begin the journal of mailings",
        "mailings",
        start_journal("mailings"),
    ),
    Migration(
        FUNDRAISERS_JOURNAL_MIGRATION,
        "Begin the journal of fundraisers",
        "fundraisers",
        start_journal("fundraisers"),
    ),
    Migration(
        DELAYS_MIGRATION,
        "Count the hours from emails to gifts",
        "donations",
        add_delays,
        MATCHED_FILTER,
    ),
    Migration(
        SEGMENTS_MIGRATION,
        "Add mailbox providers of emails",
        "emails",
        add_provider_segments,
        WITHOUT_SEGMENTS_FILTER,
    ),
    Migration(
        SENSITIVITY_MIGRATION,
        "Note fundraisers for the sensitivity of their mailings",
        "fundraisers",
        note_fundraisers,
        {"donations_count": {"$gt": 0}},
    ),
    Migration(
        ACCOUNTS_MIGRATION,
        "Give staff members accounts",
        "staff",
        add_accounts,
        FORMER_STAFF_FILTER,
    ),
    Migration(
        REMOVED_STAFF_MIGRATION,
        "Delete names and addresses of removed staff",
        "staff",
        forget_removed_staff,
        REMOVED_STAFF_FILTER,
    ),
    Migration(
        LONE_ACCOUNTS_MIGRATION,
        "Delete accounts of removed staff",
        "accounts",
        delete_lone_accounts,
    ),
    Migration(
        MATCHED_MIGRATION,
        "Count the gifts of a fundraiser's emails",
        "emails",
        recount_collection("emails"),
        GAVE_FILTER,
    ),
    *POSITIONS_MIGRATIONS,
    Migration(
        GIVEN_PASSWORDS_MIGRATION,
        "Note the staff members who had a password",
        "staff",
        note_given_passwords,
        FORMER_MEMBERS_FILTER,
    ),
)
