"""Messages of Amazon SNS: the signed text, the signature, and the URLs that they may name. Pure.

Sources: "Verifying the signatures of Amazon SNS messages" in AWS's developer guide of SNS, and the
message validators of AWS's SDKs.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

NOTIFICATION, SUBSCRIPTION = "Notification", "SubscriptionConfirmation"
# The fields in the order of the signed text.
_SUBSCRIPTION_FIELDS = tuple("Message MessageId SubscribeURL Timestamp Token TopicArn Type".split())
SIGNED_FIELDS = {
    NOTIFICATION: tuple("Message MessageId Subject Timestamp TopicArn Type".split()),
    SUBSCRIPTION: _SUBSCRIPTION_FIELDS,
    "UnsubscribeConfirmation": _SUBSCRIPTION_FIELDS,
}
# SNS signs with SHA-1 by default. The topic's attribute `SignatureVersion` selects SHA-256.
HASHES = {"1": SHA1, "2": SHA256}

# One expression for the whole URL, because two parsers can disagree about the host of a URL.
_SNS_URL = re.compile(
    r"https://(?P<host>sns\.(?P<region>[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2})\.amazonaws\.com"
    r"(?P<china>\.cn)?)(?::443)?(?P<path>/[!-~]{0,2000})"
)
_CERTIFICATE_PATH = re.compile(r"/[A-Za-z0-9_./-]+\.pem")
_CHINA_PARTITION = "arn:aws-cn:"


class SnsUrl(NamedTuple):
    """A URL on a host of SNS."""

    text: str
    host: str
    region: str
    path: str


def read_message(body: bytes) -> Mapping[str, Any] | None:
    """Return the SNS message in a body; None if the body is something else."""
    try:
        message = orjson.loads(body)
    except ValueError:
        return None
    if not isinstance(message, dict) or not isinstance(message.get("TopicArn"), str):
        return None
    type_ = message.get("Type")
    return message if isinstance(type_, str) and type_ in SIGNED_FIELDS else None


def build_signed_text(message: Mapping[str, Any]) -> bytes | None:
    """Return the text that SNS signs; None if the message lacks a field.

    A line break separates the fields of the text. So only `Message` may contain one. Otherwise, an
    attacker could move text from one field to the next one under the same signature.
    """
    fields = []
    for name in SIGNED_FIELDS[message["Type"]]:
        value = message.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str) or ("\n" in value and name != "Message"):
            return None
        fields.append(f"{name}\n{value}\n")
    return "".join(fields).encode()


def has_signature_of(key: RSAPublicKey, message: Mapping[str, Any]) -> bool:
    """Return whether the key signed the message, by RSA with PKCS #1 v1.5."""
    text, version, signature = (
        build_signed_text(message),
        message.get("SignatureVersion"),
        message.get("Signature"),
    )
    if text is None or not isinstance(signature, str):
        return False
    if not isinstance(version, str) or version not in HASHES:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), text, PKCS1v15(), HASHES[version]())
    except (binascii.Error, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def find_certificate_url(message: Mapping[str, Any]) -> SnsUrl | None:
    """Return the URL of the signing certificate; None if it is not on a host of SNS."""
    url = _read_url(message, "SigningCertURL")
    return url if url and _CERTIFICATE_PATH.fullmatch(url.path) else None


def find_subscribe_url(message: Mapping[str, Any]) -> SnsUrl | None:
    """Return the URL that confirms the subscription.

    Return None if the message asks for no confirmation, or if the URL is on another host than the
    certificate. An UnsubscribeConfirmation has a URL, too, which would subscribe again.
    """
    if message["Type"] != SUBSCRIPTION:
        return None
    url, certificate = _read_url(message, "SubscribeURL"), find_certificate_url(message)
    return url if url and certificate and url.host == certificate.host else None


def _read_url(message: Mapping[str, Any], name: str) -> SnsUrl | None:
    """Return a URL of the message, if it is on a host of SNS in the topic's partition of AWS."""
    text = message.get(name)
    match = _SNS_URL.fullmatch(text) if isinstance(text, str) else None
    if not match or bool(match["china"]) != message["TopicArn"].startswith(_CHINA_PARTITION):
        return None
    return SnsUrl(match[0], match["host"], match["region"], match["path"])
