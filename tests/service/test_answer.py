"""What a thread writes of an answer, and when it goes to the client."""

import socket
from collections.abc import Iterator

import pytest

from service.web.connection import Answer

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"hello"
MORE_THAN_A_SOCKET_TAKES = 64 * 1024 * 1024


@pytest.fixture
def ends() -> Iterator[tuple[Answer, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        yield Answer(ours), theirs


def test_a_head_goes_with_its_body(ends: tuple[Answer, socket.socket]) -> None:
    answer, client = ends
    answer.sendall(HEAD)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    answer.sendall(BODY)
    assert client.recv(100) == HEAD + BODY
    answer.sendall(BODY)
    assert client.recv(100) == BODY
    assert not answer.left


def test_a_head_without_a_body_goes_at_the_end(ends: tuple[Answer, socket.socket]) -> None:
    answer, client = ends
    answer.sendall(HEAD)
    answer.send()
    assert client.recv(100) == HEAD


def test_what_the_client_does_not_take_is_kept(ends: tuple[Answer, socket.socket]) -> None:
    answer, client = ends
    body = b"a" * MORE_THAN_A_SOCKET_TAKES
    answer.sendall(HEAD)
    answer.sendall(body)
    taken = bytearray()
    while answer.left:
        taken += client.recv(len(body))
        answer.send()
    client.setblocking(True)
    while len(taken) < len(HEAD + body):
        taken += client.recv(len(body))
    assert bytes(taken) == HEAD + body
