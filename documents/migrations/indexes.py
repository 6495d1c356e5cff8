"""All stored document classes, and the upgrade of their indexes."""

from collections.abc import Mapping, Sequence
from typing import Any

from mongoengine import get_db
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from documents.access.account import Account
from documents.access.api_key import ApiKey
from documents.access.audit import AuditEntry, OpenAct
from documents.access.reset_link import PasswordResetLink
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.archive import Archive
from documents.arm import Arm
from documents.concurrency.lease import Lease
from documents.concurrency.mutex import AskedTurn, Turn
from documents.digests.choice import DigestChoice
from documents.donation import Donation
from documents.donor import Donor
from documents.email import Email
from documents.erased.bodies import ErasedBody
from documents.erased.customers import ErasedCustomer
from documents.erased.items import ErasedItems
from documents.event import Event
from documents.evidence_change import EvidenceChange
from documents.former_cost import FormerCost
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.giving_links.link_token import LinkKey
from documents.history.gift_change import SettledChanges
from documents.history.journal import CounterChange, CounterSum
from documents.history.progress import JournalProgress
from documents.imports.file_import import FileImport
from documents.imports.files import FileChunk
from documents.imports.rejection import Rejection
from documents.index_tables.email_index import EmailIndex
from documents.index_tables.former_layout import FORMER_EMAIL_INDEXES, FORMER_USER_INDEXES
from documents.index_tables.user_index import UserIndex
from documents.link import Link, LinkClicks
from documents.mail.mail import Mail
from documents.mailing import Mailing
from documents.match import FORMER_INDEXES, MATCHES_MIGRATION, Match
from documents.matching.late_touches import LateTouches
from documents.matching.past_match import PastMatch
from documents.matching.policy_version import PolicyVersion
from documents.message import Message
from documents.migrations.index_tables import EMAIL_INDEX_MIGRATION, USER_INDEX_MIGRATION
from documents.migrations.migration import Progress
from documents.notices.incident import Incident
from documents.organization import Organization
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.participant import Participant
from documents.payments.payment import Payment
from documents.people.duplicate import Duplicate
from documents.recount.background import SteadyRecount
from documents.segments.arm_segment import ArmSegment
from documents.segments.segment import Segment
from documents.sensitivity.stored import Sensitivity, SensitivityRun
from documents.shared_accounts.shared_post import SharedPost
from documents.sign_on.pending_sign_in import PendingSignIn
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.sign_on.used_logout_token import UsedLogoutToken
from documents.storage.export_outbox import Unexported
from documents.storage.export_state import WarehouseState
from documents.storage.idempotency import IdempotencyKey
from documents.tracking.former_rows import EVENT_ROWS_MIGRATION, FORMER_ID_INDEX
from documents.tracking.relabelling import Relabelling
from documents.user import User
from documents.webhook_delivery import WebhookDelivery
from documents.webhook_key import WebhookKey
from documents.webhook_rejections import WebhookRejections

DOCUMENT_CLASSES = (
    Organization,
    ApiKey,
    Duplicate,
    Account,
    Staff,
    StaffSession,
    SignInLink,
    SignOnProvider,
    PendingSignIn,
    UsedLogoutToken,
    PasswordResetLink,
    WebhookKey,
    WebhookRejections,
    WebhookEndpoint,
    EventDelivery,
    DigestChoice,
    Mail,
    Incident,
    User,
    UserIndex,
    Fundraiser,
    Mailing,
    FormerCost,
    Email,
    EmailIndex,
    Donation,
    Match,
    PastMatch,
    Payment,
    PolicyVersion,
    LinkKey,
    Donor,
    GiftDay,
    Participant,
    Arm,
    Segment,
    ArmSegment,
    SettledChanges,
    CounterChange,
    CounterSum,
    JournalProgress,
    EvidenceChange,
    Sensitivity,
    SensitivityRun,
    FileImport,
    FileChunk,
    Rejection,
    WebhookDelivery,
    SharedPost,
    Event,
    ErasedItems,
    ErasedBody,
    ErasedCustomer,
    Message,
    Archive,
    LateTouches,
    LinkClicks,
    Link,
    IdempotencyKey,
    OpenAct,
    AuditEntry,
    Lease,
    Turn,
    AskedTurn,
    Progress,
    SteadyRecount,
    Relabelling,
    Unexported,
    WarehouseState,
)

INDEX_NOT_FOUND_CODE = 27

# Indexes that no query uses. Each index slows down every write to its collection.
RETIRED_INDEXES: dict[str, tuple[str, ...]] = {
    "deliveries": ("organization_id_1__id_1",),
    "emails": ("organization_id_1_messages_1",),
    "events": ("email_id_1_type_1",),
    "payments": ("organization_id_1",),
}
# Indexes that readers use until a migration has finished, by the number of the migration.
REPLACED_INDEXES: dict[int, dict[str, tuple[str, ...]]] = {
    MATCHES_MIGRATION: {"donations": FORMER_INDEXES},
    USER_INDEX_MIGRATION: {"users": FORMER_USER_INDEXES},
    EMAIL_INDEX_MIGRATION: {
        "emails": (*FORMER_EMAIL_INDEXES, "due"),
        # No worker of the earlier version runs after a migration.
        "donations": ("due",),
        "mailings": ("due",),
    },
    EVENT_ROWS_MIGRATION: {"events": (FORMER_ID_INDEX,)},
}


def update_indexes() -> None:
    """Create missing indexes, then drop retired ones.

    A second run has no effect. Traffic can continue, but the checks are too slow for each request.
    """
    create_missing_indexes()
    drop_retired_indexes()


def create_missing_indexes() -> None:
    """Create missing indexes."""
    for document in DOCUMENT_CLASSES:
        document.ensure_indexes()


def drop_retired_indexes() -> None:
    """Drop indexes that no current query needs.

    Keep the indexes by which processes read stored data until its migration has finished.
    """
    for retired in (RETIRED_INDEXES, *_list_replaced_indexes()):
        drop_indexes(retired)


def drop_indexes(retired: Mapping[str, Sequence[str]]) -> None:
    """Drop these indexes, by collection. Ignore missing ones."""
    for name, indexes in retired.items():
        collection = get_db()[name]
        for index in collection.index_information().keys() & set(indexes):
            _drop(collection, index)


def _list_replaced_indexes() -> list[dict[str, tuple[str, ...]]]:
    """Return the indexes that a finished migration has replaced; all of them in a new database."""
    if get_db().organizations.find_one({}, {"_id": 1}) is None:
        return list(REPLACED_INDEXES.values())
    finished = get_db().migrations.find({"finished_at": {"$ne": None}}, {"_id": 1})
    return [REPLACED_INDEXES[row["_id"]] for row in finished if row["_id"] in REPLACED_INDEXES]


def _drop(collection: Collection[Any], index: str) -> None:
    try:
        collection.drop_index(index)
    except OperationFailure as error:
        if error.code != INDEX_NOT_FOUND_CODE:  # Another process has just dropped it.
            raise
