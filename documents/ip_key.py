"""IP keys, which stand for the IP addresses of clicks. Matchback stores no address with an event.

A key is a keyed digest. Its secret is derived from the first link key, because backups contain that
key already, and rotation keeps it. Only the secret shows whether a key belongs to an address. A
copy of the whole database contains the secret.

An unmatched click has a key within its organization. A click with an email has a key within its
mailing. So the keys of one address in two mailings have nothing in common.
"""

import hashlib
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from bson import ObjectId

from documents.giving_links.link_token import derive_secret

IP_KEY_BYTES, IP_SLOT_BYTES = 8, 12
IP_SLOT_SECONDS = 60
MAX_IP_LENGTH = 60
SECRET_PURPOSE = b"IP addresses of clicks"


def make_ip_key(organization_id: ObjectId, ip: str | None) -> bytes | None:
    """Return the address's key within the organization; None if it is not a valid address."""
    address = _read_address(ip) if ip else None
    if address is None:
        return None
    return _digest(organization_id.binary + address, derive_secret(SECRET_PURPOSE), IP_KEY_BYTES)


def narrow_ip_key(key: bytes, scope: ObjectId) -> bytes:
    """Return the key within a mailing, from the key within the organization."""
    return _digest(scope.binary, key, IP_KEY_BYTES)


def make_ip_slot(key: bytes, at: datetime, offset: int = 0) -> ObjectId:
    """Return the digest of a key and the minute of a time, by which clicks are found.

    Args:
        offset: number of minutes to add.
    """
    slot = int(at.timestamp()) // IP_SLOT_SECONDS + offset
    return ObjectId(_digest(slot.to_bytes(8, "big", signed=True), key, IP_SLOT_BYTES))


@lru_cache(maxsize=4096)
def _read_address(text: str) -> bytes | None:
    """Return an address in its binary form, which is the same for each spelling."""
    try:
        address = ip_address(text.strip().partition("%")[0]) if len(text) <= MAX_IP_LENGTH else None
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.packed if address else None


def _digest(message: bytes, key: bytes, size: int) -> bytes:
    return hashlib.blake2b(message, key=key, digest_size=size).digest()
