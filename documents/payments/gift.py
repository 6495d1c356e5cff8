"""The gift of a payment, created or updated from the payment's facts."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from documents.donation import Donation
from documents.erased.client_ids import find_erased_gift, find_plan_id
from documents.erased.stand_ins import pseudonymize_id
from documents.matching.candidates import is_erased_donor
from documents.matching.rematch import MARKED_GIFTS_PER_BATCH, mark_for_rematch
from documents.payments.payment import assigned_fundraiser, split_payment_id
from documents.payments.reasons import (
    UNUSABLE_REASONS,
    MissingGiftReason,
    UnassignedPayment,
    find_waiting_reason,
)
from documents.payments.rules import GiftState, convert_state, decide_gift_state
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.fundraiser import FundraiserRow
from documents.rows.payment import PaymentRow
from documents.storage.marks import build_text_condition
from documents.storage.record import build_record_row
from documents.values.address import to_canonical, to_mailbox
from documents.values.gift import MAX_REFERENCE_LENGTH
from documents.values.money import count_decimals
from documents.values.time import now, truncate_to_milliseconds
from matchback.engine import Tx

# Fields that matching reads. A change of one makes matching decide the gift again.
MATCHING_FIELDS = (
    "fundraiser_id",
    "email_ref",
    "recurring_id",
    "donor_address",
    "donor_mailbox",
    "donated_at",
)
PERSONAL_GIFT_FIELDS = ("donor_name", "donor_email", "donor_address", "donor_mailbox", "email_ref")


def apply_payment(tx: Tx, payment: PaymentRow, key: str) -> ObjectId | None:
    """Create or update the gift, in the transaction that changes the payment.

    Args:
        key: the key of the payment, which is the gift's external_id.

    Return the gift's fundraiser; None if the facts make no gift yet, or the gift was deleted.

    Raises:
        UnassignedPayment: the payment names no fundraiser of the organization, ISO 4217 does not
            define the currency, or the facts are of a payment that cannot count.
    """
    facts = payment["facts"]
    state = decide_gift_state(facts)
    if state is None or facts.get(key, {}).get("kind") == "invoice":
        reason = find_waiting_reason(facts, key)
        _wait(payment, reason, key)
        if reason in UNUSABLE_REASONS:
            raise UnassignedPayment(reason, UNUSABLE_REASONS[reason])
        return None  # no event has linked the invoice to its payment yet
    state = _in_its_plan(tx, payment, state)
    query: dict[str, Any] = {"organization_id": payment["organization_id"]}
    if payment.get("donation_id"):
        query["_id"] = payment["donation_id"]
    else:
        query["external_id"] = build_text_condition(eq=key)
    gift = collection(tx.database, DonationRow).find_one(query, session=tx.session)
    if gift is None and "external_id" in query:
        gift = find_erased_gift(tx, payment["organization_id"], key)
    if gift is None:
        try:
            fundraiser_id = _fundraiser(tx, payment, state)
        except UnassignedPayment as error:
            _wait(payment, error.code, key)
            raise
        row = _new_gift(payment, key, fundraiser_id, state)
        collection(tx.database, DonationRow).insert_one(row, session=tx.session)
        _note_gift(payment, row["_id"])
        payment["applied"] = asdict(state)
        return fundraiser_id
    _note_gift(payment, gift["_id"])
    if gift.get("payment_id") != payment["_id"]:
        payment["gift_currency"] = gift["currency"]
        state = convert_state(state, facts, gift["currency"])
    if gift.get("deleted_at"):
        return None
    _move(tx, gift, payment)
    _expect_known_currency(state)
    if payment.get("applied") != asdict(state):
        values = _values(state) | _moved(tx, gift, payment, state)
        _change(tx, gift, payment, values)
        payment["applied"] = asdict(state)
        return ObjectId(values.get("fundraiser_id", gift["fundraiser_id"]))
    return ObjectId(gift["fundraiser_id"])


def _in_its_plan(tx: Tx, payment: PaymentRow, state: GiftState) -> GiftState:
    fundraiser_id = state.fundraiser_id or ""
    if not state.recurring_id or not ObjectId.is_valid(fundraiser_id):
        return state
    organization_id, of = payment["organization_id"], ObjectId(fundraiser_id)
    plan = find_plan_id(tx, organization_id, state.recurring_id, fundraiser_id=of)
    return replace(state, recurring_id=plan)


def _wait(payment: PaymentRow, reason: MissingGiftReason, key: str) -> None:
    """Note why the payment has no gift."""
    if payment.get("donation_id"):
        return
    payment["reason"] = reason
    if split_payment_id(payment["_id"])[1] != key and not _is_forgotten(payment, key):
        payment["key"] = key


def _is_forgotten(payment: PaymentRow, key: str) -> bool:
    known = payment.get("replaced") or {}
    return bool(payment.get("erased")) or pseudonymize_id(payment["organization_id"], key) in known


def _note_gift(payment: PaymentRow, donation_id: ObjectId) -> None:
    payment["donation_id"] = donation_id
    payment.pop("reason", None)
    payment.pop("key", None)


def _fundraiser(tx: Tx, payment: PaymentRow, state: GiftState) -> ObjectId:
    """Return the fundraiser that a person assigned, or the fundraiser that the payment names.

    Raises:
        UnassignedPayment: the organization has no such fundraiser, or ISO 4217 does not define the
            currency.
    """
    _expect_known_currency(state)
    named = assigned_fundraiser(payment) or state.fundraiser_id or ""
    if found := _found(tx, payment["organization_id"], named):
        return found
    code: MissingGiftReason = "unknown_fundraiser" if named else "no_fundraiser"
    raise UnassignedPayment(
        code, "The payment must name a fundraiser of this organization (metadata.fundraiser_id)."
    )


def _expect_known_currency(state: GiftState) -> None:
    if count_decimals(state.currency) is None:
        raise UnassignedPayment("unknown_currency")


def find_missing_gift_reason(tx: Tx, payment: PaymentRow) -> MissingGiftReason:
    """Return why a payment has no gift, for payments from versions that stored no reason."""
    key = split_payment_id(payment["_id"])[1]
    state = decide_gift_state(payment["facts"])
    if state is None or payment["facts"].get(key, {}).get("kind") == "invoice":
        return find_waiting_reason(payment["facts"], key)
    try:
        _fundraiser(tx, payment, state)
    except UnassignedPayment as error:
        return error.code
    return "unknown_fundraiser"  # the fundraiser is newer than the latest event of the payment


def _move(tx: Tx, gift: DonationRow, payment: PaymentRow) -> None:
    """Move the payment's own gift to the fundraiser that a person assigned.

    Settling moves the gift's amounts from one fundraiser to the other. Mark the first
    instalment that stays behind. Its rematch marks the others; see matching/instalments.py.
    """
    assigned, left = assigned_fundraiser(payment), gift["fundraiser_id"]
    if assigned is None or assigned == left or gift.get("payment_id") != payment["_id"]:
        return
    look_again = {"rematch": True} if gift.get("match") else {}
    moved = {"fundraiser_id": assigned, "due": now(), "updated_at": now(), **look_again}
    update = {"$set": moved, "$unset": {"trouble": ""}, "$inc": {"version": 1}}
    tx.database.donations.update_one({"_id": gift["_id"]}, update, session=tx.session)
    gift["fundraiser_id"] = assigned
    if gift.get("recurring_id"):
        plan = {
            "fundraiser_id": left,
            "recurring_id": build_text_condition(eq=gift["recurring_id"]),
        }
        rest = {**plan, "match": {"$exists": True}, "deleted_at": None}
        again = {"$set": {"rematch": True, "due": now()}, "$unset": {"trouble": ""}}
        order = [("donated_at", 1), ("_id", 1)]
        tx.database.donations.find_one_and_update(rest, again, sort=order, session=tx.session)


def _found(tx: Tx, organization_id: ObjectId, named: Any) -> ObjectId | None:
    """Return the ID of the named fundraiser; None if the organization has no such fundraiser."""
    if not ObjectId.is_valid(named or ""):
        return None
    query = {"_id": ObjectId(named), "organization_id": organization_id, "deleted_at": None}
    row = collection(tx.database, FundraiserRow).find_one(query, {"_id": 1}, session=tx.session)
    return ObjectId(row["_id"]) if row else None


def _moved(tx: Tx, gift: DonationRow, payment: PaymentRow, state: GiftState) -> dict[str, Any]:
    """Return the new fundraiser as a change of the gift, if more specific facts name another.

    If a person or a client has moved the gift, return no change.
    """
    before = (payment.get("applied") or {}).get("fundraiser_id")
    is_ours = gift.get("payment_id") == payment["_id"] and str(gift["fundraiser_id"]) == before
    if not is_ours or before == state.fundraiser_id or payment.get("assigned"):
        return {}
    found = _found(tx, payment["organization_id"], state.fundraiser_id)
    if found is None:
        return {}
    if gift.get("recurring_id"):
        plan = {"fundraiser_id": gift["fundraiser_id"], "recurring_id": gift["recurring_id"]}
        followers = {**plan, "follows": gift["_id"]}
        rows = collection(tx.database, DonationRow).find(followers, {"_id": 1}, session=tx.session)
        mark_for_rematch(tx, [row["_id"] for row in rows.limit(MARKED_GIFTS_PER_BATCH)])
    return {"fundraiser_id": found}


def _new_gift(
    payment: PaymentRow, key: str, fundraiser_id: ObjectId, state: GiftState
) -> DonationRow:
    row: DonationRow = build_record_row(
        Donation,
        organization_id=payment["organization_id"],
        fundraiser_id=fundraiser_id,
        external_id=key,
        payment_id=payment["_id"],
        due=now(),
        **_values(state),
    )
    return row


def _values(state: GiftState) -> dict[str, Any]:
    address = state.donor_email
    at = datetime.fromtimestamp(state.donated_at, UTC)
    return {
        "amount": state.amount,
        "currency": state.currency,
        "status": state.status,
        "refunded_amount": state.refunded_amount,
        "donor_name": state.donor_name,
        "donor_email": address,
        "donor_address": to_canonical(address) or None,
        "donor_mailbox": to_mailbox(address) or None,
        "email_ref": (state.email_ref or "")[:MAX_REFERENCE_LENGTH] or None,
        "recurring_id": state.recurring_id,
        "donated_at": truncate_to_milliseconds(at),
    }


def _outcome(gift: DonationRow, values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a payment may change in a gift that a client recorded."""
    status = values["status"]
    if values["currency"] != gift["currency"]:
        # Refunds in another currency subtract nothing, and a client's own refund stays.
        is_kept = status == "pending" or gift["status"] == "refunded"
        return {} if is_kept else {"status": status}
    back = {"refunded_amount": min(values["refunded_amount"], gift["amount"])}
    # A recorded gift never returns to pending.
    return back if status == "pending" else {"status": status, **back}


def _change(tx: Tx, gift: DonationRow, payment: PaymentRow, values: dict[str, Any]) -> None:
    if gift.get("payment_id") != payment["_id"]:
        values = _outcome(gift, values)
    elif is_erased_donor(gift.get("donor_mailbox")):
        values = {name: value for name, value in values.items() if name not in PERSONAL_GIFT_FIELDS}
    changed = {name: value for name, value in values.items() if gift.get(name) != value}
    if not changed:
        return
    if gift.get("match") and any(name in changed for name in MATCHING_FIELDS):
        changed["rematch"] = True
    kept = {name: value for name, value in changed.items() if value is not None}
    gone = {name: "" for name, value in changed.items() if value is None}
    update = {
        "$set": {**kept, "due": now(), "updated_at": now()},
        "$unset": {**gone, "trouble": ""},
        "$inc": {"version": 1},
    }
    tx.database.donations.update_one({"_id": gift["_id"]}, update, session=tx.session)
