"""Clients that are slow, huge, malformed or odd, over raw sockets, on every kind of path.

Each case runs with and without Alice's key. Meanwhile, Charlie works at another university.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice

import psutil
import pytest

from tests.system.service.wire import NDJSON, Wire, chunked, head, sized, wire
from tools.testbed.cast import BOB, UNKNOWN_ID, University, create_university, sign_webhook
from tools.testbed.shared_stack import restarted_web
from tools.testbed.stack import Stack

HOOK = f"/v1/webhooks/stripe/{UNKNOWN_ID}"
PAYMENTS = f"/v1/webhooks/payments/{UNKNOWN_ID}"
IMPORT = "/v1/emails/import"
PATHS = (HOOK, PAYMENTS, IMPORT, "/v1/donations", "/v1/nothing", "/dashboard/sign-in", "/readyz")
AGREE_PATHS = ("/v1/donations", "/v1/users", HOOK, IMPORT, "/v1/nothing", "/dashboard/sign-in")
PATIENCE_MILLISECONDS = 3_000  # a limit for hangs; the machine may be busy
DRIP_SECONDS = 0.5
CUT_OFF = {400, 0}  # 0: the reset arrived before the response, because the client was still sending
PLAIN = b"Invalid HTTP request received."  # uvicorn's own response


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own universities."""
    return shared_stack


@pytest.fixture
def alice(stack: Stack) -> University:
    return create_university("Alice's University", stack.api())


@pytest.fixture
def charlie(stack: Stack) -> University:
    return create_university("Charlie's University", stack.api())


@contextmanager
def dripping(stack: Stack, requests: list[bytes]) -> Iterator[list[Wire]]:
    """Open connections that send these bytes, then a space every half second."""
    with ExitStack() as opened:
        wires = [opened.enter_context(wire(stack, request)) for request in requests]
        is_over = threading.Event()

        def drip() -> None:
            while not is_over.wait(DRIP_SECONDS):
                for each in wires:
                    try:
                        each.socket.send(b" ")
                    except OSError:  # the server has closed it
                        continue

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield wires
        finally:
            is_over.set()
            thread.join()


def line(fundraiser: str, number: int) -> bytes:
    user = {"name": "Bob", "email": f"bob{number}@example.edu"}
    return json.dumps({"fundraiser_id": fundraiser, "user": user}).encode() + b"\n"


def longest_of(stack: Stack, place: University, times: int = 15) -> float:
    """Return the longest duration of some `/readyz` requests and gifts, in milliseconds."""
    fundraiser, took = place.fundraiser(), []
    for _ in range(times):
        for ask in (lambda: stack.api().call("GET", "/readyz"), lambda: place.gift(fundraiser)):
            began = time.perf_counter()
            ask()
            took.append((time.perf_counter() - began) * 1000)
    return max(took)


def cpu_seconds(stack: Stack) -> float:
    times = [one.cpu_times() for one in psutil.Process(stack.pid("web")).children()]
    return sum(each.user + each.system for each in times)


# Slow clients


def test_slow_bodies_on_any_path_block_nothing(
    stack: Stack, alice: University, charlie: University
) -> None:
    requests = []
    for path in PATHS:
        for media in (NDJSON, "application/json", "application/x-www-form-urlencoded"):
            # Alice's imports are streamed, and have their own test.
            for key in (None,) if path == IMPORT else (None, alice):
                length = f"Content-Length: {1_000_000}"
                requests.append(head(path, length, media=media, key=key) + b" ")
                requests.append(chunked(path, b"fffff\r\n ", media=media, key=key))
    for number in (16, 40, 200):
        some = list(islice(cycle(requests), number))
        with dripping(stack, some):
            assert longest_of(stack, charlie) < PATIENCE_MILLISECONDS


def test_slow_imports_never_fail_another_organizations(
    stack: Stack, alice: University, charlie: University
) -> None:
    number = 40
    begun = chunked(IMPORT, b"fffff\r\n{", media=NDJSON, key=alice)
    fundraiser = charlie.fundraiser()
    with dripping(stack, [begun] * number) as slow:
        for count in range(3):
            body = b"".join(line(fundraiser, count * 10 + each) for each in range(10))
            headers = {"Content-Type": NDJSON}
            answer = charlie.call("POST", IMPORT, body=body, headers=headers)
            assert (answer.status, answer.json["created"]) == (200, 10)
        assert longest_of(stack, charlie, 5) < PATIENCE_MILLISECONDS
        for each in slow:
            each.socket.settimeout(1)
        told = [status(each) for each in slow]
    # Alice has four places in each of two processes.
    assert told.count(503) >= number - 8


def status(connection: Wire) -> int:
    try:
        return connection.answer().status
    except TimeoutError:
        return 0


def test_bodies_and_heads_have_an_overall_deadline(stack: Stack, alice: University) -> None:
    """The interval between bytes does not matter."""
    requests = [
        head(path, "Content-Length: 100000", media=media, key=key) + b" "
        for path in PATHS
        for media in (NDJSON, "application/json")
        for key in (None, alice)
        if (path, media) != (IMPORT, "application/json")  # immediate response: 415
    ]
    requests += [b"GET /v1/users HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: x\r\nX:"]
    with restarted_web(stack, MATCHBACK_REQUEST_SECONDS="2"):
        began = time.monotonic()
        with dripping(stack, requests) as slow:
            statuses = {each.answer().status for each in slow}
        # An import without a key gets a response before its body. Slow heads are closed.
        assert statuses == {408, 401, 0}
        assert time.monotonic() - began < 15


def test_a_silent_connection_is_closed(stack: Stack) -> None:
    with restarted_web(stack, MATCHBACK_REQUEST_SECONDS="1"), ExitStack() as clients:
        began = time.monotonic()
        starts = (b"", b"\r\n", b"GET /v1/us", b"PRI * HTTP/2.0\r\n\r\n")
        for silent in [clients.enter_context(wire(stack, sent)) for sent in starts]:
            assert silent.rest() == b""
            assert time.monotonic() - began < 10


# Costly requests


def test_one_byte_chunks_take_linear_time(stack: Stack, alice: University) -> None:
    def cost(path: str, key: University | None, number: int) -> float:
        before = cpu_seconds(stack)
        chunks = b"1\r\n \r\n" * number + b"0\r\n\r\n"
        with wire(stack, head(path, "Transfer-Encoding: chunked", media=NDJSON, key=key)) as one:
            with suppress(OSError):  # answered, and closed
                one.send(chunks)
            assert one.answer().status in {200, 400, 401, 404, 415}
        return cpu_seconds(stack) - before

    for path in ("/v1/donations", HOOK, IMPORT, "/v1/nothing"):
        for key in (alice, None):
            cost(path, key, 1_000)
            small, large = cost(path, key, 100_000), cost(path, key, 333_333)  # 2 MB on the wire
            assert small < 0.5
            assert large < 1.5
            assert large < 6 * max(small, 0.1)


def test_endless_trailers_are_cut_off(stack: Stack, alice: University) -> None:
    """Trailers do not belong to the body, so limits on bodies do not cover them."""
    for path, key in (("/v1/donations", alice), (IMPORT, alice), (HOOK, None)):
        for endless in (b"X: a\r\n" * 1000, b"X: " + b"a" * 8000):
            begun = chunked(path, b"2\r\n{}\r\n0\r\n", media=NDJSON, key=key)
            with wire(stack, begun) as client, suppress(OSError):
                for _ in range(1000):
                    client.send(endless)
                pytest.fail("the server read 7 MB of trailers")


def test_a_body_in_one_byte_segments_is_read(stack: Stack, alice: University) -> None:
    body = b'{"name":"Spring","goal":{"amount":100,"currency":"USD"}}' + b" " * 3000
    for path, media, expected in (
        ("/v1/fundraisers", "application/json", 201),
        (IMPORT, NDJSON, 200),
    ):
        request = sized(path, body, "Connection: close", media=media, key=alice)
        with wire(stack) as slow:
            slow.socket.setsockopt(6, 1, 1)  # TCP_NODELAY
            for byte in request:
                slow.send(bytes([byte]))
            assert slow.answer().status == expected


def test_a_huge_head_is_rejected(stack: Stack) -> None:
    for sent, expected in (
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000, CUT_OFF),
        (b"GET /" + b"a" * 1_000_000, CUT_OFF),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200_000, CUT_OFF),
        (b"GET /readyz HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 101 + b"\r\n", {431}),
        (b"GET /readyz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", {431}),
        (b"GET /readyz?" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
    ):
        with wire(stack) as huge:
            with suppress(OSError):
                huge.send(sent)
            assert huge.answer().status in expected


# Requests and responses


def test_a_client_that_expects_100_continue_gets_it(stack: Stack, alice: University) -> None:
    """curl does this for bodies of more than a megabyte."""
    body = line(alice.fundraiser(), 1) * 13_000
    assert len(body) > 1024 * 1024
    asked = "Expect: 100-continue"
    for start, rest in (
        (head(IMPORT, asked, f"Content-Length: {len(body)}", media=NDJSON, key=alice), body),
        (
            head(f"{IMPORT}/", asked, "Transfer-Encoding: chunked", media=NDJSON, key=alice),
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        ),
    ):
        with wire(stack, start) as client:
            assert client.answer().status == 100
            client.send(rest)
            answer = client.answer()
            assert (answer.status, json.loads(answer.body)["refused_count"]) == (200, 0)


def test_a_rejected_body_gets_no_100_continue(stack: Stack, alice: University) -> None:
    asked = "Expect: 100-Continue"
    large = "Content-Length: 90000000"
    expected = {
        head(IMPORT, asked, large, media=NDJSON): 401,
        head(IMPORT, asked, "Transfer-Encoding: chunked", media=NDJSON): 401,
        head("/v1/donations", asked, large, key=alice): 413,
        head("/v1/donations", asked, large): 413,
        head(HOOK, asked, large): 413,
        head("/dashboard/sign-in", asked, large): 413,
        head("/v1/users", "Expect: cookies", "Content-Length: 2", key=alice): 417,
    }
    with ExitStack() as clients:
        # The service closes a connection late, so all of them wait together.
        opened = [clients.enter_context(wire(stack, start)) for start in expected]
        for client, status in zip(opened, expected.values(), strict=True):
            answer = client.answer()
            assert answer.status == status
            assert answer.closes
        for client in opened:
            assert client.is_closed()


def test_small_bodies_get_100_continue_too(stack: Stack, alice: University) -> None:
    body = b'{"name":"F"}'
    for key, expected in ((alice, 201), (None, 401)):
        start = head("/v1/fundraisers", "Expect: 100-continue", "Content-Length: 12", key=key)
        with wire(stack, start) as client:
            assert client.answer().status == 100
            assert client.send(body).answer().status == expected


def kinds(alice: University) -> list[bytes]:
    """Return requests whose responses arrive before, during or after their bodies."""
    found = []
    for path in AGREE_PATHS:
        for key in (alice, None):
            for media in (NDJSON, "application/json", "application/x-www-form-urlencoded"):
                found.append(sized(path, b" " * 100_000, media=media, key=key))
                found.append(chunked(path, b"5\r\n     \r\n0\r\n\r\n", media=media, key=key))
            found.append(sized(path, b" " * 1_500_000, media=NDJSON, key=key))
            found.append(sized(path, b" " * 3_000_000, key=key))
            found.append(sized(path, b"{}", "Content-Encoding: gzip", media=NDJSON, key=key))
            found.append(sized(path, b"{}", "Expect: cake", key=key))
            found.append(sized(path, b"{}", method="DELETE", key=key))
    return found


def test_the_connection_header_is_correct(stack: Stack, alice: University) -> None:
    """A pooled client reuses a kept connection for its next request, and gets a response."""
    ask = head("/v1/organization", method="GET", key=alice)
    kept = 0
    for request in kinds(alice):
        with wire(stack) as client:
            try:
                client.send(request)
            except (BrokenPipeError, ConnectionResetError):
                pytest.fail(f"reset: {request[:200]!r}")
            answer = client.answer()
            assert answer.status not in {0, 100, 500}, request[:200]
            if answer.closes:
                assert client.is_closed(), request[:200]
            else:
                kept += 1
                time.sleep(0.005)
                assert client.send(ask).answer().status == 200, request[:200]
    assert kept > 60


def test_an_import_keeps_its_connection(stack: Stack, alice: University) -> None:
    fundraiser = alice.fundraiser()
    with wire(stack) as client:
        for number in range(10):
            body = line(fundraiser, number)
            chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            assert client.send(sized(IMPORT, body, media=NDJSON, key=alice)).answer().status == 200
            request = chunked(IMPORT, chunks, media=NDJSON, key=alice)
            assert client.send(request).answer().status == 200


# Malformed requests


def test_a_malformed_request_gets_one_response(stack: Stack, alice: University) -> None:
    asked = [(path, key) for path in (*AGREE_PATHS, "/readyz") for key in (alice, None)]
    with ThreadPoolExecutor(4) as clients:
        for checked in [clients.submit(assert_answered_once, stack, *each) for each in asked]:
            checked.result()


def assert_answered_once(stack: Stack, path: str, key: University | None) -> None:
    for chunks in (
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n-1\r\n\r\n",
        b"2\r\n{}\r\n0\r\nno trailer\r\n\r\n",
        b"2\r\n{}\r\n0\r\nbad name: x\r\n\r\n",
        b"2\r\n{}\r\n0\r\nX: \0\r\n\r\n",
        b"2\r\n{}XX0\r\n\r\n",
        b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    ):
        for parts in ([chunks], [chunks[:7], chunks[7:]]):
            with wire(stack, chunked(path, b"", media=NDJSON, key=key)) as client:
                for part in parts:
                    time.sleep(0.05 * (len(parts) - 1))
                    with suppress(OSError):
                        client.send(part)
                everything = client.rest()
            assert everything.count(b"HTTP/1.1 ") == 1, (chunks, everything)
            assert b"HTTP/1.1 500" not in everything
            assert b"x-request-id" in everything.lower() or everything.endswith(PLAIN)


def test_earlier_requests_are_answered_first(stack: Stack, alice: University) -> None:
    """A stored gift must not look malformed."""
    good = sized("/v1/fundraisers", b'{"name":"F"}', key=alice)
    for bad in (b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nX\r\n\r\n"):
        with wire(stack, good + good + bad) as client:
            statuses = [client.answer().status for _ in range(3)]
            assert statuses == [201, 201, 400]
            assert client.is_closed()


def test_many_pipelined_requests_are_answered_in_order(stack: Stack, alice: University) -> None:
    names = [f"F{number}" for number in range(60)]
    bodies = [json.dumps({"name": name}).encode() for name in names]
    with wire(stack, b"".join(sized("/v1/fundraisers", b, key=alice) for b in bodies)) as client:
        assert [json.loads(client.answer().body)["name"] for _ in names] == names


def test_a_host_is_required_and_framing_is_unambiguous(stack: Stack) -> None:
    for path in PATHS:
        assert_framing_is_checked(stack, path)


def assert_framing_is_checked(stack: Stack, path: str) -> None:
    start = f"POST {path} HTTP/1.1\r\n".encode()
    for rest in (
        b"\r\n",
        b"Content-Length: 2\r\n\r\n{}",
        b"Host: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}",
        b"Host: x\r\nHost: x\r\n\r\n",
        b"Host: a b\r\n\r\n",
        b"Host: x/y\r\n\r\n",
        b"Host: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Host: x\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"Host: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    ):
        with wire(stack, start + rest) as client:
            everything = client.rest()
        assert everything.startswith(b"HTTP/1.1 400"), (rest, everything)
        assert everything.count(b"HTTP/1.1 ") == 1


def test_an_old_client_needs_no_host(stack: Stack) -> None:
    with wire(stack, b"GET /healthz HTTP/1.0\r\n\r\n") as client:
        answer = client.answer()
        assert (answer.status, answer.closes, client.is_closed()) == (200, True, True)


def test_a_compressed_body_is_415_except_for_webhooks(stack: Stack, alice: University) -> None:
    """A webhook may be gzip. The body here is incomplete."""
    codings = cycle(["gzip", "br", "deflate", "zstd", "identity, gzip", "x", "GZIP"])
    for path in PATHS:
        for key in (alice, None):
            for media in (NDJSON, "application/json", "application/x-www-form-urlencoded"):
                coding = next(codings)
                is_read = path in (HOOK, PAYMENTS) and coding.lower() == "gzip"
                line = f"Content-Encoding: {coding}"
                request = sized(path, b"\x1f\x8b\x08", line, media=media, key=key)
                with wire(stack, request) as client:
                    assert client.answer().status == (400 if is_read else 415), (path, coding)


def test_trailers_and_underscores_change_nothing(stack: Stack, alice: University) -> None:
    secret = f"Authorization: Bearer {alice.key}".encode()
    late = b"2\r\n{}\r\n0\r\n" + secret + b"\r\n\r\n"
    with wire(stack, chunked("/v1/users", late)) as client:
        assert client.answer().status == 401
    with wire(stack, sized("/v1/users", b"{}", "Content_Encoding: gzip", key=alice)) as client:
        assert client.answer().status == 422


def test_an_upgrade_is_ignored(stack: Stack, alice: University) -> None:
    """A server may do so (RFC 9110, 7.8). Java's client requests h2c with its first request."""
    for upgrade in ("h2c", "websocket", "TLS/1.0"):
        fields = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}")
        get = head("/v1/organization", *fields, method="GET", key=alice)
        post = sized("/v1/fundraisers", b'{"name":"F"}', *fields, key=alice)
        with wire(stack, get) as client:
            for request, expected in ((post, 200), (get, 201), (b"", 200)):
                assert client.answer().status == expected
                client.send(request)


def test_a_webhooks_url_may_have_a_slash_and_a_query(stack: Stack, alice: University) -> None:
    alice.set_webhook_key()
    path = f"/v1/webhooks/sendgrid/{alice.id}"
    for number, target in enumerate((path, f"{path}/", f"{path}?a=b&a=c&%ff", f"{path}/?")):
        event = {"email": BOB["email"], "timestamp": 1_700_000_000 + number, "event": "open"}
        body = json.dumps([event]).encode()
        fields = [
            f"{name}: {value}" for name, value in sign_webhook(alice.signing_key, body).items()
        ]
        with wire(stack, sized(target, body, *fields)) as client:
            answer = client.answer()
            assert (answer.status, answer.body) == (202, b'{"accepted":1}'), target
            assert client.send(sized(target, body)).answer().status == 401
