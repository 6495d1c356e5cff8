"""A TLS proxy before a Redis without TLS, like stunnel or a load balancer."""

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.local.servers import LOOPBACK_ADDRESS


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate of the loopback address and its key. Return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A Redis of the tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK_ADDRESS))]),
            False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, SHA256())
    )
    crt, pem = folder / "redis.crt", folder / "redis.pem"
    crt.write_bytes(made.public_bytes(Encoding.PEM))
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return crt, pem


class TlsTerminator:
    """A proxy that terminates TLS on a port, and forwards the plain text to another port."""

    def __init__(self, files: tuple[Path, Path], port: int, inner_port: int) -> None:
        self.port = port
        self.is_unavailable = False
        self._inner_port = inner_port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(*files)
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, ready: threading.Event) -> None:
        """Serve until `stop`."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._pass_on, LOOPBACK_ADDRESS, self.port, ssl=self._context
        )
        ready.set()
        await self._stop.wait()
        server.close()
        self._abort()

    def stop(self) -> None:
        """Stop the proxy, from another thread."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def cut(self) -> None:
        """Break all connections, from another thread."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_unavailable:
            writer.transport.abort()
            return
        there = await asyncio.open_connection(LOOPBACK_ADDRESS, self._inner_port)
        self._open |= {writer, there[1]}
        try:
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        finally:
            self._open -= {writer, there[1]}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@contextmanager
def terminate_tls(files: tuple[Path, Path], port: int, inner_port: int) -> Iterator[TlsTerminator]:
    """Terminate TLS on the port, in a thread, for the block."""
    made, ready = TlsTerminator(files, port, inner_port), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(made.serve(ready)), name="tls")
    thread.start()
    try:
        assert ready.wait(10)
        yield made
    finally:
        made.stop()
        thread.join(10)
