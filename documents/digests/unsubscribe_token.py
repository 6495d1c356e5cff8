"""Tokens of unsubscribe links: signed, and without any stored state.

A token works without sign-in and forever, also after the digest has ended (RFC 8058). It can do
nothing else than end this digest.
"""

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

from bson import ObjectId

from documents.giving_links.link_token import derive_secret

UNSUBSCRIBE_PURPOSE = b"digest unsubscribe"
ID_BYTES, SIGNATURE_BYTES = 12, 16
UNSUBSCRIBE_TOKEN_LENGTH = 54  # base64 of two IDs and the signature, without padding


class UnsubscribeTarget(NamedTuple):
    """The digest that a token ends."""

    staff_id: ObjectId
    fundraiser_id: ObjectId


def make_unsubscribe_token(staff_id: ObjectId, fundraiser_id: ObjectId) -> str:
    """Return the token of a staff member and a fundraiser."""
    ids = staff_id.binary + fundraiser_id.binary
    return base64.urlsafe_b64encode(ids + _sign(ids)).decode().rstrip("=")


def read_unsubscribe_token(token: str) -> UnsubscribeTarget | None:
    """Return what the token ends; None if it is forged or truncated."""
    if len(token) != UNSUBSCRIBE_TOKEN_LENGTH:
        return None
    try:
        signed = base64.b64decode(token + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    ids, signature = signed[: 2 * ID_BYTES], signed[2 * ID_BYTES :]
    if not hmac.compare_digest(signature, _sign(ids)):
        return None
    return UnsubscribeTarget(ObjectId(ids[:ID_BYTES]), ObjectId(ids[ID_BYTES:]))


def _sign(ids: bytes) -> bytes:
    secret = derive_secret(UNSUBSCRIBE_PURPOSE)
    return hmac.digest(secret, ids, hashlib.sha256)[:SIGNATURE_BYTES]
