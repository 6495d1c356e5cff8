"""Rules for the events that follow from two states of a record. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from bson import ObjectId

from documents.conditions import is_matchable, is_unsubscribed
from documents.outgoing.event_types import OutgoingEventType
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.storage.former_match import get_current_match, read_match
from matchback.engine import from_stored

MATCH_COUNT_PREFIX, MATCH_COUNT_SUFFIX, REFUNDED_PREFIX = "by_match.", ".count", "refunded."


class GiftState(NamedTuple):
    """The knowledge of endpoints about a donation.

    match: class of the match; None if the donation has none, because it is deleted or not paid.
    refunded: amount in minor units.
    """

    match: str | None = None
    email_id: ObjectId | None = None
    refunded: int = 0
    deleted: bool = False

    @classmethod
    def of(cls, gift: DonationRow) -> Self:
        """Return the current state."""
        row: Mapping[str, Any] = gift
        refunded = gift.get("refunded_amount", 0)
        is_deleted = gift.get("deleted_at") is not None
        if is_deleted or not is_matchable(gift):
            return cls(refunded=refunded, deleted=is_deleted)
        return cls(read_match(row), row.get("email_id"), refunded)

    @classmethod
    def known(cls, gift: DonationRow) -> Self:
        """Return the state of the last event, or the one that was counted before any event."""
        if sent := gift.get("outgoing"):
            known = {name: sent[name] for name in cls._fields if name in sent}
            return cls(**known)
        return cls._counted(gift)

    @classmethod
    def _counted(cls, gift: DonationRow) -> Self:
        counted = from_stored(gift.get("counted"))
        amounts = counted.get(("fundraisers", gift["fundraiser_id"]), {})
        refunded = sum(n for name, n in amounts.items() if name.startswith(REFUNDED_PREFIX))
        match = next(
            (
                name.removeprefix(MATCH_COUNT_PREFIX).removesuffix(MATCH_COUNT_SUFFIX)
                for name in amounts
                if name.startswith(MATCH_COUNT_PREFIX) and name.endswith(MATCH_COUNT_SUFFIX)
            ),
            None,
        )
        if match is None:
            return cls._uncounted(gift, refunded)
        email_id = next((id_ for name, id_ in counted if name == "emails"), None)
        # Former counters of `direct` include pinned gifts. Only the row shows the difference.
        rule = "pin" if read_match(gift) == "pinned" else None
        return cls(get_current_match(match, rule), email_id, refunded)

    @classmethod
    def _uncounted(cls, gift: DonationRow, refunded: int) -> Self:
        """Return the state of a gift whose match was not counted.

        It is new, not paid, disputed, refunded in full, or deleted. Only the counters of a refunded
        gift know what was refunded.
        """
        if gift.get("deleted_at") is not None and not refunded:
            return cls.of(gift)
        row: Mapping[str, Any] = gift
        match, email_id = row.get("match_before") or (read_match(row), row.get("email_id"))
        return cls(match, email_id, refunded)

    def to_stored(self, version: int) -> dict[str, Any]:
        """Return the form that the donation's row keeps."""
        return {"version": version, **{name: one for name, one in self._asdict().items() if one}}


def list_gift_events(before: GiftState, after: GiftState) -> list[OutgoingEventType]:
    """Return the types of the events between two states, in order."""
    events: list[OutgoingEventType] = []
    if after.refunded != before.refunded:
        events.append("donation.refunded")
    if after._replace(refunded=0) == before._replace(refunded=0):
        return events
    if after.email_id is None:
        events.append("donation.unmatched")
    elif before.email_id is None:
        events.append("donation.matched")
    else:
        events.append("donation.rematched")
    return events


def list_email_states(email: EmailRow) -> list[OutgoingEventType]:
    """Return the events that describe the email's current state."""
    states: list[OutgoingEventType] = []
    if email.get("deleted_at") is None:
        if email.get("bounced_at"):
            states.append("email.bounced")
        if email.get("left") and is_unsubscribed(email):
            states.append("email.unsubscribed")
    return states


def list_counted_email_states(email: EmailRow) -> list[OutgoingEventType]:
    """Return the events of the state that was counted before any event was sent."""
    amounts = from_stored(email.get("counted")).get(("fundraisers", email["fundraiser_id"]), {})
    states: list[OutgoingEventType] = []
    if amounts.get("funnel.bounced"):
        states.append("email.bounced")
    if amounts.get("funnel.unsubscribed"):
        states.append("email.unsubscribed")
    return states
