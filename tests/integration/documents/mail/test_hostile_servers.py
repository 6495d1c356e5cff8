"""Servers that answer wrongly lose no mail, and their answers raise no unexpected error."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from config.mail_server import parse_sender, parse_smtp_url
from documents.mail.message import add_headers, build_message, parse_recipient
from documents.mail.smtp import SmtpSession
from documents.mail.smtp_failures import MailServerUnavailable
from documents.values.time import now
from service.local.servers import LOOPBACK_ADDRESS
from tools.testbed.tls import make_certificate

SENDER = parse_sender("matchback@example.edu")


@contextmanager
def run_scripted_server(
    answers: dict[str, bytes], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Run a server with a scripted answer to each command. Return its port."""

    class Handler(StreamRequestHandler):
        def setup(self) -> None:
            if tls:
                self.request = tls.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            super().finish()
            self.request.close()

        def handle(self) -> None:
            self.wfile.write(answers.get("banner", b"220 mail.example.edu\r\n"))
            while line := self.rfile.readline():
                command = line.split()[0].decode().upper()
                self.wfile.write(answers.get(command, b"250 OK\r\n"))

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server((LOOPBACK_ADDRESS, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def send(url: str) -> str:
    recipient, message = parse_recipient("alice@example.edu"), build_message("Hello", "Hello")
    add_headers(message, sender=SENDER, recipient=recipient, key="greeting:1", at=now())
    with SmtpSession.open(parse_smtp_url(url), SENDER) as session:
        return session.send(message, recipient)


@pytest.mark.parametrize("answer", [b"250 OK\r\n", b"220 OK\r\n", b"OK\r\n"])
def test_a_server_that_reads_no_content_has_accepted_no_mail(answer: bytes) -> None:
    with run_scripted_server({"DATA": answer}) as port, pytest.raises(MailServerUnavailable):
        send(f"smtp://{LOOPBACK_ADDRESS}:{port}")


def test_a_server_of_another_protocol_is_explained() -> None:
    web = {"banner": b"HTTP/1.1 400 Bad Request\r\n"}
    with (
        run_scripted_server(web) as port,
        pytest.raises(MailServerUnavailable, match="the answer is not SMTP"),
    ):
        send(f"smtp://{LOOPBACK_ADDRESS}:{port}")


@pytest.mark.parametrize(
    ("mechanism", "answer", "words"),
    [
        (b"CRAM-MD5", b"334 a\r\n", "answer to the login is not valid"),
        (b"PLAIN", b"334 abc\r\n", "answer to the login is not valid"),
        (b"GSSAPI", b"334 \r\n", "no usable way to log in"),
    ],
)
def test_a_login_that_fails_is_an_outage(
    mechanism: bytes,
    answer: bytes,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    script = {"EHLO": b"250-mail.example.edu\r\n250 AUTH " + mechanism + b"\r\n", "AUTH": answer}
    with (
        run_scripted_server(script, tls) as port,
        pytest.raises(MailServerUnavailable, match=words) as caught,
    ):
        send(f"smtps://alice:secret@{LOOPBACK_ADDRESS}:{port}")
    assert "secret" not in str(caught.value)
