"""A small TCP proxy that can drop replies after the server has acted."""

import contextlib
import random
import socket
import threading

from service.local import servers

CHUNK_BYTES = 65536


class Proxy:
    """A proxy on its own port. It forwards everything, unless it is set to drop replies."""

    def __init__(self, upstream: int, seed: int) -> None:
        self.upstream = upstream
        self.drop_share = 0.0
        self.dropped = 0
        self._chance = random.Random(seed)
        self._listener = socket.create_server((servers.LOOPBACK_ADDRESS, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            server = socket.create_connection((servers.LOOPBACK_ADDRESS, self.upstream), timeout=5)
            server.settimeout(None)
            with server:
                back = threading.Thread(target=self._replies, args=(server, client), daemon=True)
                back.start()
                while data := client.recv(CHUNK_BYTES):
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
                back.join()

    def _replies(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK_BYTES):
                if self._chance.random() < self.drop_share:
                    self.dropped += 1
                    break  # the server has acted, and the client gets no reply
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
