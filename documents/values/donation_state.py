"""The state of a gift: its status and its refunded amount, which must agree. Pure."""

from documents.errors import Unacceptable

ANONYMOUS_DONOR_NAME = "Anonymous"  # the name of a donor whom a payment does not name


def amend_state(
    amount: int, before: tuple[str, int], status: str | None, refunded_amount: int | None
) -> tuple[str, int]:
    """The status and refunded amount that follow from a change of one, or both, or neither.

    Args:
        amount: what was given, in minor units.
        before: the status and refunded amount so far.

    Raises:
        Unacceptable: more refunded than given, or a status that contradicts the refund.
    """
    wanted = status or before[0]
    refunded = before[1] if refunded_amount is None else refunded_amount
    if refunded > amount:
        raise Unacceptable(
            "/refunded_amount", "too_large", "More cannot be refunded than was given."
        )
    if wanted == "pending" != before[0]:
        raise Unacceptable("/status", "not_allowed", "A gift does not become pending again.")
    if status == "refunded" and refunded_amount is None:
        refunded = amount
    if status == "refunded" and refunded < amount:
        raise Unacceptable(
            "/status", "contradiction", "A gift refunded in part is still succeeded."
        )
    if refunded == amount and wanted == "succeeded":
        wanted = "refunded"
    elif refunded < amount and wanted == "refunded":
        wanted = "succeeded"  # a refund that was taken back
    return wanted, refunded
