"""Each row type has exactly the stored fields of its document, with their types."""

from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import mongoengine
import pytest
from bson import ObjectId
from bson.timestamp import Timestamp

from documents.archive import Archive
from documents.arm import Arm
from documents.donation import Donation
from documents.donor import Donor
from documents.email import Email
from documents.erased.items import ErasedItems
from documents.event import Event
from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.link import Link, LinkClicks
from documents.mailing import Mailing
from documents.match import Match
from documents.matching.late_touches import LateTouches
from documents.matching.past_match import PastMatch
from documents.matching.policy_version import PolicyVersion
from documents.message import Message
from documents.participant import Participant
from documents.payments.payment import Payment
from documents.rows.collections import COLLECTIONS
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
from documents.segments.arm_segment import ArmSegment
from documents.sensitivity.stored import Sensitivity, SensitivityRun
from documents.shared_accounts.shared_post import SharedPost
from documents.user import User
from documents.webhook_delivery import WebhookDelivery

DOCUMENTS: dict[type, Any] = {
    ArchiveRow: Archive,
    ArmRow: Arm,
    ArmSegmentRow: ArmSegment,
    ClickerRow: LinkClicks,
    DonationRow: Donation,
    DonorRow: Donor,
    EmailRow: Email,
    ErasedItemsRow: ErasedItems,
    EventRow: Event,
    FundraiserRow: Fundraiser,
    GiftDayRow: GiftDay,
    LateTouchesRow: LateTouches,
    LinkRow: Link,
    MailingRow: Mailing,
    MessageRow: Message,
    MatchRow: Match,
    ParticipantRow: Participant,
    PastMatchRow: PastMatch,
    PaymentRow: Payment,
    PolicyVersionRow: PolicyVersion,
    SensitivityRow: Sensitivity,
    SensitivityRunRow: SensitivityRun,
    SharedPostRow: SharedPost,
    UserRow: User,
    WebhookDeliveryRow: WebhookDelivery,
}
TYPES: dict[type, type] = {
    mongoengine.BinaryField: bytes,
    mongoengine.BooleanField: bool,
    mongoengine.DateTimeField: datetime,
    mongoengine.DynamicField: Timestamp,  # MongoEngine has no field for MongoDB's own timestamps
    mongoengine.FloatField: float,
    mongoengine.IntField: int,
    mongoengine.ObjectIdField: ObjectId,
    mongoengine.StringField: str,
}


def stored_fields(document: Any) -> dict[str, Any]:
    return {field.db_field: field for field in document._fields.values()}


def is_type_of(field: Any, hint: Any) -> bool:
    """Return whether a field stores values of this type."""
    if isinstance(field, mongoengine.ListField):
        return get_origin(hint) is list and is_item(field, get_args(hint)[0])
    if isinstance(field, mongoengine.MapField):
        return get_origin(hint) is dict and is_item(field, get_args(hint)[1])
    if isinstance(field, mongoengine.DictField):
        return get_origin(hint) is dict or is_typeddict(hint)
    return next(TYPES[kind] for kind in type(field).__mro__ if kind in TYPES) is hint


def is_item(of: Any, hint: Any) -> bool:
    return hint is Any if of.field is None else is_type_of(of.field, hint)


def without_none(hint: Any) -> Any:
    kept = [one for one in get_args(hint) if one is not NoneType]
    return kept[0] if len(kept) == 1 and NoneType in get_args(hint) else hint


def test_each_row_type_names_its_documents_collection() -> None:
    named = {row: document._get_collection_name() for row, document in DOCUMENTS.items()}
    assert named == COLLECTIONS


@pytest.mark.parametrize("row", DOCUMENTS)
def test_a_row_has_exactly_the_stored_fields_of_its_document(row: Any) -> None:
    assert set(row.__annotations__) == set(stored_fields(DOCUMENTS[row]))


@pytest.mark.parametrize("row", DOCUMENTS)
def test_a_row_has_the_types_of_its_documents_fields(row: Any) -> None:
    hints: Mapping[str, Any] = get_type_hints(row)
    wrong = {
        name: hints[name]
        for name, field in stored_fields(DOCUMENTS[row]).items()
        if not is_type_of(field, without_none(hints[name]))
    }
    assert wrong == {}


@pytest.mark.parametrize("row", DOCUMENTS)
def test_only_required_fields_are_required_keys(row: Any) -> None:
    fields = stored_fields(DOCUMENTS[row])
    required = {name for name, field in fields.items() if field.required or field.primary_key}
    assert row.__required_keys__ == required | {"_id"}


def test_a_wrong_type_is_found() -> None:
    fields = stored_fields(Email) | stored_fields(Event)
    assert is_type_of(fields["raised"], dict[str, int])
    assert not is_type_of(fields["raised"], dict[str, str])
    assert not is_type_of(fields["category"], list[int])
    assert not is_type_of(fields["type"], bytes)
