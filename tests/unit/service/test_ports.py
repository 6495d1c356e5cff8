"""Free ports for servers that are about to start."""

import socket
from collections import deque

import pytest

from service.local import servers


def test_no_port_is_returned_twice_before_its_server_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = iter([7001, 7001, 7001, 7002, 7002, 7003])

    class Probe(socket.socket):
        def bind(self, address: object) -> None:
            pass

        def getsockname(self) -> tuple[str, int]:
            return servers.LOOPBACK_ADDRESS, next(ports)

    monkeypatch.setattr("service.local.servers.socket.socket", Probe)
    monkeypatch.setattr(servers, "_given", deque(maxlen=100))
    assert [servers.find_free_port() for _ in range(3)] == [7001, 7002, 7003]


def test_a_preferred_port_is_returned_again() -> None:
    port = servers.find_free_port()
    assert servers.find_free_port(port) == port
    with socket.create_server((servers.LOOPBACK_ADDRESS, port)):
        assert servers.find_free_port(port) != port
