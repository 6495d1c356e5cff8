"""URLs that may receive events. `address_rules.py` decides about the address behind the name."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from config.settings import get_settings
from documents.errors import Unacceptable
from documents.outgoing.address_rules import IPNetwork, is_allowed_address, read_host_address

MAX_URL_LENGTH = 2000
# `urlsplit` removes some of these, so the URL that is called would differ from the stored one.
FORBIDDEN_PATTERN = re.compile(r"[\s\x00-\x1f\x7f]")
LOCAL_NAME, LOCAL_ADDRESS = "localhost", "127.0.0.1"


def check_target_url(url: str) -> str:
    """Return the URL if it may receive events.

    Raises:
        Unacceptable: it may not.
    """
    problem = find_url_problem(url)
    if problem:
        raise Unacceptable("/url", "url", problem)
    return url


def find_url_problem(url: str) -> str:
    """Return why a URL may not receive events, or nothing."""
    schemes = ("https", "http") if get_settings().webhook_private_networks else ("https",)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "Must be a valid URL."
    if FORBIDDEN_PATTERN.search(url):
        return "Must not contain spaces or control characters."
    if parts.scheme not in schemes or not host or len(url) > MAX_URL_LENGTH:
        return "Must be a URL that starts with https://."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "Must not contain a user name, a password or a fragment."
    return find_host_problem(host, get_settings().webhook_private_networks)


def find_host_problem(host: str, networks: Iterable[IPNetwork]) -> str:
    """Return why a host is obviously not public. The check of each connection decides.

    Args:
        networks: private networks whose addresses are allowed, too.
    """
    try:
        # Clients read other forms of dots and digits, such as U+3002, as the ASCII ones.
        name = host.encode("idna").decode().rstrip(".").lower()
    except UnicodeError:
        return "Must be a valid URL."
    address = read_host_address(LOCAL_ADDRESS if is_local_name(name) else name)
    if address is None or is_allowed_address(address, networks):
        return ""
    return "Must not name a private or reserved address. Use a public host."


def is_local_name(name: str) -> bool:
    """Return whether a host name in lower case is `localhost` or below it (RFC 6761)."""
    return name == LOCAL_NAME or name.endswith(f".{LOCAL_NAME}")
