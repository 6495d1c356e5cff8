"""Records that a report does not include yet, because workers have not settled them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.donation import Donation
from documents.email import Email
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.matching.late_touches import LateTouches
from documents.reports.figures import Unsettled
from documents.storage.marks import DUE_FILTER
from documents.storage.record import Record
from documents.values.time import now
from documents.webhook_delivery import WebhookDelivery


def read_unsettled(of: Fundraiser | Mailing, fundraiser_id: ObjectId) -> Unsettled:
    """Return the numbers and the age of records that are not counted yet.

    Include all webhook deliveries of the organization, because their fundraiser is unknown until a
    worker reads them. Include all its late touches, because one note can name several fundraisers.
    """
    fundraisers = {"fundraiser_id": fundraiser_id, **DUE_FILTER}
    organizations = {"organization_id": of.organization_id, **DUE_FILTER}
    waits = [
        _oldest(Donation, fundraisers),
        _oldest(Email, fundraisers),
        _oldest(Mailing, fundraisers),
        _oldest(WebhookDelivery, organizations),
        _oldest(LateTouches, organizations),
    ]
    oldest = min((due for due in waits if due), default=None)
    return {
        "donations": Donation._get_collection().count_documents(fundraisers),
        "deliveries": WebhookDelivery._get_collection().count_documents(organizations),
        "oldest_seconds": max(0.0, round((now() - oldest).total_seconds(), 3)) if oldest else 0,
    }


def _oldest(document: type[Record], query: Mapping[str, Any]) -> datetime | None:
    collection = document._get_collection()
    row = collection.find_one(query, {"due": 1}, sort=[("due", 1)])
    return row["due"] if row else None
