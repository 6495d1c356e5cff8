"""Outgoing events of one settlement, which its transaction stores.

The row of each reported record keeps the state of its last event. So an event follows from the
difference to what the endpoints know, whatever changed it, and settling twice sends nothing twice.
While no endpoint wants events, the kept state still follows the record. So a later endpoint hears
of no earlier change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from bson import ObjectId

from documents.outgoing.event_delivery import build_delivery_rows, wants_any
from documents.outgoing.event_types import OutgoingEventType
from documents.outgoing.rules import (
    GiftState,
    list_counted_email_states,
    list_email_states,
    list_gift_events,
)
from documents.outgoing.webhook_endpoint import list_subscribed
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from matchback.engine import Tx, Update

GIFT_DATA_FIELDS = ("fundraiser_id", "user_id", "amount", "currency", "status", "donated_at")
EMAIL_DATA_FIELDS = (
    *("fundraiser_id", "mailing_id", "user_id", "sent_at", "bounced_at", "unsubscribed_at"),
)


class OutgoingEvents:
    """Observer of donations and emails."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._endpoints: dict[ObjectId, Sequence[Mapping[str, Any]]] = {}
        self._rows: list[dict[str, Any]] = []

    def note(self, source: str, row: dict[str, Any], update: Update) -> None:
        if source == "donations":
            self._note_gift(cast("DonationRow", row), update)
        elif row.get("bounced_at") or row.get("left") or row.get("outgoing"):
            self._note_email(cast("EmailRow", row), update)

    def write(self, send: Callable[..., None]) -> None:
        if self._rows:
            insert = self._tx.database.event_deliveries.insert_many
            send(insert, self._rows, ordered=False, session=self._tx.session)

    def _note_gift(self, gift: DonationRow, update: Update) -> None:
        row = cast("dict[str, Any]", gift)
        endpoints = self._list_endpoints(gift["organization_id"], "donation.")
        if not (endpoints or "outgoing" in gift):
            return
        before, after = GiftState.known(gift), GiftState.of(gift)
        if before == after:
            return
        events = list_gift_events(before, after)
        version = self._add(endpoints, row, events, _describe_gift(row, before, after))
        update.set({"outgoing": after.to_stored(version)})

    def _note_email(self, email: EmailRow, update: Update) -> None:
        row = cast("dict[str, Any]", email)
        endpoints = self._list_endpoints(email["organization_id"], "email.")
        sent: dict[str, Any] = row.get("outgoing") or {}
        if not (endpoints or sent):
            return
        known = sent["states"] if sent else list_counted_email_states(email)
        states = list_email_states(email)
        if states == known:
            return
        events = [one for one in states if one not in known]
        data = {name: one for name in EMAIL_DATA_FIELDS if (one := row.get(name)) is not None}
        version = self._add(endpoints, row, events, data)
        update.set({"outgoing": {"version": version, "states": states}})

    def _add(
        self,
        endpoints: Sequence[Mapping[str, Any]],
        row: dict[str, Any],
        events: Sequence[OutgoingEventType],
        data: Mapping[str, Any],
    ) -> int:
        """Add the events of a record. Return the version of the last one."""
        version: int = (row.get("outgoing") or {}).get("version", 0)
        for type_ in events if endpoints else ():
            version += 1
            self._rows += build_delivery_rows(
                endpoints,
                type_,
                data,
                organization_id=row["organization_id"],
                record_id=row["_id"],
                version=version,
            )
        return version

    def _list_endpoints(
        self, organization_id: ObjectId, prefix: str
    ) -> Sequence[Mapping[str, Any]]:
        """Read the endpoints outside the session, which the writer's thread may be using."""
        if (known := self._endpoints.get(organization_id)) is None:
            known = list_subscribed(organization_id, self._tx.database)
            self._endpoints[organization_id] = known
        return known if wants_any(known, prefix) else ()


def _describe_gift(row: Mapping[str, Any], before: GiftState, after: GiftState) -> dict[str, Any]:
    """Return the data of a donation's events.

    The row of a deleted donation keeps its match, but the event reports none.
    """
    data = {name: row.get(name) for name in GIFT_DATA_FIELDS}
    data |= {"match": after.match, "email_id": after.email_id}
    if after.email_id:
        data["mailing_id"] = row.get("mailing_id")
    if before.email_id != after.email_id:
        data["previous_email_id"] = before.email_id
    known = {name: value for name, value in data.items() if value is not None}
    return known | {"refunded_amount": after.refunded, "deleted": after.deleted}
