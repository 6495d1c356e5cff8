"""The reasons why a payment has no gift: a stable code and a sentence for each. Pure."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from documents.errors import Unusable
from documents.payments.facts import Fact
from documents.payments.rules import KINDS
from documents.rows.payment import PaymentRow

Reason = Literal[
    "no_fundraiser",
    "unknown_fundraiser",
    "unlinked_invoice",
    "no_amount",
    "unknown_currency",
    "test_mode",
    "not_paid",
]
Status = Literal["unassigned", "incomplete", "assigned"]

SENTENCES: Mapping[str, str] = {
    "no_fundraiser": "It does not name a fundraiser.",
    "unknown_fundraiser": "It names a fundraiser that does not exist in this organization.",
    "unlinked_invoice": "No event has linked the invoice to its payment yet.",
    "no_amount": "No event has reported an amount above zero.",
    "unknown_currency": "ISO 4217 does not define its currency.",
    "test_mode": "It is a test payment.",
    "not_paid": "The donor has not tried to pay yet.",
}
# Facts of these kinds make no gift. They list the payment; see stripe/unusable.py.
UNKNOWN_CURRENCY: Reason = "unknown_currency"
TEST_MODE: Reason = "test_mode"
# What is noted on the webhook that reported such a fact.
UNUSABLE: Mapping[Reason, str] = {
    UNKNOWN_CURRENCY: "the currency is not one of ISO 4217",
    TEST_MODE: "this is a test payment (livemode is false), which counts only if the webhook key "
    "that signed it was set as a test key",
}
# Nothing is wrong with these. Donors who leave a form without paying make many of them.
INCOMPLETE: tuple[Reason, ...] = ("not_paid",)
UNASSIGNED: tuple[Reason, ...] = tuple(code for code in get_args(Reason) if code not in INCOMPLETE)
# A fundraiser turns these into a gift: at once, or as soon as the missing event arrives.
ASSIGNABLE: tuple[Reason, ...] = (
    "no_fundraiser",
    "unknown_fundraiser",
    "unlinked_invoice",
    "no_amount",
    "not_paid",
)


class Unassigned(Unusable):
    """The payment cannot become a gift. `code` is the reason."""

    def __init__(self, code: Reason, message: str = "") -> None:
        super().__init__(message or SENTENCES[code])
        self.code = code


def waiting_reason(facts: Mapping[str, Fact], key: str) -> Reason:
    """Return why no gift follows from these facts."""
    kinds = {fact["kind"] for fact in facts.values()}
    for reason in UNUSABLE:
        if reason in kinds:
            return reason
    if facts.get(key, {}).get("kind") == "invoice":
        return "unlinked_invoice"
    payments = [fact for fact in facts.values() if fact["kind"] in KINDS]
    if payments and not any(fact.get("is_begun", True) for fact in payments):
        return "not_paid"
    return "no_amount"


def status_of(payment: PaymentRow) -> Status:
    """Return whether a payment has a gift, lacks one, or is not paid yet."""
    reason = payment.get("reason")
    if reason is None:
        return "assigned"
    return "incomplete" if reason in INCOMPLETE else "unassigned"


def condition(status: Status) -> Any:
    """Return the condition on the stored reason that finds the payments of a status."""
    found = {"unassigned": list(UNASSIGNED), "incomplete": list(INCOMPLETE)}.get(status)
    return {"$in": found} if found else None
