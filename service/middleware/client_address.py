"""The client's address, from the connection or from a trusted proxy."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import falcon

from config.settings import get_settings

IPV6_SITE_BITS = 64  # a client with one IPv6 address controls its whole /64


def find_client_address(req: falcon.Request) -> str:
    """Return the address for rate limits: an IPv4 address or an IPv6 /64."""
    return find_untrusted_address(
        req.remote_addr, (req.get_header("X-Forwarded-For") or "").split(",")
    )


def find_untrusted_address(peer: str, forwarded: Sequence[str]) -> str:
    """Return the last address on the way that is not a trusted proxy.

    Clients can forge the entries to its left. Entries from an untrusted peer are ignored.
    """
    address = _parse(peer)
    for said in reversed(forwarded):
        if address is None or not _is_trusted(address):
            break
        before = _parse(said.strip())
        if before is None:
            break
        address = before
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, IPV6_SITE_BITS), strict=False))
    return str(address or peer)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in get_settings().trusted_proxies)
