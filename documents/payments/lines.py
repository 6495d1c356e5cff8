"""Payments as lists show them, each with the reason why it has no gift."""

from dataclasses import dataclass
from datetime import UTC, datetime

from bson import ObjectId

from documents.payments.facts import PaymentFacts
from documents.payments.payment import Payment, read_provider_key, split_payment_id
from documents.payments.reasons import (
    REASON_SENTENCES,
    UNUSABLE_REASONS,
    AssignmentStatus,
    MissingGiftReason,
    find_assignment_status,
)
from documents.payments.rules import GiftState, decide_gift_state
from documents.storage.personal_data import show_address, show_name
from documents.values.donation_state import ANONYMOUS_DONOR_NAME


@dataclass(frozen=True)
class PaymentLine:
    """A payment in a list. Amounts are in minor units. None means that no webhook reported it.

    Attributes:
        payment_id: the provider's own ID.
        detail: the reason, as a sentence.
        fundraiser_id: the fundraiser that a person assigned.
    """

    id: ObjectId
    provider: str
    payment_id: str
    status: AssignmentStatus
    reason: MissingGiftReason | None
    detail: str | None
    payment_status: str | None
    amount: int | None
    currency: str | None
    refunded_amount: int
    donor: dict[str, str]
    paid_at: datetime | None
    fundraiser_id: ObjectId | None
    donation_id: ObjectId | None
    created_at: datetime


def describe_payment(payment: Payment) -> PaymentLine:
    """Return the payment as lists show it."""
    row = payment.to_mongo().to_dict()
    facts: PaymentFacts = row.get("facts", {})
    reason = row.get("reason")
    state = decide_gift_state(facts)
    amount, currency = _money(facts, state)
    paid_at = datetime.fromtimestamp(state.donated_at, UTC) if state else None
    return PaymentLine(
        id=row["public_id"],
        provider=split_payment_id(row["_id"])[0],
        payment_id=read_provider_key(row),
        status=find_assignment_status(row),
        reason=reason,
        detail=REASON_SENTENCES.get(reason) if reason else None,
        payment_status=state.status if state else None,
        amount=amount,
        currency=currency,
        refunded_amount=state.refunded_amount if state else 0,
        donor=_donor(state, row["public_id"]),
        paid_at=paid_at,
        fundraiser_id=(row.get("assigned") or {}).get("fundraiser_id"),
        donation_id=row.get("donation_id"),
        created_at=row["created_at"],
    )


def _money(facts: PaymentFacts, state: GiftState | None) -> tuple[int | None, str | None]:
    """Return the amount and the currency, even of a payment that cannot become a gift."""
    if state:
        return state.amount, state.currency
    fact = next((fact for fact in facts.values() if fact["kind"] in UNUSABLE_REASONS), {})
    return fact.get("amount"), fact.get("currency")


def _donor(state: GiftState | None, id_: ObjectId) -> dict[str, str]:
    if state is None:
        return {"name": ANONYMOUS_DONOR_NAME, "email": ""}
    return {"name": show_name(state.donor_name, id_), "email": show_address(state.donor_email)}
