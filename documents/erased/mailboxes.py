"""Digests of the mailboxes that a text names, so that an index finds the text. Pure.

A digest has a fixed size and shows no address. Whoever knows an address can compute its digest, so
an erasure removes the digest together with the address.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain

from bson import ObjectId

from documents.erased.decoded import TooManyForms, complete_stages
from documents.erased.rules import addresses_in
from documents.values.address import mailbox

NO_MAILBOX, ANY_MAILBOX = "-", "*"
MOST_SPELLINGS = 50  # one plain address in a text can have two or three
SHORTEST = len("a@b")
DIGEST_BYTES = 8  # two mailboxes with one digest only cost an erasure one more read


def mailbox_digest(organization_id: ObjectId, address: str) -> str:
    """Return the digest of an address's mailbox, which all spellings of the mailbox share."""
    told = organization_id.binary + mailbox(address).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=DIGEST_BYTES).hexdigest()


def digests_in(
    organization_id: ObjectId, texts: Iterable[str], addresses: Iterable[str] = ()
) -> list[str]:
    """Return the digests of all mailboxes that texts name, whatever encodes them.

    Args:
        addresses: texts that are addresses as a whole.

    Returns `[NO_MAILBOX]` if there is none, because MongoDB finds an empty list as null.
    Returns `[ANY_MAILBOX]` if there are too many, or if a text cannot be decoded fully.
    """
    spellings: set[str] = set()
    try:
        for one in chain(addresses, _addresses_within(texts)):
            spellings.add(one)
            if len(spellings) > MOST_SPELLINGS:
                return [ANY_MAILBOX]
    except TooManyForms:
        return [ANY_MAILBOX]
    return sorted({mailbox_digest(organization_id, one) for one in spellings}) or [NO_MAILBOX]


def _addresses_within(texts: Iterable[str]) -> Iterator[str]:
    """Yield what may be an address. Each text is decoded alone, as an erasure redacts it."""
    for text in texts:
        for form in complete_stages(text, SHORTEST):
            yield from addresses_in(form)
