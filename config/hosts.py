"""Host names and addresses in settings and URLs. Pure.

In a URL, an IPv6 address has brackets. In a setting, it has none.
"""

import re
from ipaddress import AddressValueError, IPv6Address

HOST_NAME_PATTERN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?", re.ASCII)
# Clients on this machine use the loopback address for a server that listens on all addresses.
LOOPBACK_BY_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def read_host(text: str) -> str:
    """Return a host without its brackets.

    Raises:
        ValueError: the text is neither a name nor an address.
    """
    is_bracketed = text.startswith("[") and text.endswith("]")
    host = text[1:-1] if is_bracketed else text
    if is_bracketed or ":" in host:
        try:
            return str(IPv6Address(host))
        except AddressValueError:
            raise ValueError("not an address") from None
    if not HOST_NAME_PATTERN.fullmatch(host):
        raise ValueError("not a host")
    return host


def to_url_host(host: str) -> str:
    """Return the host in the form for URLs."""
    return f"[{host}]" if ":" in host else host


def to_reachable_host(host: str) -> str:
    """Return the URL form of the host with which this machine reaches a server on `host`."""
    return to_url_host(LOOPBACK_BY_WILDCARD.get(host, host))
