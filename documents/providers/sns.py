"""Amazon SNS as the carrier of a provider's messages: topics, authenticity and subscriptions.

Every AWS account can send signed messages to Matchback. So a message is authentic only if SNS
signed it and it comes from a topic of the key.

Raw message delivery has no signature. For it, a topic can have a secret, which SNS sends as the
password of the subscription's URL. SNS sends the password only after a 401 with a challenge. The
secret never replaces the signature of a signed message.

Sources: "Fanout Amazon SNS notifications to HTTPS endpoints" and "Amazon SNS raw message delivery"
in AWS's developer guide of SNS.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Any, NamedTuple

import orjson

from documents.errors import ProviderUnavailable, Unusable
from documents.providers.provider import WebhookRequest
from documents.providers.sns_fetch import fetch, fetch_in_time
from documents.providers.sns_message import (
    HASHES,
    NOTIFICATION,
    SUBSCRIPTION,
    find_certificate_url,
    find_subscribe_url,
    has_signature_of,
    read_message,
)

CHALLENGE = 'Basic realm="Matchback"'
RAW_HEADER, TOPIC_HEADER = "x-amz-sns-rawdelivery", "x-amz-sns-topic-arn"
MAX_TOPICS = 10
_TOPIC = re.compile(
    r"(?P<arn>arn:aws(?:-cn|-us-gov)?:sns:[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2}:[0-9]{12}:"
    r"[A-Za-z0-9_-]{1,256})(?:#(?P<secret>[A-Za-z0-9._~-]{16,128}))?"
)
# SES publishes this text once to a new topic.
NOTICES = frozenset({b"Successfully validated SNS topic for Amazon SES event publishing."})
NO_ITEMS = b"[]"


class Topic(NamedTuple):
    """A topic, and the secret of its raw deliveries."""

    arn: str
    secret: str | None


def read_topics(key: str) -> list[Topic]:
    """Return the topics of a key: ARNs with commas between them, each with an optional `#secret`.

    Raises:
        Unusable: the text is not such a key.
    """
    topics = []
    for text in key.split(",", MAX_TOPICS - 1):
        match = _TOPIC.fullmatch(text.strip())
        if match is None:
            raise Unusable(
                "Must be the ARN of an SNS topic, such as "
                "arn:aws:sns:us-east-1:123456789012:ses-events. For raw message delivery, append "
                "# and a secret of 16 to 128 letters, digits, or characters of ._~-"
            )
        topics.append(Topic(match["arn"], match["secret"]))
    return topics


def is_authentic(key: str, request: WebhookRequest) -> bool:
    """Return whether a topic of the key sent the request.

    Raises:
        ProviderUnavailable: Amazon does not send the signing certificate now.
    """
    try:
        topics = read_topics(key)
    except Unusable:
        return False
    message = read_message(request.body)
    if message is None:
        return _has_secret(topics, request.headers)
    # Check the topic first, so that a stranger's message causes no request to Amazon.
    return _comes_from(topics, message["TopicArn"]) and _is_signed(message)


def _comes_from(topics: Sequence[Topic], arn: str) -> bool:
    sent = arn.encode()
    return sum(compare_digest(topic.arn.encode(), sent) for topic in topics) > 0


def _is_signed(message: Mapping[str, Any]) -> bool:
    url = find_certificate_url(message)
    if url is None or message.get("SignatureVersion") not in tuple(HASHES):
        return False
    if message["Type"] == SUBSCRIPTION and find_subscribe_url(message) is None:
        return False
    # Load the module on first use, because it loads X.509, and most organizations do not use
    # Amazon SES.
    from documents.providers.sns_certificates import load_signing_key

    try:
        return has_signature_of(load_signing_key(url), message)
    except Unusable:
        return False


def _has_secret(topics: Sequence[Topic], headers: Mapping[str, str]) -> bool:
    """Return whether a raw delivery has the secret of its topic."""
    password = _read_password(headers.get("AUTHORIZATION", ""))
    if password is None or headers.get(RAW_HEADER.upper()) != "true":
        return False
    arn = headers.get(TOPIC_HEADER.upper())
    secrets = [topic.secret for topic in topics if topic.secret and arn in (None, topic.arn)]
    return sum(compare_digest(secret.encode(), password) for secret in secrets) > 0


def find_challenge(request: WebhookRequest) -> str | None:
    """Return the challenge after which SNS sends the secret of a raw delivery."""
    is_raw = request.headers.get(RAW_HEADER.upper()) == "true"
    return CHALLENGE if is_raw and "AUTHORIZATION" not in request.headers else None


def _read_password(header: str) -> bytes | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        credentials = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return credentials.partition(b":")[2]


def unwrap(body: bytes) -> bytes:
    """Return the JSON that a message carries. A message about a subscription carries no items.

    Raises:
        Unusable: the message carries something else.
    """
    message, content = read_message(body), body
    if message is not None:
        if message["Type"] != NOTIFICATION:
            return NO_ITEMS
        text = message.get("Message")
        content = text.encode() if isinstance(text, str) else b""
    if content.strip() in NOTICES:
        return NO_ITEMS
    try:
        value = orjson.loads(content)
    except ValueError:
        raise Unusable("not JSON") from None
    if not isinstance(value, dict | list):
        raise Unusable("neither an object nor an array")
    return content


def confirm_subscription(body: bytes) -> None:
    """Confirm the subscription that an authentic body asks for. Other bodies need nothing.

    Raises:
        ProviderUnavailable: Amazon does not confirm now.
    """
    message = read_message(body)
    url = find_subscribe_url(message) if message else None
    if url is None:
        return
    try:
        fetch_in_time(fetch, url.text)
    except Unusable as error:
        raise ProviderUnavailable(f"Amazon does not confirm the subscription: {error}") from None
