"""Rows as MongoDB returns them, complete but for what a test states."""

from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.rows.webhook_delivery import WebhookDeliveryRow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def donation_row(**fields: Any) -> DonationRow:
    row: DonationRow = {
        "_id": ObjectId(),
        "organization_id": ObjectId(),
        "fundraiser_id": ObjectId(),
        "amount": 2500,
        "currency": "USD",
        "donor_name": "Bob",
        "donor_email": "bob@example.edu",
        "status": "succeeded",
        "donated_at": NOON,
    }
    changed: Any = fields
    row.update(changed)
    return row


def email_row(**fields: Any) -> EmailRow:
    row: EmailRow = {
        "_id": ObjectId(),
        "organization_id": ObjectId(),
        "fundraiser_id": ObjectId(),
        "user_id": ObjectId(),
    }
    changed: Any = fields
    row.update(changed)
    return row


def event_row(**fields: Any) -> EventRow:
    row: EventRow = {
        "_id": b"",
        "organization_id": ObjectId(),
        "delivery_id": ObjectId(),
        "item": 0,
        "type": "open",
        "at": NOON,
    }
    changed: Any = fields
    row.update(changed)
    return row


def delivery_row(**fields: Any) -> WebhookDeliveryRow:
    row: WebhookDeliveryRow = {
        "_id": ObjectId(),
        "organization_id": ObjectId(),
        "provider": "sendgrid",
        "body": b"[]",
        "items": 0,
    }
    changed: Any = fields
    row.update(changed)
    return row
