"""The gift of a payment, created or updated from the payment's facts."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from documents.donation import LONGEST_REFERENCE, Donation
from documents.erased.client_ids import plan_of, with_external_id
from documents.erased.stand_ins import stand_in
from documents.matching.candidates import is_erased
from documents.matching.rematch import MARKED_A_BATCH, mark
from documents.payments.payment import assigned_fundraiser, split_id
from documents.payments.reasons import UNUSABLE, Reason, Unassigned, waiting_reason
from documents.payments.rules import State, in_currency, state_of
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.fundraiser import FundraiserRow
from documents.rows.payment import PaymentRow
from documents.storage.marks import text
from documents.storage.record import new_row
from documents.values.address import canonical, mailbox
from documents.values.money import minor_units
from documents.values.time import now, to_milliseconds
from matchback.engine import Tx

# What matching reads of a gift: a change of these lets it look again for its email.
MATCHED_BY = (
    "fundraiser_id",
    "email_ref",
    "recurring_id",
    "donor_address",
    "donor_mailbox",
    "donated_at",
)
PERSONAL = ("donor_name", "donor_email", "donor_address", "donor_mailbox", "email_ref")


def apply(tx: Tx, payment: PaymentRow, key: str) -> ObjectId | None:
    """Make or change the gift, in the transaction that changes the payment.

    Args:
        key: the payment's, which is the gift's external_id.

    Returns its fundraiser when it was made or changed, or stands as it is to be; None while there
    is nothing to make one of, and when it was deleted.

    Raises:
        Unassigned: no fundraiser of the organization is named, or the currency is unknown.
    """
    facts = payment["facts"]
    state = state_of(facts)
    if state is None or facts.get(key, {}).get("kind") == "invoice":
        reason = waiting_reason(facts, key)
        _wait(payment, reason, key)
        if reason in UNUSABLE:
            raise Unassigned(reason, UNUSABLE[reason])
        return None  # of an invoice it is not known yet which payment it is of
    state = _in_its_plan(tx, payment, state)
    query: dict[str, Any] = {"organization_id": payment["organization_id"]}
    if payment.get("donation_id"):
        query["_id"] = payment["donation_id"]
    else:
        query["external_id"] = text(eq=key)
    gift = collection(tx.database, DonationRow).find_one(query, session=tx.session)
    if gift is None and "external_id" in query:
        gift = with_external_id(tx, payment["organization_id"], key)
    if gift is None:
        try:
            fundraiser_id = _fundraiser(tx, payment, state)
        except Unassigned as error:
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
        state = in_currency(state, facts, gift["currency"])
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


def _in_its_plan(tx: Tx, payment: PaymentRow, state: State) -> State:
    fundraiser_id = state.fundraiser_id or ""
    if not state.recurring_id or not ObjectId.is_valid(fundraiser_id):
        return state
    organization_id, of = payment["organization_id"], ObjectId(fundraiser_id)
    plan = plan_of(tx, organization_id, state.recurring_id, fundraiser_id=of)
    return replace(state, recurring_id=plan)


def _wait(payment: PaymentRow, reason: Reason, key: str) -> None:
    """Note why there is no gift."""
    if payment.get("donation_id"):
        return
    payment["reason"] = reason
    if split_id(payment["_id"])[1] != key and not _is_forgotten(payment, key):
        payment["key"] = key


def _is_forgotten(payment: PaymentRow, key: str) -> bool:
    known = payment.get("replaced") or {}
    return bool(payment.get("erased")) or stand_in(payment["organization_id"], key) in known


def _note_gift(payment: PaymentRow, donation_id: ObjectId) -> None:
    payment["donation_id"] = donation_id
    payment.pop("reason", None)
    payment.pop("key", None)


def _fundraiser(tx: Tx, payment: PaymentRow, state: State) -> ObjectId:
    """Return the fundraiser that a person assigned, else the one that the payment names.

    Raises:
        Unassigned: no fundraiser of the organization is named, or the currency is unknown.
    """
    _expect_known_currency(state)
    named = assigned_fundraiser(payment) or state.fundraiser_id or ""
    if found := _found(tx, payment["organization_id"], named):
        return found
    code: Reason = "unknown_fundraiser" if named else "no_fundraiser"
    raise Unassigned(code, "it names no fundraiser (metadata.fundraiser_id)")


def _expect_known_currency(state: State) -> None:
    if minor_units(state.currency) is None:
        raise Unassigned("unknown_currency")


def reason_without_gift(tx: Tx, payment: PaymentRow) -> Reason:
    """Return why a payment has no gift, for one stored before reasons were kept."""
    key = split_id(payment["_id"])[1]
    state = state_of(payment["facts"])
    if state is None or payment["facts"].get(key, {}).get("kind") == "invoice":
        return waiting_reason(payment["facts"], key)
    try:
        _fundraiser(tx, payment, state)
    except Unassigned as error:
        return error.code
    return "unknown_fundraiser"  # it came after the payment, which no event has changed since


def _move(tx: Tx, gift: DonationRow, payment: PaymentRow) -> None:
    """Move the payment's own gift to the fundraiser that a person assigned.

    Settling takes what it counted from the one fundraiser and adds it to the other. The next
    instalment is decided again, and marks those that are astray; see matching/instalments.py.
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
        plan = {"fundraiser_id": left, "recurring_id": text(eq=gift["recurring_id"])}
        rest = {**plan, "match": {"$exists": True}, "deleted_at": None}
        again = {"$set": {"rematch": True, "due": now()}, "$unset": {"trouble": ""}}
        order = [("donated_at", 1), ("_id", 1)]
        tx.database.donations.find_one_and_update(rest, again, sort=order, session=tx.session)


def _found(tx: Tx, organization_id: ObjectId, named: Any) -> ObjectId | None:
    """Return the fundraiser of the organization that is named, if there is one."""
    if not ObjectId.is_valid(named or ""):
        return None
    query = {"_id": ObjectId(named), "organization_id": organization_id, "deleted_at": None}
    row = collection(tx.database, FundraiserRow).find_one(query, {"_id": 1}, session=tx.session)
    return ObjectId(row["_id"]) if row else None


def _moved(tx: Tx, gift: DonationRow, payment: PaymentRow, state: State) -> dict[str, Any]:
    """The fundraiser that facts nearer to the money name by now, if others put the gift where it
    is. A gift that somebody put elsewhere stays there."""
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
        mark(tx, [row["_id"] for row in rows.limit(MARKED_A_BATCH)])
    return {"fundraiser_id": found}


def _new_gift(payment: PaymentRow, key: str, fundraiser_id: ObjectId, state: State) -> DonationRow:
    row: DonationRow = new_row(
        Donation,
        organization_id=payment["organization_id"],
        fundraiser_id=fundraiser_id,
        external_id=key,
        payment_id=payment["_id"],
        due=now(),
        **_values(state),
    )
    return row


def _values(state: State) -> dict[str, Any]:
    address = state.donor_email
    at = datetime.fromtimestamp(state.donated_at, UTC)
    return {
        "amount": state.amount,
        "currency": state.currency,
        "status": state.status,
        "refunded_amount": state.refunded_amount,
        "donor_name": state.donor_name,
        "donor_email": address,
        "donor_address": canonical(address) or None,
        "donor_mailbox": mailbox(address) or None,
        "email_ref": (state.email_ref or "")[:LONGEST_REFERENCE] or None,
        "recurring_id": state.recurring_id,
        "donated_at": to_milliseconds(at),
    }


def _outcome(gift: DonationRow, values: dict[str, Any]) -> dict[str, Any]:
    """What became of a gift that a client recorded, by its payment. The rest is the client's."""
    status = values["status"]
    if values["currency"] != gift["currency"]:
        # Its refunds take nothing off: see `state_of`. What the client refunded stays refunded.
        is_kept = status == "pending" or gift["status"] == "refunded"
        return {} if is_kept else {"status": status}
    back = {"refunded_amount": min(values["refunded_amount"], gift["amount"])}
    return back if status == "pending" else {"status": status, **back}  # never pending again


def _change(tx: Tx, gift: DonationRow, payment: PaymentRow, values: dict[str, Any]) -> None:
    if gift.get("payment_id") != payment["_id"]:
        values = _outcome(gift, values)
    elif is_erased(gift.get("donor_mailbox")):
        values = {name: value for name, value in values.items() if name not in PERSONAL}
    changed = {name: value for name, value in values.items() if gift.get(name) != value}
    if not changed:
        return
    if gift.get("match") and any(name in changed for name in MATCHED_BY):
        changed["rematch"] = True
    kept = {name: value for name, value in changed.items() if value is not None}
    gone = {name: "" for name, value in changed.items() if value is None}
    update = {
        "$set": {**kept, "due": now(), "updated_at": now()},
        "$unset": {**gone, "trouble": ""},
        "$inc": {"version": 1},
    }
    tx.database.donations.update_one({"_id": gift["_id"]}, update, session=tx.session)
