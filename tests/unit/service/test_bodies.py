"""Bodies in memory: their deadline, their limit, and how a thread reads an import."""

import asyncio
from typing import Any

import falcon
import pytest

from documents.providers.provider import MAX_BATCH_BYTES
from service.server import body as bodies
from service.server import import_body
from service.server.body import Bodies, Body, ClientGone
from service.server.head import find_body_limit
from service.server.import_body import open_import
from tools.testbed.coroutines import run_coroutine


def source(*pieces: bytes, then: str = "end") -> Any:
    """Return an ASGI `receive` that gives these pieces, then the end, a disconnect, or nothing."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if then == "end":
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    if then == "disconnect":
        messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    return receive


def read(receive: Any, length: int | None = None) -> bytes | falcon.HTTPError:
    async def whole() -> bytes | falcon.HTTPError:
        return await found_by(Bodies(), Body(receive, length))

    return run_coroutine(whole())


async def found_by(held: Bodies, body: Body) -> bytes | falcon.HTTPError:
    try:
        return await held.read(body)
    except falcon.HTTPError as error:
        return error


def test_a_body_is_read_completely() -> None:
    assert read(source(b"a", b"", b"bc")) == b"abc"


def test_a_disconnected_client_makes_no_request() -> None:
    with pytest.raises(ClientGone):
        read(source(b"a", then="disconnect"))


def test_a_body_over_the_limit_is_413_by_its_length_or_its_size() -> None:
    for found in (
        read(source(then="nothing"), bodies.MAX_BODY_BYTES + 1),
        read(source(*[b"x" * 65536] * 33, then="nothing")),
    ):
        assert isinstance(found, falcon.HTTPContentTooLarge)


def test_a_provider_with_large_batches_has_a_larger_limit() -> None:
    sizes = {
        "/v1/webhooks/mandrill/1": MAX_BATCH_BYTES,
        "/v1/webhooks/sparkpost/1/": MAX_BATCH_BYTES,
        "/v1/webhooks/mandrill": MAX_BATCH_BYTES,
        "/v1/webhooks/sendgrid/1": bodies.MAX_BODY_BYTES,
        "/v1/webhooks/unknown/1": bodies.MAX_BODY_BYTES,
        "/v1/donations": bodies.MAX_BODY_BYTES,
    }
    assert {path: find_body_limit({"path": path}) for path in sizes} == sizes


def test_a_body_over_its_deadline_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "get_settings", lambda: type("S", (), {"request_seconds": 0.05}))
    found = read(source(b"a", then="nothing"))
    assert isinstance(found, falcon.HTTPError)
    assert found.status_code == 408


def test_when_memory_is_short_the_oldest_body_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow client cannot block others by filling the shared memory."""
    monkeypatch.setattr(bodies, "MAX_BUFFERED_BYTES", 1000)

    async def both() -> list[Any]:
        held = Bodies()
        slow = asyncio.create_task(found_by(held, Body(source(b"x" * 900, then="nothing"), None)))
        await asyncio.sleep(0.01)
        whole = await found_by(held, Body(source(b"y" * 200), None))
        found = await slow
        held.release(len(whole) if isinstance(whole, bytes) else 0)
        return [whole, found, held._held]

    whole, found, left = run_coroutine(both())
    assert whole == b"y" * 200
    assert isinstance(found, falcon.HTTPServiceUnavailable)
    assert left == 0


def test_a_thread_reads_lines_from_pieces_of_any_size() -> None:
    async def lines(*pieces: bytes, limit: int = 10) -> list[bytes]:
        reader = open_import(Body(source(*pieces), None), asyncio.get_running_loop())
        return await asyncio.to_thread(lambda: list(iter(lambda: reader.readline(limit), b"")))

    for pieces in ([b"one\ntwo\n", b"three"], [b"o", b"ne", b"\ntwo", b"\n", b"th", b"ree"]):
        assert run_coroutine(lines(*pieces)) == [b"one\n", b"two\n", b"three"]
    long = run_coroutine(lines(b"0123456789abc\n", b"d"))
    assert long == [b"0123456789", b"abc\n", b"d"]


def test_an_import_that_pauses_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_body, "MAX_IMPORT_PAUSE_SECONDS", 0.05)

    async def wait() -> None:
        body = Body(source(b"one", then="nothing"), None)
        reader = open_import(body, asyncio.get_running_loop())
        await asyncio.to_thread(reader.readline, 100)

    with pytest.raises(falcon.HTTPError) as error:
        run_coroutine(wait())
    assert error.value.status_code == 408
