"""The mailboxes that a payment's texts name, by which an erasure finds the payment. Pure."""

from documents.erased.mailboxes import digests_in
from documents.payments.facts import STATUS_RANKS
from documents.rows.payment import PaymentRow

MIGRATION = 17  # until it finishes, stored payments may have no `named_by` or an outdated one
CODES = frozenset({"kind", "currency"})  # senders cannot write an address into these


def texts_of(payment: PaymentRow) -> list[str]:
    """Return the distinct texts that clients and processors wrote into a payment."""
    facts = payment["facts"].values()
    values = [value for fact in facts for name, value in fact.items() if name not in CODES]
    texts = [one for one in (payment.get("key"), *values) if isinstance(one, str)]
    return [one for one in dict.fromkeys(texts) if one not in STATUS_RANKS]


def emails_of(payment: PaymentRow) -> list[str]:
    """Return the addresses of the giver, as the facts state them."""
    return [email for fact in payment["facts"].values() if (email := fact.get("email"))]


def named_by(payment: PaymentRow) -> list[str]:
    """Return the keys by which an erasure finds the payment; see erased/mailboxes.py.

    The keys are digests of the mailboxes that it names, and the users whose erasure stripped it. So
    an interrupted erasure finds the payment again.
    """
    found = digests_in(payment["organization_id"], texts_of(payment), emails_of(payment))
    return [*found, *map(str, payment.get("stripped_for", ()))]
