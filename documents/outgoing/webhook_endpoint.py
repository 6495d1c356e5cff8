"""Webhook endpoints: URLs of an organization's own programs, which receive outgoing events."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, Self

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.errors import Conflict
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.signing_secret import keep_if_readable, make_secret
from documents.outgoing.target_url import check_target_url
from documents.storage.marks import known_index
from documents.storage.record import Record
from documents.storage.sealed import seal_secret
from documents.values.time import now

MAX_ENDPOINTS = 20  # of one organization
ROTATION_GRACE = timedelta(hours=24)
RESENDING_FILTER: dict[str, Any] = {"resend_requested_at": {"$type": "date"}}
FAILING_FILTER: dict[str, Any] = {"failing_since": {"$type": "date"}}
DisabledReason = Literal["staff", "failing", "gone"]


class WebhookEndpoint(Record):
    """A URL that receives events of some types.

    A disabled endpoint still collects events, so that they can be sent after it is enabled.

    Attributes:
        secret: the sealed signing secret.
        secret_id: ID that the request chose for the secret, so that a repeated one is recognized.
        previous_secret: the sealed secret that it replaced, valid until `previous_secret_until`.
        disabled_reason: None if events are sent. `staff` means a person, `failing` three days
            without a success, and `gone` the response 410.
        failing_since: time of the first failure since the last success.
        resend_requested_at: set until the deliveries that failed before this time are pending.
        tests: number of test events.
    """

    url = StringField(required=True)
    events = ListField(StringField(choices=OUTGOING_EVENT_TYPES))
    description = StringField(default="")
    secret = StringField(required=True)
    secret_id = ObjectIdField()
    previous_secret = StringField()
    previous_secret_until = DateTimeField()
    disabled_reason = StringField(choices=("staff", "failing", "gone"))
    disabled_at = DateTimeField()
    failing_since = DateTimeField()
    succeeded_at = DateTimeField()
    resend_requested_at = DateTimeField()
    tests = IntField(default=0)
    is_dropped = BooleanField()  # deleted, and no delivery is left

    sealed_fields = ("secret", "previous_secret")

    meta = {
        "collection": "webhook_endpoints",
        "indexes": [
            ["organization_id", "id"],
            known_index("disabled_reason"),
            {"fields": ["resend_requested_at"], "partialFilterExpression": RESENDING_FILTER},
            {"fields": ["failing_since"], "partialFilterExpression": FAILING_FILTER},
        ],
    }

    @classmethod
    def add(
        cls,
        organization_id: ObjectId,
        url: str,
        events: Iterable[str] = OUTGOING_EVENT_TYPES,
        description: str = "",
        id_: ObjectId | None = None,
    ) -> tuple[Self, str]:
        """Add an endpoint. Return it and its signing secret, which is shown only now.

        Raises:
            Unacceptable: the URL may not receive events.
            Conflict: the organization has too many endpoints.
            UnsealableSecret: there is no master key.
        """
        secret = make_secret()
        endpoint = cls(
            id=id_ or ObjectId(),
            organization_id=organization_id,
            url=check_target_url(url),
            events=sorted(set(events)),
            description=description,
            secret=seal_secret(secret),
        )
        endpoint._check_limit()
        made = endpoint.insert()
        if made.secret != endpoint.secret:  # a process stored it and died before it showed it
            return made.change(lambda one: setattr(one, "secret", endpoint.secret)), secret
        try:
            # Of requests at the same time, the last one to insert counts all others.
            made._check_limit()
        except Conflict:
            made.remove()
            raise
        return made, secret

    def _check_limit(self) -> None:
        others = type(self).live(self.organization_id, id__ne=self.id)
        if others.count() >= MAX_ENDPOINTS:
            raise Conflict(f"An organization has at most {MAX_ENDPOINTS} webhook endpoints.")

    def remove(self) -> None:
        """Delete the endpoint and its secrets."""
        none: dict[str, Any] = {"previous_secret": None, "resend_requested_at": None}
        self.mark_deleted(secret="", **none)

    def amend(
        self,
        *,
        url: str | None = None,
        events: Iterable[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Self:
        """Change the endpoint. A new URL, or enabling it, forgets its earlier failures.

        Raises:
            Unacceptable: the URL may not receive events.
        """
        checked = None if url is None else check_target_url(url)

        def edit(endpoint: Self) -> None:
            if checked is not None and checked != endpoint.url:
                endpoint.url, endpoint.failing_since = checked, None
            if events is not None:
                endpoint.events = sorted(set(events))
            if description is not None:
                endpoint.description = description
            if enabled is not None and enabled != endpoint.enabled:
                endpoint._switch(None if enabled else "staff")

        return self.change(edit)

    def rotate_secret(self, id_: ObjectId | None = None) -> tuple[Self, str]:
        """Replace the signing secret. The previous one stays valid for 24 hours if it is readable.

        Return the endpoint and the new secret, which is shown only now. A repeated request with the
        same ID replaces the secret of the first request, whose response was lost.

        Raises:
            UnsealableSecret: there is no master key.
        """
        secret = make_secret()

        def edit(endpoint: Self) -> None:
            if id_ is None or endpoint.secret_id != id_:
                kept = endpoint.previous_secret = keep_if_readable(endpoint.secret)
                endpoint.previous_secret_until = now() + ROTATION_GRACE if kept else None
            endpoint.secret, endpoint.secret_id = seal_secret(secret), id_

        return self.change(edit), secret

    def _switch(self, reason: DisabledReason | None) -> None:
        self.disabled_reason = reason
        self.disabled_at = now() if reason else None
        self.failing_since = None
        self.resend_requested_at = None

    @property
    def enabled(self) -> bool:
        """True if events are sent."""
        return self.disabled_reason is None

    def check_enabled(self) -> None:
        """Check that events are sent.

        Raises:
            Conflict: the endpoint is disabled.
        """
        if not self.enabled:
            raise Conflict("The webhook endpoint is disabled. Enable it first.")


def list_subscribed(organization_id: ObjectId, database: Any) -> list[Mapping[str, Any]]:
    """Return ID, events and state of the organization's endpoints, without a cache.

    A cache could miss an endpoint that a client has just created, and lose its first events.
    """
    query = {"organization_id": organization_id, "deleted_at": None}
    return list(database.webhook_endpoints.find(query, {"events": 1, "disabled_reason": 1}))
