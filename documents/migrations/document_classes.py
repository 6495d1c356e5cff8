"""All stored document classes, and so all collections."""

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
from documents.index_tables.user_index import UserIndex
from documents.link import Link, LinkClicks
from documents.mail.mail import Mail
from documents.mailing import Mailing
from documents.match import Match
from documents.matching.late_touches import LateTouches
from documents.matching.past_match import PastMatch
from documents.matching.policy_version import PolicyVersion
from documents.message import Message
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
