"""Stand-ins for client IDs that name an erased person, such as "ann@example.org-monthly".

A stand-in is a digest, so that a repeated request still finds its gift, and a plan's instalments
stay together.
"""

import hashlib
import re

from bson import ObjectId

from documents.erased.rules import has_any_address
from documents.values.stripe_values import STRIPE_ID_PATTERN

PSEUDONYM_PREFIX = "erased:"
PSEUDONYM_DIGEST_BYTES = 16
WORD_SEPARATOR_PATTERN = re.compile(r"[\W_]+")
MIN_NAME_LETTERS = 2  # fewer are no name


def pseudonymize_id(organization_id: ObjectId, value: str) -> str:
    """Return what replaces a client's ID once the person that it names is erased."""
    if value.startswith(PSEUDONYM_PREFIX):
        return value
    told = organization_id.binary + value.encode("utf-8", "surrogatepass")
    return PSEUDONYM_PREFIX + hashlib.blake2b(told, digest_size=PSEUDONYM_DIGEST_BYTES).hexdigest()


def digest_personal_key(key: str) -> str:
    """Return the provider's key of a payment, or its digest if the key may name a person.

    It is part of the payment's ID, which cannot change when that person is erased.
    """
    return key if STRIPE_ID_PATTERN.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


def list_pseudonyms(organization_id: ObjectId, value: str) -> list[str]:
    """Return what a gift may have in place of this external_id since a person was erased."""
    found = [pseudonymize_id(organization_id, value)] if may_name_person(value) else []
    # A payment that was erased before it became a gift gave the gift its digest.
    digest = digest_personal_key(value)
    return found if digest == value else [*found, digest]


def may_name_person(value: str | None) -> bool:
    """Return whether an ID could name a person, so that its stand-in may be stored instead."""
    if not value or value.startswith(PSEUDONYM_PREFIX):
        return False
    words = [
        word
        for word in WORD_SEPARATOR_PATTERN.split(value)
        if word.isalpha() and len(word) >= MIN_NAME_LETTERS
    ]
    return len(words) > 1 or has_any_address(value)
