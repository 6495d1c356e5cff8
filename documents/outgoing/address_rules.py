"""Rules about IP addresses that may receive events. Pure.

Only global unicast addresses may, because an organization could otherwise make Matchback send
requests to the operator's own network. Sources: IANA's registries of special-purpose addresses for
IPv4 and IPv6, and the documents of cloud providers about their metadata services.
"""

import socket
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

REJECTED_IPV4_NETWORKS = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network, and unspecified
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT, and Alibaba's metadata service
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's virtual address of each host
            "169.254.0.0/16",  # link-local, and most metadata services
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments, and Oracle's metadata service
            "192.0.2.0/24",
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
GLOBAL_IPV6_NETWORK = IPv6Network("2000::/3")
REJECTED_IPV6_NETWORKS = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments
            "2001:db8::/32",
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
NAT64_NETWORK = IPv6Network("64:ff9b::/96")
IPV4_MASK = 0xFFFFFFFF


def is_allowed_address(address: IPAddress, networks: Iterable[IPNetwork] = ()) -> bool:
    """Return whether an address may receive events.

    Args:
        networks: private networks whose addresses may receive events, too.
    """
    return is_in_networks(address, networks) or all(map(_is_global, _unwrap(address)))


def is_in_networks(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    """Return whether the address, or the IPv4 address that it maps, is in one of the networks."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    plain = mapped or address
    if _has_zone(plain):
        return False
    return any(plain.version == one.version and plain in one for one in networks)


def read_host_address(host: str) -> IPAddress | None:
    """Return the address that a host names without DNS, or None for a name.

    The resolver of the system also accepts numbers and short, octal and hexadecimal forms.
    """
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _unwrap(address: IPAddress) -> list[IPAddress]:
    """Return the addresses that packets to this address can reach."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if address in NAT64_NETWORK:
        return [IPv4Address(int(address) & IPV4_MASK)]
    return [address]


def _is_global(address: IPAddress) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in one for one in REJECTED_IPV4_NETWORKS)
    if _has_zone(address) or address not in GLOBAL_IPV6_NETWORK:
        return False
    return not any(address in one for one in REJECTED_IPV6_NETWORKS)


def _has_zone(address: IPAddress) -> bool:
    """Return whether the address is valid on one network interface only."""
    return isinstance(address, IPv6Address) and address.scope_id is not None
