"""MongoDB's collections, with the types of their rows."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pymongo.collection import Collection
from pymongo.database import Database

from documents.rows.donation import DonationRow, DonorRow, GiftDayRow, MatchRow, PastMatchRow
from documents.rows.email import EmailRow, LateTouchesRow, MessageRow
from documents.rows.event import ArchiveRow, ClickerRow, EventRow, LinkRow
from documents.rows.experiment import ArmRow, ArmSegmentRow, ParticipantRow
from documents.rows.fundraiser import FundraiserRow, MailingRow, PolicyVersionRow
from documents.rows.payment import PaymentRow
from documents.rows.sensitivity import SensitivityRow, SensitivityRunRow
from documents.rows.shared_post import SharedPostRow
from documents.rows.user import UserRow
from documents.rows.webhook_delivery import ErasedItemsRow, WebhookDeliveryRow

T = TypeVar("T", bound=Mapping[str, Any])

COLLECTIONS: Final[Mapping[type, str]] = {
    ArchiveRow: "archives",
    ArmRow: "arms",
    ArmSegmentRow: "arm_segments",
    ClickerRow: "clickers",
    DonationRow: "donations",
    DonorRow: "donors",
    EmailRow: "emails",
    ErasedItemsRow: "erased_items",
    EventRow: "events",
    FundraiserRow: "fundraisers",
    GiftDayRow: "gift_days",
    LateTouchesRow: "late_touches",
    LinkRow: "links",
    MailingRow: "mailings",
    MatchRow: "matches",
    MessageRow: "messages",
    ParticipantRow: "participants",
    PastMatchRow: "past_matches",
    PaymentRow: "payments",
    PolicyVersionRow: "policy_versions",
    SensitivityRow: "sensitivities",
    SensitivityRunRow: "sensitivity_runs",
    SharedPostRow: "shared_posts",
    UserRow: "users",
    WebhookDeliveryRow: "deliveries",
}


def collection(database: Database[Any], row: type[T]) -> Collection[T]:
    """Return the collection that stores rows of this type.

    With a projection, rows lack the other fields.
    """
    return database[COLLECTIONS[row]]
