"""Clients that do not read their responses: a deadline for each, and a limit for all."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.server import connection
from service.server.connection import ClientConnection
from tools.testbed.coroutines import run_coroutine


async def app(scope: object, receive: object, send: object) -> None:
    return None


def connected(unread: int) -> ClientConnection:
    made = ClientConnection(Config(app), ServerState(), {})
    transport = Mock()
    transport.get_extra_info.side_effect = lambda name: ("127.0.0.1", 1) if "name" in name else None
    transport.get_write_buffer_size.return_value = unread
    made.connection_made(transport)
    return made


def is_dropped(one: ClientConnection) -> bool:
    assert isinstance(one.transport, Mock)
    return bool(one.transport.abort.called)


def test_a_client_that_does_not_read_in_time_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_READ_SECONDS", 0.05)

    async def wait() -> None:
        slow, quick = connected(1), connected(1)
        slow.pause_writing()
        quick.pause_writing()
        quick.resume_writing()
        await asyncio.sleep(0.2)
        assert (is_dropped(slow), is_dropped(quick)) == (True, False)

    run_coroutine(wait())


def test_beyond_the_limit_the_slowest_client_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_UNREAD_ANSWER_BYTES", 1000)

    async def wait() -> None:
        first, second, third = (connected(400) for _ in range(3))
        for each in (first, second, third):
            each.pause_writing()
        assert [is_dropped(each) for each in (first, second, third)] == [True, False, False]
        for each in (first, second, third):
            each.connection_lost(None)
        assert not ClientConnection._unread

    run_coroutine(wait())


def test_a_download_is_read_slowly_but_not_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_READ_SECONDS", 0.01)
    monkeypatch.setattr(connection, "MAX_DOWNLOAD_PAUSE_SECONDS", 0.1)

    async def wait() -> None:
        slow, stalled = connected(100_000), connected(100_000)
        buffer: Any = slow.transport
        sizes = iter(range(100_000, 0, -1))
        buffer.get_write_buffer_size.side_effect = lambda: next(sizes)
        for each in (slow, stalled):
            each.begin_download()
            each.pause_writing()
        assert not is_dropped(stalled)
        await asyncio.sleep(0.5)
        assert (is_dropped(slow), is_dropped(stalled)) == (False, True)
        slow.connection_lost(None)
        stalled.connection_lost(None)
        assert not ClientConnection._unread

    run_coroutine(wait())
