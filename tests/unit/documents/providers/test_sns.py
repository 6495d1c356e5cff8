"""Amazon SNS without a network: keys, signed texts, raw delivery, and what a message carries."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers import sns_certificates
from documents.providers.provider import WebhookRequest, parse_items
from documents.providers.ses import PROVIDER
from documents.providers.sns import Topic, read_topics
from documents.providers.sns_message import (
    SnsUrl,
    build_signed_text,
    find_certificate_url,
    find_subscribe_url,
    has_signature_of,
    read_message,
)
from documents.providers.sns_trust import list_signing_names
from tools.testbed.amazon import (
    TOPIC,
    make_message,
    make_shared_key,
    make_signing_key,
    sign_message,
)

SECRET = "s" * 20
OTHER_TOPIC = "arn:aws:sns:eu-west-1:123456789012:other"


@pytest.fixture(autouse=True)
def offline_key(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Load Amazon's key from memory. Return the URLs that were asked for."""
    asked: list[str] = []

    def load(url: SnsUrl) -> object:
        asked.append(url.text)
        return make_shared_key().public_key()

    monkeypatch.setattr(sns_certificates, "load_signing_key", load)
    return asked


def is_authentic(key: str, body: bytes, **headers: str) -> bool:
    named = {name.upper().replace("_", "-"): value for name, value in headers.items()}
    return PROVIDER.scheme.is_authentic(key, WebhookRequest(named, body))


def basic(password: str, user: str = "matchback") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# Keys


@pytest.mark.parametrize(
    ("key", "topics"),
    [
        (TOPIC, [Topic(TOPIC, None)]),
        (f"{TOPIC}#{SECRET}", [Topic(TOPIC, SECRET)]),
        (f"{TOPIC},{OTHER_TOPIC}", [Topic(TOPIC, None), Topic(OTHER_TOPIC, None)]),
        (f" {TOPIC} ,\n {OTHER_TOPIC}\n", [Topic(TOPIC, None), Topic(OTHER_TOPIC, None)]),
        (
            "arn:aws-us-gov:sns:us-gov-west-1:123456789012:a,arn:aws-cn:sns:cn-north-1:123456789012:b",
            [
                Topic("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a", None),
                Topic("arn:aws-cn:sns:cn-north-1:123456789012:b", None),
            ],
        ),
    ],
)
def test_a_key_lists_topics(key: str, topics: list[Topic]) -> None:
    assert read_topics(key) == topics


@pytest.mark.parametrize(
    "key",
    [
        "",
        ",",
        "garbage",
        SECRET,
        "#" + SECRET,
        f"{TOPIC}#short",
        f"{TOPIC}#with spaces in between",
        f"{TOPIC}#sécret-with-an-accent",
        f"{TOPIC}:0fe31a95-1111-2222-3333-444455556666",  # a subscription
        "arn:aws:sqs:us-east-1:123456789012:queue",
        "arn:aws:sns:us-east-1:12345:short",
        f"{TOPIC} {OTHER_TOPIC}",
        ",".join([TOPIC] * 11),
        "é" * 100,
    ],
)
def test_other_texts_are_no_keys(key: str) -> None:
    with pytest.raises(Unusable):
        PROVIDER.scheme.check(key)
    assert not is_authentic(key, sign_message(make_shared_key(), make_message()))


# Signatures


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    "type_", ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
)
@pytest.mark.parametrize("message", ["{}", 'línes\n"and" 日本\ttabs', ""])
def test_each_message_is_signed_over_its_fields(type_: str, version: str, message: str) -> None:
    body = sign_message(
        make_shared_key(), make_message(type_, SignatureVersion=version, Message=message)
    )
    assert is_authentic(TOPIC, body)
    assert is_authentic(f"{OTHER_TOPIC},{TOPIC}", body)
    assert not is_authentic(OTHER_TOPIC, body)


def test_a_missing_subject_is_not_signed() -> None:
    body = sign_message(make_shared_key(), make_message(Subject=None))
    assert is_authentic(TOPIC, body)
    assert is_authentic(TOPIC, json.dumps(json.loads(body) | {"Subject": None}).encode())
    assert not is_authentic(TOPIC, json.dumps(json.loads(body) | {"Subject": ""}).encode())


def test_the_documented_text_is_signed() -> None:
    message = make_message(Message="Hello", Subject="Hi", MessageId="1", Timestamp="now")
    text = f"Message\nHello\nMessageId\n1\nSubject\nHi\nTimestamp\nnow\nTopicArn\n{TOPIC}\n"
    assert build_signed_text(message) == f"{text}Type\nNotification\n".encode()


def test_a_field_cannot_hide_in_another_one() -> None:
    """The text of both messages is the same. Only the first one is what SNS signed."""
    signed = make_message(MessageId="1", Subject="Hi")
    body = json.loads(sign_message(make_shared_key(), signed))
    hidden = {**body, "MessageId": "1\nSubject\nHi"}
    del hidden["Subject"]
    assert is_authentic(TOPIC, json.dumps(body).encode())
    assert not is_authentic(TOPIC, json.dumps(hidden).encode())


def test_another_key_did_not_sign() -> None:
    body = sign_message(make_signing_key(), make_message())
    assert not is_authentic(TOPIC, body)


@pytest.mark.parametrize("signature", ["", "garbage!", "AAAA", "é", "====", 7, None, []])
def test_an_invalid_signature_raises_no_error(signature: object) -> None:
    message = make_message() | {"Signature": signature}
    assert not has_signature_of(make_shared_key().public_key(), message)
    assert not is_authentic(TOPIC, json.dumps(message).encode())


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "TopicArn", "Type"])
@pytest.mark.parametrize("value", [None, 1, [], {}, True])
def test_a_field_of_another_type_is_not_authentic(name: str, value: object) -> None:
    body = json.loads(sign_message(make_shared_key(), make_message())) | {name: value}
    assert not is_authentic(TOPIC, json.dumps(body).encode())


def test_a_strangers_message_asks_for_no_certificate(offline_key: list[str]) -> None:
    assert not is_authentic(OTHER_TOPIC, sign_message(make_shared_key(), make_message()))
    for version in ("3", "", "01", None, 1, ["1"]):
        message = make_message() | {"SignatureVersion": version}
        assert not is_authentic(TOPIC, json.dumps({**message, "Signature": "AAAA"}).encode())
    assert offline_key == []


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("https://sns.us-east-1.amazonaws.com/S-1.pem", TOPIC),
        ("https://sns.us-east-1.amazonaws.com:443/S-1.pem", TOPIC),
        ("https://sns.ap-southeast-7.amazonaws.com/a/b_c.pem", TOPIC),
        (
            "https://sns.us-gov-west-1.amazonaws.com/S.pem",
            "arn:aws-us-gov:sns:us-gov-west-1:123456789012:a",
        ),
        (
            "https://sns.cn-north-1.amazonaws.com.cn/S.pem",
            "arn:aws-cn:sns:cn-north-1:123456789012:a",
        ),
    ],
)
def test_certificates_are_on_amazons_hosts(url: str, topic: str) -> None:
    found = find_certificate_url(make_message(SigningCertURL=url, TopicArn=topic))
    assert found
    assert found.text == url


def test_each_region_has_its_names() -> None:
    names = list_signing_names(SnsUrl("", "sns.me-south-1.amazonaws.com", "me-south-1", ""))
    assert {"sns.amazonaws.com", "sns-signing.me-south-1.amazonaws.com"} <= set(names)
    names = list_signing_names(SnsUrl("", "sns.us-gov-east-1.amazonaws.com", "us-gov-east-1", ""))
    assert "sns-us-gov-west-1.amazonaws.com" in names
    names = list_signing_names(SnsUrl("", "sns.cn-north-1.amazonaws.com.cn", "cn-north-1", ""))
    assert "sns-cn-north-1.amazonaws.com.cn" in names
    assert "sns.amazonaws.com" not in names


def test_only_a_subscription_is_confirmed() -> None:
    message = read_message(json.dumps(make_message("SubscriptionConfirmation")).encode())
    assert message
    assert find_subscribe_url(message)
    for type_ in ("Notification", "UnsubscribeConfirmation"):
        url = message["SubscribeURL"]
        assert find_subscribe_url(make_message(type_, SubscribeURL=url)) is None


# Raw delivery


RAW = b'{"eventType": "Open"}'


def test_a_raw_delivery_needs_the_secret_of_its_topic() -> None:
    sent = {"authorization": basic(SECRET), "x_amz_sns_rawdelivery": "true"}
    key = f"{TOPIC}#{SECRET}"
    assert is_authentic(key, RAW, **sent)
    assert is_authentic(key, RAW, **sent, x_amz_sns_topic_arn=TOPIC)
    assert is_authentic(key, RAW, **sent | {"authorization": basic(SECRET, "anybody")})
    assert is_authentic(f"{OTHER_TOPIC},{key}", RAW, **sent)
    assert not is_authentic(key, RAW, **sent, x_amz_sns_topic_arn=OTHER_TOPIC)
    assert not is_authentic(TOPIC, RAW, **sent)
    assert not is_authentic(f"{TOPIC}#{SECRET}s", RAW, **sent)
    assert not is_authentic(key, RAW, authorization=basic(SECRET))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic é",
        "Basic " + base64.b64encode(SECRET.encode()).decode(),
        "Bearer " + base64.b64encode(f":{SECRET}".encode()).decode(),
        basic(""),
        basic(SECRET[:-1]),
        basic(SECRET + "x"),
        basic("\xff"),
        basic(SECRET)[:-4],
    ],
)
def test_a_bad_password_is_not_authentic(header: str) -> None:
    sent = {"authorization": header, "x_amz_sns_rawdelivery": "true"}
    assert not is_authentic(f"{TOPIC}#{SECRET}", RAW, **sent)


def test_a_secret_does_not_replace_a_signature() -> None:
    sent = {"authorization": basic(SECRET), "x_amz_sns_rawdelivery": "true"}
    for type_ in ("Notification", "SubscriptionConfirmation"):
        message = make_message(type_, Signature="AAAA")
        assert not is_authentic(f"{TOPIC}#{SECRET}", json.dumps(message).encode(), **sent)


@pytest.mark.parametrize(
    ("headers", "is_challenged"),
    [
        ({"X-AMZ-SNS-RAWDELIVERY": "true"}, True),
        ({"X-AMZ-SNS-RAWDELIVERY": "true", "AUTHORIZATION": basic("wrong")}, False),
        ({"X-AMZ-SNS-RAWDELIVERY": "false"}, False),
        ({}, False),
    ],
)
def test_a_raw_delivery_without_a_secret_is_challenged(
    headers: dict[str, str], is_challenged: bool
) -> None:
    """SNS sends the credentials of the URL only after a challenge."""
    challenge = PROVIDER.find_challenge(WebhookRequest(headers, RAW))
    assert challenge == ('Basic realm="Matchback"' if is_challenged else None)


@settings(max_examples=30)
@given(body=st.binary(max_size=200), header=st.text(max_size=60), key=st.text(max_size=80))
def test_no_request_raises_an_error(body: bytes, header: str, key: str) -> None:
    sent = {"authorization": header, "x_amz_sns_rawdelivery": "true"}
    assert not is_authentic(f"{TOPIC}#{SECRET}", body, **sent)
    assert not is_authentic(key, body, **sent)


# Contents


@pytest.mark.parametrize(
    ("message", "items"),
    [
        ('{"eventType": "Open"}', [{"eventType": "Open"}]),
        ('[{"eventType": "Open"}, 1]', [{"eventType": "Open"}, 1]),
        ("Successfully validated SNS topic for Amazon SES event publishing.", []),
    ],
)
def test_a_message_carries_items(message: str, items: list[Any]) -> None:
    for body in (json.dumps(make_message(Message=message)).encode(), message.encode()):
        assert parse_items(PROVIDER.unwrap(body)) == items


@pytest.mark.parametrize("message", ["", "Hello", "1", '"text"', "null", "{", "NaN"])
def test_other_contents_are_unusable(message: str) -> None:
    for body in (json.dumps(make_message(Message=message)).encode(), message.encode()):
        with pytest.raises(Unusable):
            PROVIDER.unwrap(body)


def test_a_notification_without_a_message_is_unusable() -> None:
    with pytest.raises(Unusable):
        PROVIDER.unwrap(json.dumps(make_message(Message=None)).encode())
    with pytest.raises(Unusable):
        PROVIDER.unwrap(b"\xff\xfe")


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"Type":' * 200_000, b'"' * 1_000_000])
def test_a_nested_body_costs_little(body: bytes) -> None:
    begin = time.process_time()
    assert not is_authentic(TOPIC, body)
    with pytest.raises(Unusable):
        PROVIDER.unwrap(body)
    assert time.process_time() - begin < 2
