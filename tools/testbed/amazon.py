"""Amazon SNS for the tests: an authority, signing certificates, signed messages and a server."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from service.local.servers import LOOPBACK_ADDRESS

HOST = "sns.us-east-1.amazonaws.com"
ISSUER_HOST = "crt.r2m01.amazontrust.com"
ISSUER_PATH = "/r2m01.cer"
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"
CERTIFICATE_PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
HASHES = {"1": SHA1, "2": SHA256}
SIGNED = {
    "Notification": "Message MessageId Subject Timestamp TopicArn Type",
    "SubscriptionConfirmation": "Message MessageId SubscribeURL Timestamp Token TopicArn Type",
    "UnsubscribeConfirmation": "Message MessageId SubscribeURL Timestamp Token TopicArn Type",
}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Holder(NamedTuple):
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate, as Amazon serves it."""
        return self.certificate.public_bytes(Encoding.PEM)


def make_certificate(
    name: str,
    issuer: Holder | None = None,
    *,
    hosts: Sequence[str] = (),
    days: tuple[int, int] = (-1, 30),
    issuer_url: str | None = None,
    key: Key | None = None,
) -> Holder:
    """Return an authority, or the certificate of the given hosts.

    Args:
        issuer: the authority that signs it; None for a root.
        days: begin and end, in days from now.
    """
    key = key or (make_signing_key() if hosts else make_authority_key())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin, end = (datetime.now(UTC) + timedelta(days=day) for day in days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        .add_extension(_list_usages(is_authority=not hosts), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    for extension in _list_extensions(issuer, hosts, issuer_url):
        builder = builder.add_extension(extension, critical=False)
    return Holder(builder.sign(issuer.key if issuer else key, SHA256()), key)


def make_signing_key() -> rsa.RSAPrivateKey:
    """Return a new key of the kind that SNS signs with."""
    return rsa.generate_private_key(65537, 2048)


@cache
def make_shared_key() -> rsa.RSAPrivateKey:
    """Return Amazon's key, which is the same in all tests of the process, because it is slow."""
    return make_signing_key()


def make_authority_key() -> ec.EllipticCurvePrivateKey:
    """Return a key that is made fast."""
    return ec.generate_private_key(ec.SECP256R1())


def _list_usages(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not is_authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _list_extensions(
    issuer: Holder | None, hosts: Sequence[str], issuer_url: str | None
) -> Iterator[x509.ExtensionType]:
    if issuer:
        public_key = issuer.key.public_key()
        yield x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
    if hosts:
        yield x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    if issuer_url:
        place = x509.UniformResourceIdentifier(issuer_url)
        method = AuthorityInformationAccessOID.CA_ISSUERS
        yield x509.AuthorityInformationAccess([x509.AccessDescription(method, place)])


def make_message(type_: str = "Notification", **fields: Any) -> dict[str, Any]:
    """Return a message of SNS without a signature. Fields that are None are omitted."""
    message: dict[str, Any] = {
        "Type": type_,
        "MessageId": "00000000-0000-4000-8000-000000000001",
        "TopicArn": TOPIC,
        "Message": "{}",
        "Timestamp": "2026-11-20T10:00:00.000Z",
        "SignatureVersion": "1",
        "SigningCertURL": f"https://{HOST}{CERTIFICATE_PATH}",
    }
    if type_ == "Notification":
        message["Subject"] = "Amazon SES Email Event Notification"
    else:
        message["Token"] = "2336412f37f"
        message["SubscribeURL"] = f"https://{HOST}/?Action=ConfirmSubscription&Token=2336412f37f"
    return {name: value for name, value in (message | fields).items() if value is not None}


def sign_message(key: Key, message: dict[str, Any]) -> bytes:
    """Return the body of the message with its signature."""
    assert isinstance(key, rsa.RSAPrivateKey)
    names = [name for name in SIGNED[message["Type"]].split() if name in message]
    text = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
    version = HASHES.get(message.get("SignatureVersion", ""), SHA1)()
    signature = base64.b64encode(key.sign(text, PKCS1v15(), version)).decode()
    return json.dumps({**message, "Signature": signature}).encode()


class Amazon:
    """An HTTPS server that acts as a host of SNS, and an HTTP server with its issuer."""

    def __init__(self, folder: Path) -> None:
        self.root = make_certificate("Amazon Root of the tests")
        self.issuer = make_certificate("Amazon RSA of the tests", self.root)
        self.signer = self.make_signer("sns.amazonaws.com", key=make_shared_key())
        self.pages: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[str] = []
        self.stopped = threading.Event()
        self.root_file = folder / "root.pem"
        self.root_file.write_bytes(self.root.pem)
        self._folder = folder
        self.serve(CERTIFICATE_PATH, self.signer.pem)
        self.serve(ISSUER_PATH, self.issuer.certificate.public_bytes(Encoding.DER))

    def make_signer(self, *hosts: str, **options: Any) -> Holder:
        """Return a signing certificate. Like Amazon's, it names the URL of its issuer."""
        options.setdefault("issuer", self.issuer)
        options.setdefault("issuer_url", f"http://{ISSUER_HOST}{ISSUER_PATH}")
        return make_certificate(hosts[0], hosts=hosts, **options)

    def serve(self, path: str, content: bytes, status: int = 200, **headers: str) -> None:
        """Serve the content at a path."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)

        self.pages[path] = answer

    @contextmanager
    def run(self) -> Iterator[dict[str, int]]:
        """Run both servers for the block. Yield the port of each host."""
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._write_server_files())
        secure, plain = self._start(tls), self._start(None)
        try:
            yield {HOST: secure.server_port, ISSUER_HOST: plain.server_port}
        finally:
            self.stopped.set()
            for server in (secure, plain):
                server.shutdown()
                server.server_close()

    def _write_server_files(self) -> Path:
        server = make_certificate(HOST, self.issuer, hosts=[HOST], key=make_authority_key())
        private = server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._folder / "server.pem"
        path.write_bytes(private + server.pem + self.issuer.pem)
        return path

    def _start(self, tls: ssl.SSLContext | None) -> ThreadingHTTPServer:
        amazon = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                amazon.requests.append(f"{self.headers['Host']}{self.path}")
                answer = amazon.pages.get(self.path.partition("?")[0])
                answer(self) if answer else self.send_error(404)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        server = ThreadingHTTPServer((LOOPBACK_ADDRESS, 0), Handler)
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


def route_hosts(ports: dict[str, int]) -> Callable[..., Any]:
    """Return a replacement of `socket.getaddrinfo` that finds the hosts on the loopback address.

    It finds no other host by name, so that no test reaches a real server.
    """
    real = socket.getaddrinfo

    def find(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in ports:
            place = (LOOPBACK_ADDRESS, ports[name])
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]
        if name in (LOOPBACK_ADDRESS, "localhost"):
            return real(host, port, *args, **options)
        raise socket.gaierror(socket.EAI_NONAME, "not a host of the tests")

    return find
