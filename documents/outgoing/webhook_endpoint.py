"""Webhook endpoints: URLs of an organization's own programs, which receive outgoing events."""

import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, ListField, StringField

from documents.errors import Conflict
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.target_url import check_target_url
from documents.storage.record import Record
from documents.storage.sealed import seal_secret, unseal_secret
from documents.values.time import now

MAX_ENDPOINTS = 20  # of one organization
SECRET_PREFIX = "whsec_"  # noqa: S105  # of Standard Webhooks
SECRET_BYTES = 32
ROTATION_GRACE = timedelta(hours=24)
FAILING_FILTER: dict[str, Any] = {"failing_since": {"$type": "date"}}
DisabledReason = Literal["staff", "failing", "gone"]


class WebhookEndpoint(Record):
    """A URL that receives events of some types.

    A disabled endpoint still collects events, so that they can be sent after it is enabled.

    Attributes:
        secret: the sealed signing secret.
        previous_secret: the sealed secret that it replaced, valid until `previous_secret_until`.
        disabled_reason: None if events are sent; `staff` if a person disabled it; `failing` after
            three days without a success; `gone` after the response 410.
        failing_since: time of the first failure since the last success.
    """

    url = StringField(required=True)
    events = ListField(StringField(choices=OUTGOING_EVENT_TYPES))
    description = StringField(default="")
    secret = StringField(required=True)
    previous_secret = StringField()
    previous_secret_until = DateTimeField()
    disabled_reason = StringField(choices=("staff", "failing", "gone"))
    disabled_at = DateTimeField()
    failing_since = DateTimeField()
    succeeded_at = DateTimeField()
    is_dropped = BooleanField()  # deleted, and no delivery is left

    meta = {
        "collection": "webhook_endpoints",
        "indexes": [
            ["organization_id", "id"],
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
    ) -> tuple[Self, str]:
        """Add an endpoint. Return it and its signing secret, which is shown only now.

        Raises:
            Unacceptable: the URL may not receive events.
            Conflict: the organization has too many endpoints.
            UnsealableSecret: there is no master key.
        """
        if cls.live(organization_id).count() >= MAX_ENDPOINTS:
            raise Conflict(f"An organization has at most {MAX_ENDPOINTS} webhook endpoints.")
        secret = make_secret()
        endpoint = cls(
            organization_id=organization_id,
            url=check_target_url(url),
            events=sorted(set(events)),
            description=description,
            secret=seal_secret(secret),
        )
        return endpoint.insert(), secret

    def amend(
        self,
        *,
        url: str | None = None,
        events: Iterable[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Self:
        """Change the endpoint. Enabling it forgets its earlier failures.

        Raises:
            Unacceptable: the URL may not receive events.
        """
        checked = None if url is None else check_target_url(url)

        def edit(endpoint: Self) -> None:
            if checked is not None:
                endpoint.url = checked
            if events is not None:
                endpoint.events = sorted(set(events))
            if description is not None:
                endpoint.description = description
            if enabled is not None and enabled != endpoint.enabled:
                endpoint._switch(None if enabled else "staff")

        return self.change(edit)

    def rotate_secret(self) -> tuple[Self, str]:
        """Replace the signing secret. The previous one stays valid for 24 hours.

        Return the endpoint and the new secret, which is shown only now.

        Raises:
            UnsealableSecret: there is no master key.
        """
        secret = make_secret()

        def edit(endpoint: Self) -> None:
            endpoint.previous_secret = endpoint.secret
            endpoint.previous_secret_until = now() + ROTATION_GRACE
            endpoint.secret = seal_secret(secret)

        return self.change(edit), secret

    def disable(self, reason: DisabledReason) -> Self:
        """Stop sending events to the endpoint."""
        return self.change(lambda endpoint: endpoint._switch(reason))

    def _switch(self, reason: DisabledReason | None) -> None:
        self.disabled_reason = reason
        self.disabled_at = now() if reason else None
        self.failing_since = None

    @property
    def enabled(self) -> bool:
        """True if events are sent."""
        return self.disabled_reason is None

    def open_secrets(self, at: datetime) -> list[str]:
        """Return the valid signing secrets as plain text, newest first.

        Raises:
            UnsealableSecret: a secret is sealed with a missing master key.
        """
        return open_endpoint_secrets(self.to_mongo(), at)

    @classmethod
    def reseal(cls) -> int:
        """Seal every secret with the newest master key. Return the number of endpoints.

        Raises:
            UnsealableSecret: a secret is sealed with a missing master key.
        """

        def edit(endpoint: Self) -> None:
            endpoint.secret = seal_secret(unseal_secret(endpoint.secret))
            if endpoint.previous_secret:
                endpoint.previous_secret = seal_secret(unseal_secret(endpoint.previous_secret))

        found = list(cls.objects(deleted_at=None))
        for endpoint in found:
            endpoint.change(edit)
        return len(found)


def open_endpoint_secrets(endpoint: Mapping[str, Any], at: datetime) -> list[str]:
    """Return the valid signing secrets of a stored row as plain text, newest first.

    Raises:
        UnsealableSecret: a secret is sealed with a missing master key.
    """
    stored = [endpoint["secret"]]
    until = endpoint.get("previous_secret_until")
    if endpoint.get("previous_secret") and until and at < until:
        stored.append(endpoint["previous_secret"])
    return [unseal_secret(one) for one in stored]


def list_subscribed(organization_id: ObjectId, database: Any) -> list[Mapping[str, Any]]:
    """Return ID, events and state of the organization's endpoints, without a cache.

    A cache could miss an endpoint that a client has just created, and lose its first events.
    """
    query = {"organization_id": organization_id, "deleted_at": None}
    return list(database.webhook_endpoints.find(query, {"events": 1, "disabled_reason": 1}))


def make_secret() -> str:
    """Return a new signing secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
