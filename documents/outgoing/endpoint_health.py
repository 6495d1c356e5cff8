"""Notes of sending about an endpoint: its last success, its first failure, and its end.

Each change is conditional on what was read, so that it never undoes a change by staff.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from mongoengine import get_db
from pymongo import UpdateOne

from documents.outgoing.attempts import RETRY_TIME, Attempt
from documents.outgoing.webhook_endpoint import DisabledReason
from documents.rows.event_delivery import EndpointRow
from documents.values.time import now

SUCCESS_NOTE_INTERVAL = timedelta(seconds=5)
GONE_STATUS = 410


class EndpointHealth:
    """The health of one endpoint, as this process knows it.

    It collects updates, which `take_updates` hands over.
    """

    def __init__(self, endpoint: EndpointRow) -> None:
        self._endpoint = endpoint
        self._updates: list[UpdateOne] = []
        self.disabled_reason: DisabledReason | None = None

    def refresh(self, endpoint: EndpointRow) -> None:
        """Use a row that was read later. Staff may have changed the endpoint."""
        self._endpoint = endpoint
        self.disabled_reason = None

    def note(self, attempt: Attempt) -> None:
        """Note the result of an attempt."""
        if attempt.is_success:
            self._note_success(attempt.at)
        else:
            self._note_failure(attempt)

    def take_updates(self) -> list[UpdateOne]:
        """Return the updates to write, and forget them."""
        taken, self._updates = self._updates, []
        return taken

    def _note_success(self, at: datetime) -> None:
        last = self._endpoint.get("succeeded_at")
        is_failing = self._endpoint.pop("failing_since", None) is not None
        if is_failing or last is None or at - last >= SUCCESS_NOTE_INTERVAL:
            self._endpoint["succeeded_at"] = at
            change = {"$set": {"succeeded_at": at}, "$unset": {"failing_since": ""}}
            self._update({}, change)

    def _note_failure(self, attempt: Attempt) -> None:
        since = self._endpoint.get("failing_since")
        if since is None:
            self._endpoint["failing_since"] = attempt.at
            self._update({"failing_since": None}, {"$set": {"failing_since": attempt.at}})
        if attempt.status == GONE_STATUS:
            self._disable("gone", {})
        elif since is not None and attempt.at - since >= RETRY_TIME:
            self._disable("failing", {"failing_since": since})

    def _disable(self, reason: DisabledReason, condition: dict[str, Any]) -> None:
        if self.disabled_reason is not None:
            return
        self.disabled_reason = reason
        at = now()
        change = {
            "$set": {"disabled_reason": reason, "disabled_at": at, "updated_at": at},
            "$unset": {"failing_since": ""},
            "$inc": {"version": 1},
        }
        self._update({"url": self._endpoint["url"], "deleted_at": None, **condition}, change)

    def _update(self, condition: dict[str, Any], change: dict[str, Any]) -> None:
        as_read = {"_id": self._endpoint["_id"], "disabled_reason": None, **condition}
        self._updates.append(UpdateOne(as_read, change))


def write_health(updates: Iterable[UpdateOne]) -> None:
    """Store the health of endpoints. The order matters.

    Raises:
        PyMongoError: MongoDB is unavailable. The same updates can be written again.
    """
    if changes := list(updates):
        get_db().webhook_endpoints.bulk_write(changes)
