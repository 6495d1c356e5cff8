"""Amazon SNS over real TLS: a server of the tests acts as Amazon, with its own authority.

Alice's organization receives messages of its own topic. Charlie controls other topics and servers.
"""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from documents.errors import ProviderUnavailable
from documents.providers import sns_certificates, sns_fetch
from documents.providers.provider import WebhookRequest
from documents.providers.ses import PROVIDER
from documents.providers.sns_certificates import SigningKey
from tools.testbed.amazon import (
    CERTIFICATE_PATH,
    HOST,
    ISSUER_HOST,
    ISSUER_PATH,
    TOPIC,
    Amazon,
    Holder,
    make_certificate,
    make_message,
    route_hosts,
    sign_message,
)

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_DIR")


@pytest.fixture
def amazon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """Amazon's server under its real name, with an authority that this process trusts."""
    made = Amazon(tmp_path)
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.root_file))
    sns_certificates.forget_signing_keys()
    with made.run() as ports:
        monkeypatch.setattr(socket, "getaddrinfo", route_hosts(ports))
        yield made
    while sns_fetch._pending:  # so that the next test shares no call of this one
        time.sleep(0.01)
    sns_certificates.forget_signing_keys()


def is_authentic(body: bytes, key: str = TOPIC, **headers: str) -> bool:
    return PROVIDER.scheme.is_authentic(key, WebhookRequest(headers, body))


def notify(signer: Holder, **fields: Any) -> bytes:
    return sign_message(signer.key, make_message(**fields))


def confirm(body: bytes) -> None:
    assert PROVIDER.confirm is not None
    PROVIDER.confirm(body)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_message_of_the_topic_is_authentic(amazon: Amazon, version: str) -> None:
    assert is_authentic(notify(amazon.signer, SignatureVersion=version))
    assert amazon.requests == [f"{HOST}{CERTIFICATE_PATH}", f"{ISSUER_HOST}{ISSUER_PATH}"]


def test_the_certificate_is_loaded_once(amazon: Amazon) -> None:
    for number in range(5):
        assert is_authentic(notify(amazon.signer, MessageId=f"message-{number}"))
    assert len(amazon.requests) == 2


def test_an_expired_certificate_is_loaded_again(amazon: Amazon) -> None:
    url = f"https://{HOST}{CERTIFICATE_PATH}"
    key = amazon.signer.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    sns_certificates._keys.put(url, SigningKey(key, datetime(2026, 1, 1, tzinfo=UTC)))
    assert is_authentic(notify(amazon.signer))
    assert len(amazon.requests) == 2


def test_messages_at_the_same_time_share_one_request(amazon: Amazon) -> None:
    bodies = [notify(amazon.signer, MessageId=f"message-{number}") for number in range(8)]
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda body=body: found.append(is_authentic(body)))
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [True] * 8
    assert amazon.requests.count(f"{HOST}{CERTIFICATE_PATH}") == 1


def test_charlies_topic_is_not_authentic_and_causes_no_request(amazon: Amazon) -> None:
    body = notify(amazon.signer, TopicArn=TOPIC.replace("123456789012", "999999999999"))
    assert not is_authentic(body)
    assert amazon.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Message", '{"eventType":"Open"}'),
        ("MessageId", "another"),
        ("Timestamp", "2026-11-21T10:00:00.000Z"),
        ("Subject", "another"),
        ("Subject", None),
        ("Type", "UnsubscribeConfirmation"),
        ("Signature", "AAAA"),
        ("Signature", None),
        ("SignatureVersion", "2"),
        ("SignatureVersion", "3"),
        ("SignatureVersion", None),
        ("SignatureVersion", 1),
    ],
)
def test_a_changed_message_is_not_authentic(amazon: Amazon, name: str, value: object) -> None:
    message = json.loads(notify(amazon.signer)) | {name: value}
    body = json.dumps({name: value for name, value in message.items() if value is not None})
    assert not is_authentic(body.encode())


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST}:8443{CERTIFICATE_PATH}",
        f"https://{HOST}.evil.test{CERTIFICATE_PATH}",
        f"https://charlie@{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST}@evil.test{CERTIFICATE_PATH}",
        f"https://evil.test/{HOST}{CERTIFICATE_PATH}",
        f"https://evil.test#{HOST}{CERTIFICATE_PATH}",
        f"https://evil.test\\@{HOST}{CERTIFICATE_PATH}",
        f"https://sns.evil.amazonaws.com{CERTIFICATE_PATH}",
        f"https://sns.evil.amazonaws.com.us-east-1.test{CERTIFICATE_PATH}",
        "https://sns-us-east-1.s3.amazonaws.com/charlie.pem",
        "https://s3.us-east-1.amazonaws.com/sns/charlie.pem",
        f"https://sns.us-east-1.s3.amazonaws.com{CERTIFICATE_PATH}",
        f"https://sns.us-east-1.amazonaws.com.cn{CERTIFICATE_PATH}",  # another partition
        f"https://ѕns.us-east-1.amazonaws.com{CERTIFICATE_PATH}",  # a Cyrillic letter
        f"https://sns.us-east-1.amazonaws。com{CERTIFICATE_PATH}",
        f"https://sns.us-east-1.amazonaws.com\n{CERTIFICATE_PATH}",
        f"https://{HOST}{CERTIFICATE_PATH}?x=.pem",
        f"https://{HOST}/charlie.key",
        f"https://{HOST}/",
        f"//{HOST}{CERTIFICATE_PATH}",
        "file:///etc/ssl/charlie.pem",
        "",
        None,
        ["https://sns.us-east-1.amazonaws.com/x.pem"],
    ],
)
def test_a_certificate_elsewhere_is_not_even_requested(amazon: Amazon, url: object) -> None:
    assert not is_authentic(notify(amazon.signer, SigningCertURL=url))
    assert amazon.requests == []


def test_a_redirect_is_not_followed(amazon: Amazon) -> None:
    amazon.serve("/other.pem", amazon.signer.pem)
    amazon.serve(CERTIFICATE_PATH, b"", 302, Location=f"https://{HOST}/other.pem")
    assert not is_authentic(notify(amazon.signer))
    assert amazon.requests == [f"{HOST}{CERTIFICATE_PATH}"]


def make_bad_signer(amazon: Amazon, kind: str) -> Holder:
    """Return a certificate that Charlie could make, or that is not valid now."""
    if kind == "expired":
        return amazon.make_signer("sns.amazonaws.com", days=(-30, -1))
    if kind == "not yet valid":
        return amazon.make_signer("sns.amazonaws.com", days=(1, 30))
    if kind == "other name":
        return amazon.make_signer("charlie.example.com")
    if kind == "other region":
        return amazon.make_signer("sns-signing.af-south-1.amazonaws.com")
    if kind == "self-signed":
        return make_certificate("sns.amazonaws.com", hosts=["sns.amazonaws.com"])
    stranger = make_certificate("Charlie's authority")
    if kind == "same issuer's name":
        stranger = make_certificate("Amazon RSA of the tests")
    return amazon.make_signer("sns.amazonaws.com", issuer=stranger)


@pytest.mark.parametrize(
    "kind",
    [
        "expired",
        "not yet valid",
        "other name",
        "other region",
        "self-signed",
        "untrusted issuer",
        "same issuer's name",
    ],
)
def test_a_certificate_that_is_not_amazons_is_not_authentic(amazon: Amazon, kind: str) -> None:
    signer = make_bad_signer(amazon, kind)
    amazon.serve(CERTIFICATE_PATH, signer.pem)
    assert not is_authentic(notify(signer))


def test_a_leaf_cannot_act_as_an_authority(amazon: Amazon) -> None:
    leaf = amazon.make_signer("charlie.example.com")
    signer = amazon.make_signer("sns.amazonaws.com", issuer=leaf, issuer_url=None)
    amazon.serve(CERTIFICATE_PATH, signer.pem + leaf.pem + amazon.issuer.pem)
    assert not is_authentic(notify(signer))


def test_a_file_with_the_whole_chain_needs_no_request_for_the_issuer(amazon: Amazon) -> None:
    amazon.serve(CERTIFICATE_PATH, amazon.signer.pem + amazon.issuer.pem)
    assert is_authentic(notify(amazon.signer))
    assert amazon.requests == [f"{HOST}{CERTIFICATE_PATH}"]


def test_an_issuer_elsewhere_is_not_requested(amazon: Amazon) -> None:
    url = f"http://{HOST}.evil.test{ISSUER_PATH}"
    signer = amazon.make_signer("sns.amazonaws.com", issuer_url=url)
    amazon.serve(CERTIFICATE_PATH, signer.pem)
    assert not is_authentic(notify(signer))
    assert amazon.requests == [f"{HOST}{CERTIFICATE_PATH}"]


def test_a_regional_certificate_is_amazons_in_its_region(amazon: Amazon) -> None:
    signer = amazon.make_signer("sns-signing.us-east-1.amazonaws.com", HOST)
    amazon.serve(CERTIFICATE_PATH, signer.pem)
    assert is_authentic(notify(signer))


def test_a_certificate_without_an_rsa_key_is_not_authentic(amazon: Amazon) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    amazon.serve(CERTIFICATE_PATH, amazon.make_signer("sns.amazonaws.com", key=key).pem)
    assert not is_authentic(notify(amazon.signer))


@pytest.mark.parametrize("content", [b"", b"<Error/>", b"x" * 1_000_000], ids=["no", "xml", "huge"])
def test_a_file_that_is_no_certificate_is_not_authentic(amazon: Amazon, content: bytes) -> None:
    amazon.serve(CERTIFICATE_PATH, content)
    assert not is_authentic(notify(amazon.signer))


def test_a_missing_certificate_is_not_authentic(amazon: Amazon) -> None:
    del amazon.pages[CERTIFICATE_PATH]
    assert not is_authentic(notify(amazon.signer))


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("path", [CERTIFICATE_PATH, ISSUER_PATH])
def test_an_outage_at_amazon_is_no_rejection(amazon: Amazon, path: str, status: int) -> None:
    amazon.serve(path, b"", status)
    with pytest.raises(ProviderUnavailable):
        is_authentic(notify(amazon.signer))


@pytest.mark.parametrize("status", [302, 403, 404])
def test_a_network_without_a_way_to_the_issuer_is_an_outage(amazon: Amazon, status: int) -> None:
    """A proxy answers for the issuer's host, because the deployment does not allow it."""
    amazon.serve(ISSUER_PATH, b"", status, Location=f"https://{HOST}/")
    with pytest.raises(ProviderUnavailable):
        is_authentic(notify(amazon.signer))
    amazon.serve(ISSUER_PATH, b"<html>Not allowed</html>")
    sns_certificates.forget_signing_keys()
    with pytest.raises(ProviderUnavailable):
        is_authentic(notify(amazon.signer))


def test_an_unknown_host_is_an_outage(amazon: Amazon) -> None:
    url = "https://sns.eu-west-1.amazonaws.com/x.pem"
    with pytest.raises(ProviderUnavailable):
        is_authentic(notify(amazon.signer, SigningCertURL=url))


def test_tls_without_a_trusted_certificate_is_an_outage(
    amazon: Amazon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pem").write_bytes(make_certificate("Another authority").pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(ProviderUnavailable):
        is_authentic(notify(amazon.signer))
    assert amazon.requests == []


def test_a_failure_is_cached_for_a_short_time(
    amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    amazon.serve(CERTIFICATE_PATH, b"", 503)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            is_authentic(notify(amazon.signer))
    assert len(amazon.requests) == 1
    amazon.serve(CERTIFICATE_PATH, amazon.signer.pem)
    sns_certificates.forget_signing_keys()  # as after ten seconds
    assert is_authentic(notify(amazon.signer))


def serve_slowly(amazon: Amazon, *, dribble: bool) -> None:
    """Send nothing, or the certificate byte by byte, until the test ends."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if dribble:
            request.send_response(200)
            request.end_headers()
        for byte in amazon.signer.pem:
            if amazon.stopped.wait(0.1):
                return
            if dribble:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()

    amazon.pages[CERTIFICATE_PATH] = answer


@pytest.mark.parametrize("dribble", [False, True], ids=["silent", "dribble"])
def test_a_slow_server_is_an_outage(
    amazon: Amazon, monkeypatch: pytest.MonkeyPatch, dribble: bool
) -> None:
    monkeypatch.setattr(sns_fetch, "FETCH_SECONDS", 0.5)
    serve_slowly(amazon, dribble=dribble)
    begin = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        is_authentic(notify(amazon.signer))
    assert time.monotonic() - begin < 5  # the file would take minutes


def test_too_many_waiting_requests_are_an_outage(
    amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sns_fetch, "MAX_PENDING_FETCHES", 0)
    with pytest.raises(ProviderUnavailable, match="too many"):
        is_authentic(notify(amazon.signer))


def subscribe(signer: Holder, **fields: Any) -> bytes:
    return sign_message(signer.key, make_message("SubscriptionConfirmation", **fields))


def test_an_authentic_subscription_is_confirmed(amazon: Amazon) -> None:
    amazon.serve("/", b"<ConfirmSubscriptionResponse/>")
    body = subscribe(amazon.signer)
    assert is_authentic(body)
    confirm(body)
    assert amazon.requests[-1] == f"{HOST}/?Action=ConfirmSubscription&Token=2336412f37f"
    assert PROVIDER.unwrap(body) == b"[]"


def test_other_messages_confirm_nothing(amazon: Amazon) -> None:
    leave = sign_message(amazon.signer.key, make_message("UnsubscribeConfirmation"))
    assert is_authentic(leave)
    asked = len(amazon.requests)
    for body in (leave, notify(amazon.signer), b"{}", b"garbage", b"\xff"):
        confirm(body)
    assert len(amazon.requests) == asked
    assert PROVIDER.unwrap(leave) == b"[]"


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/?Action=ConfirmSubscription",
        f"https://{HOST}:444/?Action=ConfirmSubscription",
        f"https://{HOST}.evil.test/?Action=ConfirmSubscription",
        f"https://charlie@{HOST}/?Action=ConfirmSubscription",
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",  # not the same host
        "https://evil.test/",
        "",
    ],
)
def test_a_subscription_elsewhere_is_not_confirmed(amazon: Amazon, url: str) -> None:
    body = subscribe(amazon.signer, SubscribeURL=url)
    assert not is_authentic(body)
    confirm(body)
    assert amazon.requests == []


@pytest.mark.parametrize("status", [302, 400, 403, 500])
def test_a_failed_confirmation_is_an_outage(amazon: Amazon, status: int) -> None:
    amazon.serve("/", b"", status, Location=f"https://{HOST}/elsewhere")
    with pytest.raises(ProviderUnavailable):
        confirm(subscribe(amazon.signer))
    assert amazon.requests == [f"{HOST}/?Action=ConfirmSubscription&Token=2336412f37f"]


def test_a_huge_confirmation_is_an_outage(amazon: Amazon) -> None:
    amazon.serve("/", b"x" * 1_000_000)
    with pytest.raises(ProviderUnavailable):
        confirm(subscribe(amazon.signer))


def test_a_secret_does_not_replace_a_signature(amazon: Amazon) -> None:
    secret = "s" * 16
    headers = {
        "X-AMZ-SNS-RAWDELIVERY": "true",
        "AUTHORIZATION": f"Basic {base64.b64encode(f'matchback:{secret}'.encode()).decode()}",
    }
    key = f"{TOPIC}#{secret}"
    assert is_authentic(b'{"eventType": "Open"}', key, **headers)
    forged = json.dumps(make_message("SubscriptionConfirmation", Signature="AAAA")).encode()
    assert not is_authentic(forged, key, **headers)
    assert is_authentic(subscribe(amazon.signer), key, **headers)
