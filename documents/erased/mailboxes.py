"""Digests of the mailboxes that a text names, so that an index finds the text. Pure.

A digest has a fixed size and reveals no address. A person who knows an address can compute its
digest, so an erasure removes the digest together with the address.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from bson import ObjectId

from documents.erased.decoded import TooManyForms, complete_stages
from documents.erased.rules import find_addresses
from documents.values.address import ADDRESS_CACHE_SIZE, MAX_CACHED_ADDRESS_LENGTH, to_mailbox

NO_MAILBOX, ANY_MAILBOX = "-", "*"
MOST_SPELLINGS = 50  # a plain address in a text can have two or three spellings
SHORTEST = len("a@b")
DIGEST_BYTES = 8  # if two mailboxes share a digest, an erasure only reads one more row


def mailbox_digest(organization_id: ObjectId, address: str) -> str:
    """Return the digest of a mailbox, which all spellings of the address share."""
    told = organization_id.binary + to_mailbox(address).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=DIGEST_BYTES).hexdigest()


def digests_in(
    organization_id: ObjectId, texts: Iterable[str], addresses: Iterable[str] = ()
) -> list[str]:
    """Return the digests of all mailboxes that the texts name, in any encoding.

    Args:
        addresses: texts that are whole addresses.

    Return `[NO_MAILBOX]` if there are none, because MongoDB indexes an empty list as null.
    Return `[ANY_MAILBOX]` if there are too many, or if a text cannot be decoded fully.
    """
    spellings = set(addresses)
    for text in texts:
        read = _remembered if len(text) <= MAX_CACHED_ADDRESS_LENGTH else _spellings_in
        if (found := read(text)) is None or len(spellings) > MOST_SPELLINGS:
            return [ANY_MAILBOX]
        spellings |= found
    if len(spellings) > MOST_SPELLINGS:
        return [ANY_MAILBOX]
    return sorted({mailbox_digest(organization_id, one) for one in spellings}) or [NO_MAILBOX]


def _spellings_in(text: str) -> frozenset[str] | None:
    """Return the possible addresses in a text; None if too many, or if decoding fails."""
    spellings: set[str] = set()
    with suppress(TooManyForms):
        for form in complete_stages(text, SHORTEST):
            for one in find_addresses(form):
                spellings.add(one)
                if len(spellings) > MOST_SPELLINGS:
                    return None
        return frozenset(spellings)
    return None


# The webhooks of one payment repeat most of its texts.
_remembered = lru_cache(maxsize=ADDRESS_CACHE_SIZE)(_spellings_in)
