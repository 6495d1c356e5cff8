"""State of a gift: its status and its refunded amount, which must agree. Pure."""

from documents.errors import Unacceptable

ANONYMOUS_DONOR_NAME = "Anonymous"  # name of the donor if the payment has none


def amend_state(
    amount: int, before: tuple[str, int], status: str | None, refunded_amount: int | None
) -> tuple[str, int]:
    """Return the status and refunded amount after a change of one, both or neither.

    Args:
        amount: amount of the gift, in minor units.
        before: current status and refunded amount.

    Raises:
        Unacceptable: the refund exceeds the gift, or the status contradicts the refund.
    """
    wanted = status or before[0]
    refunded = before[1] if refunded_amount is None else refunded_amount
    if refunded > amount:
        raise Unacceptable(
            "/refunded_amount", "too_large", "Must not exceed the donation's amount."
        )
    if wanted == "pending" != before[0]:
        raise Unacceptable("/status", "not_allowed", "Must not return to pending.")
    if status == "refunded" and refunded_amount is None:
        refunded = amount
    if status == "refunded" and refunded < amount:
        raise Unacceptable(
            "/status", "contradiction", "Must be succeeded while the refund is partial."
        )
    if refunded == amount and wanted == "succeeded":
        wanted = "refunded"
    elif refunded < amount and wanted == "refunded":
        wanted = "succeeded"  # the processor reversed a refund
    return wanted, refunded
