"""The reasons why a payment has no gift, each with a stable code and a message. Pure."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from documents.errors import Unusable
from documents.payments.facts import PaymentFact
from documents.payments.rules import PAYMENT_KINDS
from documents.rows.payment import PaymentRow

MissingGiftReason = Literal[
    "no_fundraiser",
    "unknown_fundraiser",
    "unlinked_invoice",
    "no_amount",
    "unknown_currency",
    "test_mode",
    "not_paid",
]
AssignmentStatus = Literal["unassigned", "incomplete", "assigned"]

REASON_SENTENCES: Mapping[str, str] = {
    "no_fundraiser": "The payment does not name a fundraiser. Assign one.",
    "unknown_fundraiser": "The payment names an unknown fundraiser. Assign another.",
    "unlinked_invoice": "Stripe has not linked this invoice to a payment yet.",
    "no_amount": "The processor has not reported an amount above zero yet.",
    "unknown_currency": "The currency is not a valid ISO 4217 code. Correct it at the processor.",
    "test_mode": "This is a test payment, which does not count.",
    "not_paid": "The donor has not attempted to pay yet.",
}
# Facts of these kinds make no gift, but put the payment on the list; see stripe/unusable.py.
UNKNOWN_CURRENCY_REASON: MissingGiftReason = "unknown_currency"
TEST_MODE_REASON: MissingGiftReason = "test_mode"
# Notes on the webhook that reported such a fact.
UNUSABLE_REASONS: Mapping[MissingGiftReason, str] = {
    UNKNOWN_CURRENCY_REASON: (
        "The currency is not a valid ISO 4217 code. Correct it at the processor."
    ),
    TEST_MODE_REASON: (
        "This is a test payment (livemode is false), which counts only if a test key signed the "
        "webhook. Set a test key, or ignore this payment."
    ),
}
# Normal payments: donors often leave a form without paying.
INCOMPLETE_REASONS: tuple[MissingGiftReason, ...] = ("not_paid",)
UNASSIGNED_REASONS: tuple[MissingGiftReason, ...] = tuple(
    code for code in get_args(MissingGiftReason) if code not in INCOMPLETE_REASONS
)
# Assigning a fundraiser makes these a gift, at once or when the missing event arrives.
ASSIGNABLE_REASONS: tuple[MissingGiftReason, ...] = (
    "no_fundraiser",
    "unknown_fundraiser",
    "unlinked_invoice",
    "no_amount",
    "not_paid",
)


class UnassignedPayment(Unusable):
    """The payment cannot become a gift. `code` gives the reason."""

    def __init__(self, code: MissingGiftReason, message: str = "") -> None:
        super().__init__(message or REASON_SENTENCES[code])
        self.code = code


def find_waiting_reason(facts: Mapping[str, PaymentFact], key: str) -> MissingGiftReason:
    """Return why no gift follows from these facts."""
    kinds = {fact["kind"] for fact in facts.values()}
    for reason in UNUSABLE_REASONS:
        if reason in kinds:
            return reason
    if facts.get(key, {}).get("kind") == "invoice":
        return "unlinked_invoice"
    payments = [fact for fact in facts.values() if fact["kind"] in PAYMENT_KINDS]
    if payments and not any(fact.get("is_begun", True) for fact in payments):
        return "not_paid"
    return "no_amount"


def find_assignment_status(payment: PaymentRow) -> AssignmentStatus:
    """Return whether a payment has a gift, lacks one, or is not paid yet."""
    reason = payment.get("reason")
    if reason is None:
        return "assigned"
    return "incomplete" if reason in INCOMPLETE_REASONS else "unassigned"


def build_status_condition(status: AssignmentStatus) -> Any:
    """Return the condition on the stored reason for payments of a status."""
    found = {"unassigned": list(UNASSIGNED_REASONS), "incomplete": list(INCOMPLETE_REASONS)}.get(
        status
    )
    return {"$in": found} if found else None
