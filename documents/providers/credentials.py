"""Credentials that a provider sends with each request: HTTP Basic, Bearer or a header. Pure.

The credential proves the sender, but not the body. So it protects only over TLS.
Sources: RFC 7617 (Basic) and RFC 6750 (Bearer).
"""

import base64
import binascii
import hmac
import re

from documents.errors import Unusable
from documents.providers.provider import AuthenticityScheme, WebhookRequest

AUTHORIZATION_HEADER = "Authorization"
SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105
# At 10,000 attempts a second, 8 random letters and digits last for 340 years on average.
MIN_SECRET_LENGTH = 8
MAX_SECRET_LENGTH = 255
_VISIBLE_TEXT = re.compile(r"[\x21-\x7e]+")

CREDENTIAL_HEADERS = {
    AUTHORIZATION_HEADER: "`Basic` with the user and password, or `Bearer` with the secret.",
    SECRET_HEADER: "The secret, if the provider sends custom headers.",
}


def check_credential(text: str) -> None:
    """Check that the text is a secret, or `user:password` of HTTP Basic.

    Raises:
        Unusable: the text has spaces, control characters or non-ASCII characters, or is too short
            or too long. A user name adds nothing to the length, because it is not secret.
    """
    if not _VISIBLE_TEXT.fullmatch(text):
        raise Unusable("Must consist of visible ASCII characters without spaces")
    user, colon, password = text.partition(":")
    if len(password if colon else user) < MIN_SECRET_LENGTH:
        raise Unusable(f"Must have at least {MIN_SECRET_LENGTH} characters after any user name")
    if len(text) > MAX_SECRET_LENGTH:
        raise Unusable(f"Must have at most {MAX_SECRET_LENGTH} characters")


def is_credential_sent(credential: str, request: WebhookRequest) -> bool:
    """Return whether the request carries the credential in one of the three documented places."""
    return any(
        [  # a list, so that each place is compared in any case
            is_basic_credential(credential, request),
            is_bearer_token(credential, request),
            is_header_secret(credential, request),
        ]
    )


def is_basic_credential(credential: str, request: WebhookRequest) -> bool:
    """Return whether HTTP Basic carries the credential: `user:password`, or any user's password."""
    try:
        sent = base64.b64decode(_read_authorization(request, "basic"), validate=True)
    except (binascii.Error, ValueError):
        return False
    _, _, password = sent.partition(b":")
    return any([_is_equal(credential, sent), _is_equal(credential, password)])


def is_bearer_token(credential: str, request: WebhookRequest) -> bool:
    """Return whether the credential is the Bearer token of the request."""
    return _is_equal(credential, _encode(_read_authorization(request, "bearer")))


def is_header_secret(credential: str, request: WebhookRequest) -> bool:
    """Return whether the header `X-Webhook-Secret` is the credential."""
    sent = request.headers.get(SECRET_HEADER.upper(), "")
    return _is_equal(credential, _encode(sent.strip()))


def _read_authorization(request: WebhookRequest, scheme: str) -> str:
    """Return the content of the authorization in this scheme; empty if the request has none."""
    sent = request.headers.get(AUTHORIZATION_HEADER.upper(), "")
    name, _, content = sent.strip().partition(" ")
    return content.strip() if name.lower() == scheme else ""


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_equal(credential: str, sent: bytes) -> bool:
    """Compare in constant time. An empty credential equals nothing."""
    return hmac.compare_digest(_encode(credential), sent) and bool(credential)


CREDENTIAL_SCHEME = AuthenticityScheme("secret", check_credential, is_credential_sent)
