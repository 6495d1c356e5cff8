"""A stopping web process: it serves connected clients, and later connections fail."""

import os
import signal
import socket
import threading
from collections import Counter
from urllib.parse import urlsplit

from tools.testbed.stack import Stack, wait_until

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CLIENTS = 8


def connect(stack: Stack) -> socket.socket:
    address = urlsplit(stack.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def refuses(stack: Stack) -> bool:
    try:
        connect(stack).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_connected_client_is_served_although_its_request_comes_later(stack: Stack) -> None:
    """gunicorn alone listens until all work is done, and then resets connections in its backlog."""
    early = [connect(stack) for _ in range(CLIENTS)]
    os.kill(stack.pid("web"), signal.SIGTERM)
    wait_until(lambda: refuses(stack), "new connections failing")
    for client in early:
        with client:
            client.sendall(REQUEST)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_no_connection_is_reset_during_the_stop(stack: Stack) -> None:
    """Clients open connections as fast as they can, until a connection fails."""
    met: Counter[str] = Counter()

    def ask() -> None:
        while True:
            try:
                client = connect(stack)
            except ConnectionRefusedError:
                return
            with client:
                try:
                    client.sendall(REQUEST)
                    met[client.recv(1000)[:12].decode()] += 1
                except OSError as error:
                    met[repr(error)] += 1

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: met.total() > 100, "some answers")
    os.kill(stack.pid("web"), signal.SIGTERM)
    for client in clients:
        client.join()
    assert met.keys() == {"HTTP/1.1 200"}
