"""Assigned payments, whose fundraiser a person chose because no webhook names one.

The payment stores the assignment, and the gift follows from both. So later webhooks keep the
assignment, in any order. Repeating an assignment changes nothing.
"""

import contextlib
from typing import Any

from bson import ObjectId
from mongoengine import signals

from documents.donation import Donation
from documents.errors import Conflict, NotFound, Unacceptable
from documents.payments.gift import apply_payment
from documents.payments.payment import assigned_fundraiser, read_provider_key, store
from documents.payments.reasons import ASSIGNABLE_REASONS, REASON_SENTENCES, UnassignedPayment
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.payment import PaymentRow
from documents.storage.fast_insert import StoredRow
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx


def assign_fundraiser(
    organization_id: ObjectId, id_: ObjectId | str, fundraiser_id: ObjectId
) -> None:
    """Turn the payment into a gift to the fundraiser, or move its existing gift.

    Raises:
        NotFound: the organization has no such payment.
        Unacceptable: the organization has no such fundraiser.
        Conflict: the payment cannot become a gift, or its gift was deleted or comes from a client.
    """
    at = organization_id, _read_id(id_)
    donation_id, objection = in_transaction(_assign, *at, fundraiser_id)
    if objection:
        raise Conflict(objection)
    _wake(donation_id)


def remove_assignment(organization_id: ObjectId, id_: ObjectId | str) -> None:
    """Remove an assignment that has not produced a gift yet.

    Raises:
        NotFound: the organization has no such payment.
        Conflict: the payment has a gift.
    """
    _wake(in_transaction(_take_back, organization_id, _read_id(id_)))


def _read_id(id_: ObjectId | str) -> ObjectId:
    if not ObjectId.is_valid(id_):
        raise NotFound
    return ObjectId(id_)


def _assign(
    tx: Tx, organization_id: ObjectId, id_: ObjectId, fundraiser_id: ObjectId
) -> tuple[ObjectId | None, str]:
    """Return the ID of the payment's gift, and an objection to the assignment; "" for none.

    The transaction commits even with an objection, because it may have linked the payment to a
    gift that a client recorded.
    """
    payment = _find(tx, organization_id, id_)
    _expect_fundraiser(tx, organization_id, fundraiser_id)
    reason = payment.get("reason")
    if reason is not None and reason not in ASSIGNABLE_REASONS:
        return (
            None,
            f"The payment cannot become a donation. {REASON_SENTENCES.get(reason, '')}".strip(),
        )
    before = payment.get("assigned")
    if assigned_fundraiser(payment) != fundraiser_id:
        payment["assigned"] = {"fundraiser_id": fundraiser_id, "at": now()}
    _apply(tx, payment)
    objection = _objection(tx, payment)
    if objection:
        payment["assigned"] = before
    _write(tx, payment)
    return payment.get("donation_id"), objection


def _objection(tx: Tx, payment: PaymentRow) -> str:
    """Return why the payment's gift cannot move; blank if it can, or if it does not exist."""
    if payment.get("donation_id") is None:
        return ""
    query = {"_id": payment["donation_id"], "organization_id": payment["organization_id"]}
    gift = collection(tx.database, DonationRow).find_one(query, session=tx.session)
    if gift is None or gift.get("deleted_at"):
        return "The donation of this payment was deleted. It cannot be assigned."
    if gift.get("payment_id") != payment["_id"]:
        return "A client recorded the donation of this payment, so it cannot be assigned."
    return ""


def _take_back(tx: Tx, organization_id: ObjectId, id_: ObjectId) -> ObjectId | None:
    payment = _find(tx, organization_id, id_)
    if payment.get("donation_id"):
        raise Conflict(
            "The payment has a donation. Assign another fundraiser, or delete the donation."
        )
    payment.pop("assigned", None)
    _apply(tx, payment)
    _write(tx, payment)
    return payment.get("donation_id")


def _find(tx: Tx, organization_id: ObjectId, id_: ObjectId) -> PaymentRow:
    query = {"organization_id": organization_id, "public_id": id_}
    payment: PaymentRow | None = collection(tx.database, PaymentRow).find_one(
        query, session=tx.session
    )
    if payment is None:
        raise NotFound
    return payment


def _expect_fundraiser(tx: Tx, organization_id: ObjectId, id_: ObjectId) -> None:
    query = {"_id": id_, "organization_id": organization_id, "deleted_at": None}
    if tx.database.fundraisers.find_one(query, {"_id": 1}, session=tx.session) is None:
        raise Unacceptable("/fundraiser_id", "not_found", "Must be the ID of a fundraiser.")


def _apply(tx: Tx, payment: PaymentRow) -> None:
    """Create or update the gift. A payment without a gift keeps its reason."""
    with contextlib.suppress(UnassignedPayment):
        apply_payment(tx, payment, read_provider_key(payment))


def _write(tx: Tx, payment: PaymentRow) -> None:
    known: Any = {name: value for name, value in payment.items() if value is not None}
    store(tx, known)


def _wake(donation_id: ObjectId | None) -> None:
    """Schedule the gift to settle now instead of at the next sweep."""
    if donation_id is not None:
        signals.post_save.send(Donation, document=StoredRow(donation_id), created=False)
