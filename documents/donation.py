"""Donation: one gift as a client reports it, and its match."""

from collections.abc import Mapping
from typing import Any, Self, Unpack

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
    get_db,
)

from documents import match_pages
from documents.email import Email
from documents.erased.client_ids import find_erased_gift, find_plan_id
from documents.errors import Conflict, Unacceptable
from documents.fundraiser import Fundraiser
from documents.giving_links.references import resolve_reference
from documents.rows.donation import DonationRow
from documents.storage.fast_insert import insert_or_find_source
from documents.storage.former_match import FormerMatchReader, build_match_filter, read_match
from documents.storage.marks import (
    build_text_condition,
    due_index,
    failed_index,
    unique_index,
)
from documents.storage.pagination import PageRead
from documents.storage.personal_data import AddressField, NameField, PersonalIdField
from documents.storage.record import CountedRecord, Record
from documents.values.donation_state import amend_state
from documents.values.gift import NewGift, build_gift_values, hide_import_id
from documents.values.time import now
from matchback.engine import Tx

DONATION_STATUSES = ("pending", "succeeded", "failed", "refunded", "disputed")
# Values of optional fields that a stored row may lack.
DONATION_DEFAULTS = dict.fromkeys(("external_id", "recurring_id", "match", "email_id", "user_id"))


class Donation(FormerMatchReader, CountedRecord, Record):
    """A gift. After its money is taken, a job decides its match; see settling/settle.py."""

    fundraiser_id = ObjectIdField(required=True)
    amount = IntField(required=True)
    currency = StringField(required=True)
    donor_name = NameField(of="user_id", required=True)
    donor_email = AddressField(required=True)  # "" if unknown
    donor_address = StringField()
    donor_mailbox = StringField()  # the address without its `+tag`
    email_ref = StringField()  # as the client sent it: a token, an ID, nothing, or an invalid text
    recurring_id = PersonalIdField()
    status = StringField(required=True, choices=DONATION_STATUSES)
    refunded_amount = IntField(default=0)
    external_id = PersonalIdField()  # the client's, or an import's; see values/gift.py
    payment_id = StringField()  # the payment that made the gift; see payments/
    donated_at = DateTimeField(required=True)

    pin = DictField(default=None)  # staff's decision: {"email_id": ID or None, "at": time}
    rematch = BooleanField()  # the match is no longer valid, so settling decides it again
    match = StringField()
    decision = DictField()
    email_id = ObjectIdField()
    mailing_id = ObjectIdField()
    user_id = ObjectIdField()
    # the first instalment of the plan; unset on the first instalment itself
    follows = ObjectIdField()
    # a decision about a later instalment writes it to cause write conflicts; never read
    held_at = DateTimeField()
    stopped = BooleanField()  # whether it did not count after an earlier change; see history/
    outgoing = DictField(default=None)  # state of the last outgoing event; see outgoing/rules.py
    fundraiser_donor_id = StringField()
    mailing_donor_id = StringField()
    fundraiser_day_id = StringField()
    mailing_day_id = StringField()
    # participants of experiments for whom the gift counts, and the mark to decide that again
    participant_ids = ListField(ObjectIdField(), default=None)
    outcomes_due = BooleanField()
    delay = StringField()  # hours from the email, in classes; see values/delays.py

    meta = {
        "collection": "donations",
        "indexes": [
            unique_index("external_id"),
            ["organization_id", "id"],
            ["organization_id", "donated_at", "id"],
            ["organization_id", "amount", "id"],
            ["fundraiser_id", "id"],
            ["organization_id", "status", "id"],
            ["organization_id", "donor_mailbox", "id"],
            {
                "fields": ["fundraiser_id", "recurring_id", "donated_at", "id"],
                "partialFilterExpression": {"recurring_id": {"$type": "string"}},
            },
            due_index("fundraiser_id"),
            failed_index(),
        ],
    }

    @property
    def client_external_id(self) -> str | None:
        """The external ID that the client chose; None if an import chose it."""
        return hide_import_id(self.external_id)

    @property
    def donor(self) -> dict[str, str]:
        """Name and address of the donor, as the client reported them."""
        return {"name": self.donor_name, "email": self.donor_email}

    @staticmethod
    def told(row: DonationRow) -> dict[str, Any]:
        """Return the stored and computed fields of a donation in API responses."""
        donor = {"name": row["donor_name"], "email": row["donor_email"]}
        told = {"id": row["_id"], "donor": donor, "match": read_match(row)}
        return {**DONATION_DEFAULTS, **row, **told}

    @classmethod
    def give(
        cls,
        organization_id: ObjectId,
        *,
        id_: ObjectId | None = None,
        **new: Unpack[NewGift],
    ) -> tuple[DonationRow, bool]:
        """Record a gift. Return its row and whether it is new.

        An `external_id` names one gift forever. A gift without an address, such as cash, has a
        donor of its own.

        Raises:
            Unacceptable: the fundraiser does not exist.
            Conflict: the gift with this `external_id` was deleted.
        """
        external_id = new.get("external_id")
        Fundraiser.expect(organization_id, new["fundraiser_id"])
        if (erased := find_erased_gift(Tx(get_db()), organization_id, external_id)) is not None:
            return _unless_deleted(erased), False
        new["recurring_id"] = find_plan_id(
            Tx(get_db()),
            organization_id,
            new.get("recurring_id"),
            fundraiser_id=new["fundraiser_id"],
        )
        gift, is_new = insert_or_find_source(
            cls,
            {
                "organization_id": organization_id,
                "external_id": build_text_condition(eq=external_id),
            },
            _id=id_,
            organization_id=organization_id,
            **build_gift_values(new),
        )
        return gift if is_new else _unless_deleted(gift), is_new

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return conditions that find an external ID by its index, and a match by all its names."""
        own = dict(given)
        if "external_id" in given:
            own["external_id"] = build_text_condition(eq=given["external_id"])
        if "match" in given:
            own |= build_match_filter(given["match"])
        return own

    @classmethod
    def read_page(cls, page: PageRead) -> list[Self]:
        """Read the donations of a page. Find them by their matches if a filter names a match."""
        return match_pages.read_page(cls, page)

    def amend(self, *, status: str | None = None, refunded_amount: int | None = None) -> Self:
        """Set the gift's status, or the total amount refunded so far in minor units.

        Raises:
            Unacceptable: the refund exceeds the gift, or the status contradicts the refund.
        """

        def edit(gift: Self) -> None:
            before = gift.status, gift.refunded_amount
            after = amend_state(gift.amount, before, status, refunded_amount)
            gift.status, gift.refunded_amount = after

        return self.change(edit)

    def pin_to(self, email_ref: str | None) -> Self:
        """Pin the gift to an email, or to no email if None. Later data does not change a pin.

        Raises:
            Unacceptable: the email does not exist, or is held out.
        """
        email_id = None
        if email_ref is not None:
            named = resolve_reference(self.organization_id, email_ref)
            email = Email.live(self.organization_id, id=named[0]).first() if named else None
            if email is None:
                raise Unacceptable("/email_id", "not_found", "Must be the ID of an email.")
            if email.held_out:
                raise Unacceptable(
                    "/email_id", "held_out", "Must be an email that is not held out."
                )
            email_id = email.id

        def edit(gift: Self) -> None:
            gift.pin = {"email_id": email_id, "at": now()}

        return self.change(edit)

    @property
    def is_pending(self) -> bool:
        """True if settling has yet to decide the match, for the first time or again."""
        return self.due is not None and (
            self.match is None or bool(self.rematch) or is_repinned(self.pin, self.decision)
        )

    def unpin(self) -> Self:
        """Remove staff's pin, so that the rules decide the match again."""

        def edit(gift: Self) -> None:
            gift.pin = None

        return self.change(edit)


def is_repinned(pin: Mapping[str, Any] | None, decision: Mapping[str, Any] | None) -> bool:
    """Return whether staff pinned or unpinned the gift after its decision.

    This compares times, because a mark has a race. A save writes changed fields only, so it would
    not repeat a mark that settling has removed meanwhile.
    """
    return (pin or {}).get("at") != (decision or {}).get("pinned_at")


def _unless_deleted(gift: DonationRow) -> DonationRow:
    if gift.get("deleted_at") is not None:
        raise Conflict("A deleted donation has this external_id. Use another one.")
    return gift
