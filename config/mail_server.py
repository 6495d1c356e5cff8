"""The mail server's URL and the sender's address, which are checked at the start.

Messages of errors never repeat the URL, because the URL may contain a password.
"""

import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.policy import SMTPUTF8
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import idna

from config.queues.address import InvalidUrl

SMTPS_PORT = 465  # TLS from the first byte (RFC 8314)
SUBMISSION_PORT = 587
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_DOMAIN_LENGTH = 253


@dataclass(frozen=True)
class MailServer:
    """An SMTP server.

    is_encrypted: whether the connection begins with TLS. Otherwise, STARTTLS encrypts it.
    """

    host: str
    port: int
    is_encrypted: bool
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def has_credentials(self) -> bool:
        return bool(self.user)


def parse_smtp_url(url: str) -> MailServer:
    """Read a URL such as smtp://user:password@host:587.

    Raises:
        InvalidUrl: the URL is not valid.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidUrl("use a URL such as smtp://user:password@host:587") from None
    if parts.scheme not in ("smtp", "smtps") or not host:
        raise InvalidUrl("use a URL such as smtp://user:password@host:587")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidUrl("percent-encode special characters in the user name and the password")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise InvalidUrl("give both a user name and a password, or neither")
    if CONTROL_CHARACTERS.search(user + password + host):
        raise InvalidUrl("remove control characters")
    if not (user + password).isascii():  # `smtplib` encodes nothing else
        raise InvalidUrl("use only ASCII characters in the user name and the password")
    is_encrypted = parts.scheme == "smtps"
    default_port = SMTPS_PORT if is_encrypted else SUBMISSION_PORT
    return MailServer(host, port or default_port, is_encrypted, user, password)


@lru_cache(16)
def parse_sender(text: str) -> Address:
    """Read a sender such as "Matchback <matchback@example.edu>". Its domain becomes ASCII.

    Raises:
        ValueError: the text is not exactly one address.
    """
    if CONTROL_CHARACTERS.search(text):
        raise ValueError("control characters")
    try:
        header: Any = SMTPUTF8.header_factory("From", text)
    except IndexError:  # Python's parser expects more text
        raise ValueError("incomplete") from None
    if header.defects or len(header.addresses) != 1 or header.groups[0].display_name:
        raise ValueError("not one address")
    found = header.addresses[0]
    if not found.username or not found.domain or not found.username.isascii():
        raise ValueError("not a mailbox")
    return Address(found.display_name, found.username, to_ascii_domain(found.domain))


def to_ascii_domain(domain: str) -> str:
    """Return a domain as SMTP servers without SMTPUTF8 read it.

    Raises:
        ValueError: the domain is not valid.
    """
    if domain.startswith("[") and domain.endswith("]") and domain.isascii():
        return domain  # an address literal
    found = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    if len(found) > MAX_DOMAIN_LENGTH or not re.fullmatch(r"[A-Za-z0-9_.-]+", found, re.ASCII):
        raise ValueError("not a domain")
    return found.lower()
