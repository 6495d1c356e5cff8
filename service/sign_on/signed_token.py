"""Verification of a token's signature with the provider's keys."""

from binascii import Error as Base64Error
from collections.abc import Collection
from typing import Any

from documents.errors import Unusable
from documents.sign_on.discovery import ProviderMetadata
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.signing_keys import KEY_KINDS, find_signing_key
from documents.values.strict_json import parse_json

MAX_TOKEN_LENGTH = 256 * 1024
MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, MAX_SIGNATURE_BYTES = 8 * 1024, 180 * 1024, 1024
MAX_KEY_ID_LENGTH = 500
# `crit` names extensions that a reader must know. Matchback knows none.
FORBIDDEN_HEADERS = ("crit", "b64", "enc", "zip")


def read_signed_claims(
    token: str, metadata: ProviderMetadata, types: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token whose signature is valid.

    The claims are not checked yet.

    Args:
        types: values of the header `typ` in lower case; a token may omit it.

    Raises:
        SignOnRejected: the token is malformed, uses another algorithm, or no key of the provider
            signed it.
    """
    header = _read_header(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in KEY_KINDS:
        raise SignOnRejected("token_algorithm")
    is_typed = str(header.get("typ", "jwt")).lower() in types
    is_named = key_id is None or (isinstance(key_id, str) and len(key_id) <= MAX_KEY_ID_LENGTH)
    if not is_typed or not is_named or any(name in header for name in FORBIDDEN_HEADERS):
        raise SignOnRejected("token_header")
    key = find_signing_key(metadata, key_id, algorithm)
    return header, _parse_object(_verify(token, key, algorithm))


def read_unverified_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token that may be false.

    Raises:
        SignOnRejected: the token is malformed.
    """
    return _parse_object(_decode(_split(token)[1]))


def _split(token: str) -> list[bytes]:
    parts = token.split(".") if len(token) <= MAX_TOKEN_LENGTH and token.isascii() else []
    if len(parts) != 3:
        raise SignOnRejected("token_malformed")
    return [part.encode() for part in parts]


def _read_header(token: str) -> dict[str, Any]:
    encoded = _split(token)[0]
    if len(encoded) > MAX_HEADER_BYTES:
        raise SignOnRejected("token_malformed")
    return _parse_object(_decode(encoded))


def _decode(encoded: bytes) -> bytes:
    from joserfc.util import urlsafe_b64decode

    try:
        return urlsafe_b64decode(encoded)
    except (Base64Error, ValueError):
        raise SignOnRejected("token_malformed") from None


def _parse_object(text: bytes) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except Unusable:
        raise SignOnRejected("token_malformed") from None
    if not isinstance(value, dict):
        raise SignOnRejected("token_malformed")
    return value


def _verify(token: str, key: Any, algorithm: str) -> bytes:
    from joserfc import jws
    from joserfc.errors import BadSignatureError, JoseError

    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MAX_HEADER_BYTES
    registry.max_payload_length = MAX_PAYLOAD_BYTES
    registry.max_signature_length = MAX_SIGNATURE_BYTES
    try:
        return bytes(jws.deserialize_compact(token, key, registry=registry).payload)
    except BadSignatureError:
        raise SignOnRejected("token_signature") from None
    except (JoseError, ValueError, TypeError):
        raise SignOnRejected("token_malformed") from None
