"""Stand-ins for client IDs that name an erased person, such as "ann@example.org-monthly".

A stand-in is a digest, so that a repeated request still finds its gift, and the instalments of a
plan stay together.
"""

import hashlib
import re

from bson import ObjectId

from documents.erased.rules import has_any_address
from documents.values.stripe_values import STRIPE_ID_PATTERN

PSEUDONYM_PREFIX = "erased:"
PSEUDONYM_DIGEST_BYTES = 16
WORD_SEPARATOR_PATTERN = re.compile(r"[\W_]+")
MIN_NAME_LETTERS = 2  # shorter words are not names


def pseudonymize_id(organization_id: ObjectId, value: str) -> str:
    """Return the stand-in that replaces a client's ID after the erasure of the person it names."""
    if value.startswith(PSEUDONYM_PREFIX):
        return value
    told = organization_id.binary + value.encode("utf-8", "surrogatepass")
    return PSEUDONYM_PREFIX + hashlib.blake2b(told, digest_size=PSEUDONYM_DIGEST_BYTES).hexdigest()


def digest_personal_key(key: str) -> str:
    """Return the provider's key of a payment, or its digest if the key may name a person.

    The result is part of the payment's ID, which must not change when that person is erased.
    """
    return key if STRIPE_ID_PATTERN.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


def list_pseudonyms(organization_id: ObjectId, value: str) -> list[str]:
    """Return the stand-ins that may replace this external_id after an erasure."""
    found = [pseudonymize_id(organization_id, value)] if may_name_person(value) else []
    # If an erasure came before the gift, the gift has the digest of the key.
    digest = digest_personal_key(value)
    return found if digest == value else [*found, digest]


def may_name_person(value: str | None) -> bool:
    """Return whether an ID could name a person, so that a gift may store its stand-in."""
    if not value or value.startswith(PSEUDONYM_PREFIX):
        return False
    words = [
        word
        for word in WORD_SEPARATOR_PATTERN.split(value)
        if word.isalpha() and len(word) >= MIN_NAME_LETTERS
    ]
    return len(words) > 1 or has_any_address(value)
