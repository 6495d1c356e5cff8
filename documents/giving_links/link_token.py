"""Link tokens, which giving links contain in place of an email's ID.

A token is the ID, encrypted and authenticated for its organization. A client cannot guess,
enumerate or forge a token, or use another organization's. AES-SIV (RFC 5297) needs no nonce, so an
email has one token under each key, and MongoDB stores none. The newest key makes new tokens, and
older keys still open their tokens.

A trap token names an email in a link that people cannot see. Its context differs from a link
token's, so neither can pass for the other, and a trap token never ties a gift.
"""

import base64
import binascii
import secrets
from collections.abc import Iterable
from typing import NamedTuple, Self

from bson import Binary, ObjectId
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from mongoengine import BinaryField, DateTimeField, IntField, get_db
from pymongo import ReturnDocument

from documents.storage.base import Document
from documents.storage.process_cache import ProcessCache
from documents.values.time import now

LINK_KEY_BYTES = 32  # two AES-128 keys: one authenticates, one encrypts
EMAIL_ID_BYTES, TOKEN_TAG_BYTES = 12, 16
LINK_TOKEN_LENGTH = 38  # the length of both in base64 without padding
TRAP_MARK = "trap_"  # a URL without it needs no decryption
TRAP_CONTEXT = b"trap"
LINK_KEYS_CACHE_SECONDS = 60.0
COUNTER_CLEARED_BYTES = (8, 12)  # of the tag; RFC 5297 clears their first bits in the counter


class LinkCipher(NamedTuple):
    """A key, prepared for use.

    Attributes:
        siv: the cipher of tokens.
        counter_key: the half of the key that encrypts.
    """

    siv: AESSIV
    counter_key: AES

    @classmethod
    def prepare(cls, key: bytes) -> Self:
        return cls(AESSIV(key), AES(key[LINK_KEY_BYTES // 2 :]))


_known = ProcessCache[str, tuple[LinkCipher, ...]](LINK_KEYS_CACHE_SECONDS, most=1)


class LinkKey(Document):
    """A key that encrypts tokens. The key with the highest number makes new tokens."""

    number = IntField(primary_key=True)
    key = BinaryField(required=True)
    created_at = DateTimeField(default=now)

    meta = {"collection": "link_keys", "auto_create_index": False}


def make_token(organization_id: ObjectId, email_id: ObjectId) -> str:
    """Return the email's token: 38 characters that are safe in a URL."""
    return _seal(_keys()[0].siv, organization_id, email_id)


def list_tokens(organization_id: ObjectId, email_id: ObjectId) -> list[str]:
    """Return every token that names the email, newest first, then its trap tokens."""
    tokens = [_seal(key.siv, organization_id, email_id) for key in _keys()]
    return tokens + _list_trap_tokens(organization_id, email_id)


def make_trap_token(organization_id: ObjectId, email_id: ObjectId) -> str:
    """Return the email's trap token, for a link that people cannot see."""
    return _list_trap_tokens(organization_id, email_id)[0]


def has_trap_token(organization_id: ObjectId, email_id: ObjectId, url: str) -> bool:
    """Return whether the URL contains a trap token of the email."""
    if TRAP_MARK not in url:
        return False
    tokens = _list_trap_tokens(organization_id, email_id)
    if not any(token in url for token in tokens) and _is_stale():
        forget_link_keys()  # another process may have made the token with a newer key
        tokens = _list_trap_tokens(organization_id, email_id)
    return any(token in url for token in tokens)


def derive_secret(purpose: bytes) -> bytes:
    """Return a secret for this purpose, derived from the first link key.

    Rotation keeps the first key, so the secret never changes.
    """
    return _keys()[-1].siv.encrypt(purpose, None)


def _list_trap_tokens(organization_id: ObjectId, email_id: ObjectId) -> list[str]:
    return [
        TRAP_MARK
        + _encode(key.siv.encrypt(email_id.binary, [organization_id.binary, TRAP_CONTEXT]))
        for key in _keys()
    ]


def open_token(organization_id: ObjectId, text: str) -> ObjectId | None:
    """Return the email's ID; None if it is forged, truncated, or another organization's."""
    return open_first_token(organization_id, [text])


def open_first_token(organization_id: ObjectId, texts: Iterable[str]) -> ObjectId | None:
    """Return the email's ID from the first text that is one of the organization's tokens."""
    failed = []
    for text in texts:
        if (sealed := _decode(text)) is None:
            continue
        if (found := _open(organization_id, sealed)) is not None:
            return found
        failed.append(sealed)
    # A token may need a key that is newer than the cached keys.
    if not failed or not refresh_link_keys():
        return None
    opened = (_open(organization_id, sealed) for sealed in failed)
    return next((id_ for id_ in opened if id_ is not None), None)


def list_unproven_ids(text: str) -> list[ObjectId]:
    """Return the IDs that the text may encrypt, one for each key; none if it is not a token.

    AES-SIV decrypts without the organization, which only the proof needs. So the cost does not grow
    with the number of organizations. A forged token gives random IDs. The caller must find the
    email with the ID, and prove the token with `open_token` for the email's organization.
    """
    sealed = _decode(text)
    return [_decrypt_unproven(key.counter_key, sealed) for key in _keys()] if sealed else []


def refresh_link_keys() -> bool:
    """Read the keys again if MongoDB has newer ones. Return whether it has."""
    if not _is_stale():
        return False
    forget_link_keys()
    return True


def rotate_keys() -> int:
    """Create the key for new tokens, and return its number.

    Other processes use it within a minute.
    """
    newest = LinkKey.objects.order_by("-number").first()
    number = (newest.number if newest else 0) + 1
    LinkKey(number=number, key=secrets.token_bytes(LINK_KEY_BYTES)).save(force_insert=True)
    forget_link_keys()
    return number


def forget_link_keys() -> None:
    """Forget the cached keys, so that the next use reads them again."""
    _known.clear()


def _seal(key: AESSIV, organization_id: ObjectId, email_id: ObjectId) -> str:
    return _encode(key.encrypt(email_id.binary, [organization_id.binary]))


def _encode(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _decode(text: str) -> bytes | None:
    if len(text) != LINK_TOKEN_LENGTH:
        return None
    try:
        sealed = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # Other values of the unused last bits would give the email a second token.
    return sealed if _encode(sealed) == text else None


def _open(organization_id: ObjectId, sealed: bytes) -> ObjectId | None:
    for key in _keys():
        try:
            return ObjectId(key.siv.decrypt(sealed, [organization_id.binary]))
        except InvalidTag:
            continue
    return None


def _decrypt_unproven(counter_key: AES, sealed: bytes) -> ObjectId:
    """Decrypt as RFC 5297 does in section 2.7, but without its last step, which proves the text."""
    counter, encrypted = bytearray(sealed[:TOKEN_TAG_BYTES]), sealed[TOKEN_TAG_BYTES:]
    for place in COUNTER_CLEARED_BYTES:
        counter[place] &= 0x7F
    return ObjectId(Cipher(counter_key, CTR(bytes(counter))).decryptor().update(encrypted))


def _keys() -> tuple[LinkCipher, ...]:
    """Return the keys, newest first. The first process that needs a key creates it."""
    if known := _known.get(""):
        return known
    keys = get_db().link_keys
    rows = list(keys.find().sort("_id", -1)) or [
        keys.find_one_and_update(
            {"_id": 1},
            {
                "$setOnInsert": {
                    "key": Binary(secrets.token_bytes(LINK_KEY_BYTES)),
                    "created_at": now(),
                }
            },
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
    ]
    ring = tuple(LinkCipher.prepare(bytes(row["key"])) for row in rows)
    _known.put("", ring)
    return ring


def _is_stale() -> bool:
    """Return whether MongoDB has keys that this process has not read."""
    return bool(LinkKey.objects.count() != len(_keys()))
