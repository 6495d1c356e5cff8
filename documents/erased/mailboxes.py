"""Digests of the mailboxes that a text names, so that an index finds the text. Pure.

A digest has a fixed size and shows no address. Whoever knows an address can compute its digest, so
an erasure removes the digest together with the address.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from bson import ObjectId

from documents.erased.decoded import TooManyForms, complete_stages
from documents.erased.rules import addresses_in
from documents.values.address import LONGEST_REMEMBERED, REMEMBERED, mailbox

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
    spellings = set(addresses)
    for text in texts:
        read = _remembered if len(text) <= LONGEST_REMEMBERED else _spellings_in
        if (found := read(text)) is None or len(spellings) > MOST_SPELLINGS:
            return [ANY_MAILBOX]
        spellings |= found
    if len(spellings) > MOST_SPELLINGS:
        return [ANY_MAILBOX]
    return sorted({mailbox_digest(organization_id, one) for one in spellings}) or [NO_MAILBOX]


def _spellings_in(text: str) -> frozenset[str] | None:
    """Return what may be an address in a text; None for too many, or if it cannot be decoded."""
    spellings: set[str] = set()
    with suppress(TooManyForms):
        for form in complete_stages(text, SHORTEST):
            for one in addresses_in(form):
                spellings.add(one)
                if len(spellings) > MOST_SPELLINGS:
                    return None
        return frozenset(spellings)
    return None


# The webhooks of one payment repeat most of its texts.
_remembered = lru_cache(maxsize=REMEMBERED)(_spellings_in)
