"""Index table of emails: the few emails with a gift, a bounce, an unsubscribe or a spam report.

Settling and ingest write it in the transaction that changes the email; see documents/counters.py.
"""

from collections.abc import Mapping
from typing import Any

from mongoengine import BooleanField, DateTimeField, IntField, ObjectIdField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META

# Opens and clicks are not here, because most emails have them; see
# docs/decisions/21-no-sort-by-opens.md.
RARE_ACTION_FIELDS = ("donated", "bounced_at", "dropped_at", "unsubscribed_at", "spam_reported_at")
EMAIL_INDEX_FIELDS = ("donations_count", *RARE_ACTION_FIELDS)
EMAIL_INDEX_LINKS = ("organization_id", "fundraiser_id", "mailing_id")
MAILING_ROWS_INDEX = "mailing_id_1__id_1"


class EmailIndex(Document):
    """The row of an email with a rare action. It has the email's ID."""

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    donations_count = IntField()
    donated = BooleanField()
    bounced_at = DateTimeField()
    dropped_at = DateTimeField()
    unsubscribed_at = DateTimeField()
    spam_reported_at = DateTimeField()

    meta = {
        "collection": "email_index",
        "auto_create_index": False,
        "indexes": [
            ["organization_id", "donations_count", "id"],
            {
                "fields": ["organization_id", "id"],
                "partialFilterExpression": {"donated": True},
            },
            ["mailing_id", "id"],
        ],
        **OWNED_META,
    }


def has_rare_action(email: Mapping[str, Any]) -> bool:
    """Return whether the email has a row."""
    return any(email.get(name) for name in EMAIL_INDEX_FIELDS)
