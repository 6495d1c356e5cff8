"""Deliveries that a person sends again: one, or all failed ones of an endpoint.

An endpoint can have a million failed deliveries. So the request marks the endpoint and resends only
the first part. A periodic job of the workers resends the rest, a part at a time.
"""

from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import QuerySet, get_db

from documents.errors import NotFound
from documents.outgoing.event_delivery import FAILED_FILTER, EventDelivery
from documents.outgoing.webhook_endpoint import RESENDING_FILTER, WebhookEndpoint
from documents.values.time import now

DELIVERIES_PER_PART = 1000
MAX_RESENDING_ENDPOINTS = 100  # at once; others wait


def resend_delivery(endpoint: WebhookEndpoint, delivery: EventDelivery) -> EventDelivery:
    """Send a delivery again, whatever its state. Return it as it is stored now.

    Raises:
        Conflict: the endpoint is disabled.
        NotFound: another process deleted the delivery meanwhile.
    """
    endpoint.check_enabled()
    of = {"id": delivery.id, "organization_id": delivery.organization_id}
    resent = EventDelivery.objects(**of).modify(__raw__=_build_reset(), new=True)
    if resent is None:
        raise NotFound
    pending: EventDelivery = resent
    return pending


def resend_failed(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Send all deliveries again that have failed until now. Return the endpoint as it is then.

    Raises:
        Conflict: the endpoint is disabled.
        NotFound: another process deleted the endpoint meanwhile.
    """
    enabled = WebhookEndpoint.live(endpoint.organization_id, id=endpoint.id, disabled_reason=None)
    marked = enabled.modify(max__resend_requested_at=now(), inc__version=1, new=True)
    if marked is not None:
        ResendPass(marked).resend_part()
    current = WebhookEndpoint.fetch(endpoint.organization_id, endpoint.id)
    current.check_enabled()
    return current


def list_resending() -> list[WebhookEndpoint]:
    """Return enabled endpoints whose failed deliveries are not all pending again."""
    query = {**RESENDING_FILTER, "deleted_at": None, "disabled_reason": None}
    return list(WebhookEndpoint.objects(__raw__=query).limit(MAX_RESENDING_ENDPOINTS))


class ResendPass:
    """One walk over an endpoint's failed deliveries, from the oldest.

    Several processes can walk at once: an update changes only deliveries that are still failed.
    Deliveries that fail after the request stay failed, so the walk ends.
    """

    def __init__(self, endpoint: WebhookEndpoint) -> None:
        self._requested_at: datetime = endpoint.resend_requested_at
        self._owner: ObjectId = endpoint.organization_id
        self._endpoint_id: ObjectId = endpoint.id
        self._after: ObjectId | None = None

    def resend_part(self) -> bool:
        """Resend the next thousand deliveries at most. Return whether more can follow."""
        if self._find_request().first() is None:
            return False  # disabled, deleted, ended by another process, or requested again
        deliveries = get_db().event_deliveries
        failed = {"organization_id": self._owner, "endpoint_id": self._endpoint_id, **FAILED_FILTER}
        beyond = {"_id": {"$gt": self._after}} if self._after else {}
        found = deliveries.find(failed | beyond, {"_id": 1}).hint("failed").sort("_id", 1)
        ids = [row["_id"] for row in found.limit(DELIVERIES_PER_PART)]
        earlier = {"failed_at": {"$lte": self._requested_at}}
        deliveries.update_many(failed | earlier | {"_id": {"$in": ids}}, _build_reset())
        if len(ids) < DELIVERIES_PER_PART:
            self._find_request().update_one(unset__resend_requested_at=1, inc__version=1)
            return False
        self._after = ids[-1]
        return True

    def _find_request(self) -> QuerySet:
        return WebhookEndpoint.live(
            self._owner,
            id=self._endpoint_id,
            disabled_reason=None,
            resend_requested_at=self._requested_at,
        )


def _build_reset() -> dict[str, Any]:
    """Return the update that makes a delivery new, except for its list of attempts."""
    ended = ("failed_at", "delivered_at", "first_attempt_at")
    return {
        "$set": {"next_attempt_at": now(), "tries": 0},
        "$unset": dict.fromkeys(ended, ""),
    }
