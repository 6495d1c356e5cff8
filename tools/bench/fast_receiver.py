"""A receiver of outgoing events that answers at once."""

import argparse
import asyncio
from typing import cast

import uvloop

from service.local.servers import LOOPBACK_ADDRESS

RESPONSE = b"HTTP/1.1 204 No Content\r\n\r\n"
END_OF_HEAD, LENGTH_HEADER = b"\r\n\r\n", b"content-length: "


class FastReceiver(asyncio.Protocol):
    """One connection. It reads only the length of a body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(END_OF_HEAD)) >= 0:
            head = self._buffer[:end].lower() + b"\r\n"
            length = int(head.split(LENGTH_HEADER, 1)[1].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + len(END_OF_HEAD) + length:
                return
            self._buffer = self._buffer[end + len(END_OF_HEAD) + length :]
            self._transport.write(RESPONSE)


async def serve(port: int) -> None:
    """Serve forever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FastReceiver, LOOPBACK_ADDRESS, port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    uvloop.run(serve(parser.parse_args().port))
