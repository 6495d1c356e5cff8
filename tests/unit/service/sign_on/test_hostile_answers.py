"""A provider that answers too much, too late, with other content, or points elsewhere."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from config.settings import get_settings
from documents.errors import Unacceptable
from documents.sign_on import connection, fetching, request_slots
from documents.sign_on.discovery import discover_provider, forget_metadata
from documents.sign_on.fetching import fetch_object, forget_failures, send_request
from documents.sign_on.rejections import SignOnReason
from documents.sign_on.request_slots import count_requests_for
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.begin import begin_sign_in
from service.sign_on.finish import SignedOn
from tests.unit.service.sign_on.conftest import ALICES_UNIVERSITY, BROWSER, find_reason
from tools.testbed.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    Reply,
    reply_with,
    run_identity_provider,
)
from tools.testbed.tls import make_certificate

SignIn = Callable[..., SignedOn]
DISCOVERY_PATH = "/.well-known/openid-configuration"
QUICK_SECONDS = 0.5
MALLORYS = ObjectId("b" * 24)
REPLIES: dict[str, tuple[Reply, SignOnReason]] = {
    "10 MB": (Reply(200, b" " * 65536, parts=160), "provider_answer"),
    "HTML": (Reply(200, b"<html>", {"content-type": "text/html"}), "provider_answer"),
    "redirect": (Reply(302, b"", {"location": "http://127.0.0.1:1/"}), "provider_answer"),
    "permanent redirect": (Reply(308, b"", {"location": "/keys"}), "provider_answer"),
    "500": (Reply(500, b"{}"), "provider_unavailable"),
    "429": (Reply(429, b"{}"), "provider_unavailable"),
    "404": (Reply(404, b"nothing"), "provider_answer"),
    "a list": (Reply(200, b"[]"), "provider_answer"),
    "deep JSON": (Reply(200, b'{"a":' * 5000 + b"1" + b"}" * 5000), "provider_answer"),
    "empty": (Reply(200), "provider_answer"),
    "compressed": (Reply(200, b"\x1f\x8b", {"content-encoding": "gzip"}), "provider_answer"),
    "dripping": (Reply(200, b" ", parts=10_000, pause_seconds=0.05), "provider_unavailable"),
    "silent": (Reply(200, b"{}", pause_seconds=60.0), "provider_unavailable"),
}
ENDLESS = ("dripping", "silent")


@pytest.mark.parametrize("name", REPLIES)
def test_a_token_endpoint_cannot_harm(
    name: str, sign_in: SignIn, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    discover_provider(idp.issuer)
    if name in ENDLESS:
        monkeypatch.setattr(fetching, "FETCH_SECONDS", QUICK_SECONDS)
    idp.replies["/token"], reason = REPLIES[name]
    assert find_reason(sign_in) == reason
    assert idp.requests.count(("POST", "/token")) == 1  # not followed, and not repeated


@pytest.mark.parametrize("path", [DISCOVERY_PATH, "/keys"])
@pytest.mark.parametrize("name", ["10 MB", "HTML", "redirect", "500", "deep JSON", "silent"])
def test_other_endpoints_cannot_harm(
    name: str,
    path: str,
    sign_in: SignIn,
    idp: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name in ENDLESS:
        monkeypatch.setattr(fetching, "FETCH_SECONDS", QUICK_SECONDS)
    idp.replies[path], reason = REPLIES[name]
    assert find_reason(sign_in) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": "invalid_grant"}, "code_rejected"),
        ({"error": "invalid_client", "error_description": "<script>"}, "client_rejected"),
        ({"error": ["invalid_grant"]}, "client_rejected"),
        ({}, "provider_answer"),
        ({"id_token": None}, "provider_answer"),
        ({"id_token": ["a.b.c"]}, "provider_answer"),
        ({"id_token": ""}, "token_malformed"),
    ],
)
def test_an_answer_without_a_token_is_rejected(
    answer: dict[str, Any], reason: str, sign_in: SignIn, idp: IdentityProvider
) -> None:
    idp.replies["/token"] = reply_with(answer, 400 if "error" in answer else 200)
    assert find_reason(sign_in) == reason


@pytest.mark.parametrize("name", ["expires_in", "expires_at", "scope", "refresh_token", "self"])
@pytest.mark.parametrize("value", ["soon", "1e5", [1], {"a": 1}, 10**300, -1, True, None])
def test_a_field_that_no_sign_in_needs_is_ignored(
    name: str, value: Any, sign_in: SignIn, idp: IdentityProvider
) -> None:
    idp.more_tokens = {name: value}
    assert sign_in()


@pytest.mark.parametrize("status", [400, 401, 403, 418])
def test_tokens_in_an_answer_that_reports_an_error_are_rejected(
    status: int, sign_in: SignIn, idp: IdentityProvider
) -> None:
    idp.token_status = status
    assert find_reason(sign_in) == "provider_answer"


def test_a_provider_that_hangs_up_is_reported(idp: IdentityProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert find_reason(lambda: fetch_object(url)) == "provider_unavailable"
        thread.join()
    assert find_reason(lambda: fetch_object(url)) == "provider_unavailable"  # no server any more


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_server_of_another_protocol_is_reported(answer: bytes, sign_on_settings: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client, suppress(ConnectionError):
                client.recv(65536)
                client.sendall(answer + b"x" * 200_000)
                client.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert find_reason(lambda: fetch_object(url)) == "provider_unavailable"
        thread.join()


DISCOVERY_CASES: list[tuple[dict[str, Any], SignOnReason]] = [
    ({"issuer": "https://evil.example.com"}, "provider_issuer"),
    ({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "provider_issuer"),
    ({"issuer": None}, "provider_issuer"),
    ({"token_endpoint": "http://169.254.169.254/latest/meta-data"}, "provider_address"),
    ({"token_endpoint": "https://169.254.169.254/"}, "provider_address"),
    ({"token_endpoint": "https://[::ffff:169.254.169.254]/"}, "provider_address"),
    ({"token_endpoint": "https://2852039166/"}, "provider_address"),
    ({"jwks_uri": "https://10.0.0.5/keys"}, "provider_address"),
    ({"jwks_uri": "https://[::1]/keys"}, "provider_address"),
    ({"jwks_uri": "http://keys.example.edu/"}, "provider_address"),
    ({"jwks_uri": "file:///etc/passwd"}, "provider_address"),
    ({"userinfo_endpoint": "https://metadata:80@10.0.0.1/"}, "provider_address"),
    ({"end_session_endpoint": "https://192.168.1.1/"}, "provider_address"),
    ({"authorization_endpoint": "javascript:alert(1)"}, "provider_address"),
    ({"authorization_endpoint": "https://idp.example.edu/#x"}, "provider_address"),
    ({"authorization_endpoint": "https://idp.example.edu/\r\nx: y"}, "provider_address"),
    ({"authorization_endpoint": 5}, "provider_metadata"),
    ({"token_endpoint": None}, "provider_metadata"),
    ({"jwks_uri": ""}, "provider_address"),
    ({"response_types_supported": ["id_token"]}, "provider_metadata"),
    ({"response_types_supported": "code"}, "provider_metadata"),
]


@pytest.mark.parametrize(("entries", "reason"), DISCOVERY_CASES, ids=lambda one: str(one)[:70])
def test_hostile_metadata_is_rejected(
    entries: dict[str, Any], reason: str, university: SignOnProvider, idp: IdentityProvider
) -> None:
    idp.metadata |= entries
    assert find_reason(lambda: begin_sign_in(university, BROWSER)) == reason


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "[::1]", "app.localhost"])
def test_no_loopback_address_is_reached_without_the_setting(
    host: str, university: SignOnProvider, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS")
    get_settings.cache_clear()
    for scheme in ("http", "https"):
        issuer = f"{scheme}://{host}:{idp.issuer.rpartition(':')[2]}"
        assert find_reason(partial(fetch_object, issuer)) == "provider_address"
        with pytest.raises(Unacceptable):
            SignOnProvider.put(ALICES_UNIVERSITY, issuer, CLIENT_ID, CLIENT_SECRET)
    assert idp.requests == []


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["10.0.0.5"], ["169.254.169.254", "::1"]])
def test_a_name_with_a_private_address_is_not_connected_to(
    addresses: list[str], sign_on_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "127.0.0.1/32")
    get_settings.cache_clear()
    monkeypatch.setattr(connection, "resolve_host", lambda host, port: addresses)
    assert find_reason(lambda: fetch_object("https://idp.example.edu/")) == "provider_address"


def test_http_reaches_loopback_only(
    sign_on_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "10.0.0.0/8, 127.0.0.1/32")
    get_settings.cache_clear()
    for url in ("http://10.0.0.5/", "http://idp.example.edu/", "http://127.0.0.2/"):
        assert find_reason(partial(fetch_object, url)) == "provider_address"
    monkeypatch.setattr(connection, "resolve_host", lambda host, port: ["10.0.0.5"])
    assert find_reason(lambda: fetch_object("http://localhost/")) == "provider_address"


def test_a_name_that_changes_its_address_is_checked_again(
    idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    monkeypatch.setattr(connection, "resolve_host", lambda host, port: answers.pop(0))
    url = idp.issuer.replace("127.0.0.1", "localhost") + "/keys"
    assert fetch_object(url)["keys"]
    assert find_reason(lambda: fetch_object(url)) == "provider_address"


def test_a_certificate_must_be_trusted_and_fit(
    sign_on_settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_certificate(tmp_path)
    with run_identity_provider(files) as provider:
        url = f"{provider.issuer}/keys"
        fetching._make_tls_context.cache_clear()
        assert find_reason(lambda: fetch_object(url)) == "provider_unavailable"
        forget_failures()
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
        fetching._make_tls_context.cache_clear()
        assert fetch_object(url)["keys"]
        of_another_name = url.replace("127.0.0.1", "localhost")
        assert find_reason(lambda: fetch_object(of_another_name)) == "provider_unavailable"
        assert provider.requests == [("GET", "/keys")]
    fetching._make_tls_context.cache_clear()


def test_a_slow_resolver_ends_at_the_deadline(
    sign_on_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.1)
    ended = threading.Event()
    monkeypatch.setattr(connection, "resolve_host", lambda host, port: ended.wait(10) and [])
    assert find_reason(lambda: fetch_object("http://localhost/")) == "provider_unavailable"
    ended.set()


def test_a_proxy_of_the_environment_is_not_used(
    idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_identity_provider() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.issuer)
        discover_provider(idp.issuer)
        assert proxy.requests == []


def fetch_for(organization_id: ObjectId, url: str) -> dict[str, Any]:
    with count_requests_for(organization_id):
        return fetch_object(url)


def test_a_slow_provider_delays_no_other(
    idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests to one provider wait, and a third gets an answer at once."""
    monkeypatch.setattr(request_slots, "MAX_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 60.0)
    ended = threading.Event()
    idp.replies["/slow"] = Reply(200, b"{}", until=ended)
    slow = [
        threading.Thread(target=lambda: fetch_for(MALLORYS, f"{idp.issuer}/slow"))
        for _ in range(request_slots.MAX_REQUESTS_EACH)
    ]
    for thread in slow:
        thread.start()
    while idp.requests.count(("GET", "/slow")) < len(slow):
        time.sleep(0.01)
    keys = f"{idp.issuer}/keys"
    assert find_reason(lambda: fetch_for(MALLORYS, keys)) == "provider_busy"
    assert fetch_for(ALICES_UNIVERSITY, keys)  # another organization with the same provider
    with run_identity_provider() as other:
        assert discover_provider(other.issuer)
    ended.set()
    for thread in slow:
        thread.join()
    assert fetch_for(MALLORYS, keys)


def test_a_provider_that_hangs_on_every_port_and_in_dns_delays_no_other_organization(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory's requests hang for a minute. Alice's sign-in needs four requests meanwhile."""
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 60.0)
    ended, looked_up = threading.Event(), threading.Semaphore(0)

    def hang(host: str, port: int) -> list[str]:
        if host.endswith("mallory.example"):
            looked_up.release()
            ended.wait(60)
        return ["127.0.0.1"]

    monkeypatch.setattr(connection, "resolve_host", hang)
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
    urls = [f"https://{number}.mallory.example/" for number in range(12)]
    urls += [f"http://127.0.0.1:{one.getsockname()[1]}/" for one in ports]
    with ThreadPoolExecutor(len(urls)) as pool:
        asked = [pool.submit(find_reason, partial(fetch_for, MALLORYS, url)) for url in urls]
        for _ in range(request_slots.MAX_LOOKUPS_EACH):
            assert looked_up.acquire(timeout=30)
        while sum(not one.done() for one in asked) > request_slots.MAX_REQUESTS:
            time.sleep(0.01)
        assert sign_in().person.address == "alice@example.edu"
        is_hanging = sum(not one.done() for one in asked)
        ended.set()
        for one in ports:
            one.close()
        assert {one.result() for one in asked} <= {"provider_busy", "provider_unavailable"}
    assert is_hanging >= request_slots.MAX_REQUESTS_EACH


def test_a_lookup_keeps_its_place_until_it_ends(
    sign_on_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The requests have ended at their deadline, but the resolver still works on them."""
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.05)
    ended = threading.Event()
    monkeypatch.setattr(connection, "resolve_host", lambda host, port: ended.wait(60) and [])
    for number in range(request_slots.MAX_LOOKUPS_EACH):
        url = f"https://{number}.mallory.example/"
        assert find_reason(partial(fetch_for, MALLORYS, url)) == "provider_unavailable"
    url = "https://another.mallory.example/"
    assert find_reason(partial(fetch_for, MALLORYS, url)) == "provider_busy"
    alices = "https://idp.example.edu/"
    assert find_reason(partial(fetch_for, ALICES_UNIVERSITY, alices)) == "provider_unavailable"
    ended.set()


def test_a_failure_counts_for_some_seconds(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    idp.replies[DISCOVERY_PATH] = Reply(503)
    for _ in range(20):
        assert find_reason(lambda: begin_sign_in(university, BROWSER)) == "provider_unavailable"
    assert idp.requests == [("GET", DISCOVERY_PATH)]
    del idp.replies[DISCOVERY_PATH]
    with count_requests_for(ALICES_UNIVERSITY):
        assert discover_provider(idp.issuer, is_fresh=True)  # an admin checks it
    assert begin_sign_in(university, BROWSER)


def test_a_failure_counts_for_one_organization_and_one_method(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    """Mallory's provider names an endpoint of Alice's, which answers other requests only."""
    idp.replies["/token"] = Reply(500)
    url = f"{idp.issuer}/token"
    assert find_reason(partial(fetch_for, MALLORYS, url)) == "provider_unavailable"
    with count_requests_for(ALICES_UNIVERSITY):
        assert find_reason(partial(fetch_object, url)) == "provider_unavailable"
        del idp.replies["/token"]
        assert send_request("POST", url).status == 401
    assert find_reason(partial(fetch_for, MALLORYS, url)) == "provider_unavailable"
    assert idp.requests.count(("GET", "/token")) == 2


def test_a_fresh_discovery_reads_the_provider_again(idp: IdentityProvider) -> None:
    discover_provider(idp.issuer)
    idp.metadata["end_session_endpoint"] = f"{idp.issuer}/another"
    assert discover_provider(idp.issuer).end_session_endpoint == f"{idp.issuer}/end"
    fresh = discover_provider(idp.issuer, is_fresh=True)
    assert fresh.end_session_endpoint == f"{idp.issuer}/another"
    forget_metadata()
