"""Email addresses: when two of them are one person's."""

import hashlib


def fold(address: str) -> str:
    """The form under which an address is unique and is looked up: case and outer space folded."""
    return address.strip().casefold()


def pseudonym(address: str) -> str:
    """24 hex digits that stand for an address where the address itself should not be kept."""
    return hashlib.sha256(fold(address).encode()).hexdigest()[:24]
