"""Every provider's webhook accepts what senders, proxies and people change on the way."""

import gzip
import time
import tracemalloc
import zlib

import pytest
from mongoengine import get_db

from documents.providers.provider import MAX_POST_BYTES
from documents.providers.registry import PROVIDERS
from tools.testbed.cast import UNKNOWN_ID, University
from tools.testbed.provider_requests import SENDERS, post_signed, set_provider_key, sign_post

BODY = b"{}"
every_provider = pytest.mark.parametrize("provider", PROVIDERS)


def stored() -> int:
    return int(get_db().deliveries.count_documents({}))


def ready(alice: University, provider: str) -> str:
    """Set the key. Return the path of the webhook."""
    assert set_provider_key(alice, provider).status == 200
    return f"/v1/webhooks/{provider}/{alice.id}"


@every_provider
@pytest.mark.parametrize("change", ["{}", "{}/", "{}//", "{}/?a=1", "/{}", "{}?a=%ff&a=1"])
def test_slashes_and_queries_change_nothing(alice: University, provider: str, change: str) -> None:
    path = change.format(ready(alice, provider))
    answer = post_signed(alice, provider, BODY, path)
    assert answer.status == 202, answer.content
    assert stored() == 1


@every_provider
def test_repeated_slashes_inside_a_url_change_nothing(alice: University, provider: str) -> None:
    path = ready(alice, provider).replace("/", "//")
    assert post_signed(alice, provider, BODY, path).status == 202


def test_other_paths_keep_their_slashes(alice: University) -> None:
    assert alice.call("GET", "/v1//fundraisers").status == 404


@every_provider
@pytest.mark.parametrize(
    "authorization", ["Bearer mb_x", "Bearer token", "Basic dTpw", "Basic", "OAuth \xe9", ""]
)
def test_an_authorization_of_the_provider_disturbs_no_signature(
    alice: University, provider: str, authorization: str
) -> None:
    path = ready(alice, provider)
    headers, body = sign_post(alice, provider, BODY)
    if "Authorization" in headers:
        return  # this provider proves itself by the header
    headers["Authorization"] = authorization
    assert alice.api.call("POST", path, body=body, headers=headers).status == 202


@every_provider
@pytest.mark.parametrize("media", ["", "text/plain", "application/json; charset=utf-8", "x", "a/b"])
def test_any_media_type_is_accepted(alice: University, provider: str, media: str) -> None:
    path = ready(alice, provider)
    headers, body = sign_post(alice, provider, BODY)
    headers["Content-Type"] = media
    assert alice.api.call("POST", path, body=body, headers=headers).status == 202


@every_provider
@pytest.mark.parametrize("coding", ["gzip", "GZIP", " x-gzip ", "identity", "Identity"])
def test_the_signature_covers_the_decoded_body(
    alice: University, provider: str, coding: str
) -> None:
    path = ready(alice, provider)
    headers, body = sign_post(alice, provider, BODY)
    sent = body if "identity" in coding.lower() else gzip.compress(body)
    headers["Content-Encoding"] = coding
    assert alice.api.call("POST", path, body=sent, headers=headers).status == 202
    assert len(bytes(get_db().deliveries.find_one({})["body"])) < len(body) + 1


def post_gzip(place: University, body: bytes, provider: str = "sendgrid") -> int:
    path = f"/v1/webhooks/{provider}/{place.id}"
    headers = {"Content-Encoding": "gzip"}
    return place.api.call("POST", path, body=body, headers=headers).status


@every_provider
def test_a_damaged_gzip_body_is_400(alice: University, provider: str) -> None:
    whole = gzip.compress(b'[{"event": "open"}]' * 10)
    damaged = [whole[:-1], whole[:10], b"\x1f\x8b\x08", b"{}", b"", whole + b"x"]
    damaged += [whole[:20] + bytes([whole[20] ^ 0xFF]) + whole[21:]]
    damaged += [zlib.compress(b"{}"), whole[:-8] + bytes(8)]
    for body in damaged:
        assert post_gzip(alice, body, provider) == 400, body
    assert stored() == 0


def test_several_gzip_members_are_one_body(alice: University) -> None:
    path = ready(alice, "sendgrid")
    headers, body = sign_post(alice, "sendgrid", b'[{"event": "open"}]')
    sent = gzip.compress(body[:5]) + gzip.compress(b"") + gzip.compress(body[5:])
    headers["Content-Encoding"] = "gzip"
    assert alice.api.call("POST", path, body=sent, headers=headers).status == 202


def test_a_gzip_bomb_costs_little(alice: University) -> None:
    bomb = gzip.compress(b" " * (500 * MAX_POST_BYTES))
    assert len(bomb) < MAX_POST_BYTES
    tracemalloc.start()
    began = time.process_time()
    assert post_gzip(alice, bomb) == 413
    assert time.process_time() - began < 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * MAX_POST_BYTES
    members = gzip.compress(b"") * (MAX_POST_BYTES // 20)
    began = time.process_time()
    assert post_gzip(alice, members) == 400
    assert time.process_time() - began < 1


def test_the_limit_applies_to_the_decoded_body(alice: University) -> None:
    assert post_gzip(alice, gzip.compress(b" " * MAX_POST_BYTES)) == 401
    assert post_gzip(alice, gzip.compress(b" " * (MAX_POST_BYTES + 1))) == 413


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "identity, gzip", "x"])
def test_other_codings_are_415(alice: University, coding: str) -> None:
    path = ready(alice, "sendgrid")
    headers, body = sign_post(alice, "sendgrid", b"[]")
    headers["Content-Encoding"] = coding
    assert alice.api.call("POST", path, body=body, headers=headers).status == 415


def test_other_routes_accept_no_coding(alice: University) -> None:
    for path in ("/v1/users", "/v1/webhook-keys/sendgrid", "/v1/webhooksx", "/dashboard/sign-in"):
        headers = {"Content-Encoding": "gzip"}
        assert alice.call("POST", path, body=gzip.compress(b"{}"), headers=headers).status == 415


@every_provider
def test_a_check_of_the_url_reveals_nothing(alice: University, provider: str) -> None:
    """Mandrill sends HEAD before it accepts a URL, and Mailchimp sends GET."""
    for setting in (False, True):
        if setting:
            ready(alice, provider)
        answers = []
        for id_ in (alice.id, UNKNOWN_ID, "x"):
            for end in ("", "/", "?a=%ff", "//"):
                path = f"/v1/webhooks/{provider}/{id_}{end}"
                got, head = alice.api.call("GET", path), alice.api.call("HEAD", path)
                assert (head.status, head.content) == (200, b"")
                answers.append((got.status, got.content))
        assert set(answers) == {(200, f'{{"provider":"{provider}"}}'.encode())}
    assert stored() == 0


PEM = "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n"
PASTES = {
    "spaces": "  {}\t ",
    "Windows": "\r\n{}\r\n",
    "quotes": '"{}"',
    "single quotes": "'{}'\n",
    "typographic quotes": "“{}”",
    "zero width": "\u200b\ufeff{}\u2060\u200e",
    "no-break space": "\u00a0{}\u202f",
    "PEM": PEM,
    "Windows PEM": PEM.replace("\n", "\r\n"),
    "escaped PEM": PEM.replace("\n", "\\n"),
    "quoted PEM": f'"{PEM}"',
    "padded": "{}" + " " * 600,
}


@every_provider
@pytest.mark.parametrize("paste", PASTES)
def test_a_pasted_key_works(alice: University, provider: str, paste: str) -> None:
    key = SENDERS[provider].key
    half = len(key) // 2
    for text in (PASTES[paste].format(key), PASTES[paste].format(f"{key[:half]}\r\n{key[half:]}")):
        answer = set_provider_key(alice, provider, text)
        assert answer.status == 200, answer.content
        assert post_signed(alice, provider, BODY).status == 202
    assert "BEGIN" not in str(alice.get(f"/v1/webhook-keys/{provider}"))


@every_provider
def test_a_key_has_at_most_1000_characters(alice: University, provider: str) -> None:
    key = SENDERS[provider].key
    assert set_provider_key(alice, provider, key.ljust(1000)).status == 200
    for wrong in (key.ljust(1001), " ", "\u200b", "-----BEGIN PUBLIC KEY-----"):
        assert set_provider_key(alice, provider, wrong).status == 422
