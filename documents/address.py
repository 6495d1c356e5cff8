"""Email addresses: what is one, and when two of them are one person's."""

import hashlib
import re
import unicodedata

# Loose on purpose: a gift is not refused because its donor's address looks odd.
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


def is_address(text: str) -> bool:
    """Whether it can be an address."""
    return ADDRESS.fullmatch(text) is not None


def fold(address: str) -> str:
    """The form under which an address is unique: case, outer space and Unicode's forms folded."""
    composed = unicodedata.normalize("NFC", address.strip())
    return unicodedata.normalize("NFC", composed.casefold())


def mailbox(address: str) -> str:
    """Where mail to an address ends: folded, and without a «+tag», which its owner made up.

    Matching finds people by it. RFC 5233 calls the tag a detail. Dots are kept: to most servers
    they matter, and two people must not become one.
    """
    folded = fold(address)
    local, at, domain = folded.rpartition("@")
    owner = local.partition("+")[0]
    return f"{owner}{at}{domain}" if owner else folded


def pseudonym(address: str) -> str:
    """24 hex digits that stand for an address where the address itself should not be kept."""
    return hashlib.sha256(fold(address).encode()).hexdigest()[:24]
