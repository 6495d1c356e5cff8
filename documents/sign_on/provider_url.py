"""URLs of a provider: the issuer, and the endpoints that its metadata names.

The check of a host is early feedback for admins. connection.py checks the address of each
connection.
"""

from ipaddress import ip_network
from urllib.parse import urlsplit

from config.settings import get_settings
from documents.errors import Unacceptable
from documents.outgoing.address_rules import IPNetwork, read_host_address
from documents.outgoing.target_url import (
    FORBIDDEN_PATTERN,
    LOCAL_ADDRESS,
    MAX_URL_LENGTH,
    find_host_problem,
    is_local_name,
)

LOOPBACK_NETWORKS: tuple[IPNetwork, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
DISCOVERY_PATH = "/.well-known/openid-configuration"


def list_allowed_networks() -> tuple[IPNetwork, ...]:
    """Return the private networks whose addresses may serve single sign-on."""
    return get_settings().sign_on_private_networks


def list_allowed_http_networks() -> tuple[IPNetwork, ...]:
    """Return the networks that may use http://: loopback addresses that the operator allows."""
    pairs = [(own, one) for own in LOOPBACK_NETWORKS for one in list_allowed_networks()]
    return tuple(
        max(own, one, key=lambda network: network.prefixlen)
        for own, one in pairs
        if own.version == one.version and own.overlaps(one)
    )


def check_issuer(issuer: str) -> str:
    """Return the issuer if it can be one.

    Raises:
        Unacceptable: it cannot.
    """
    problem = find_provider_url_problem(issuer)
    if not problem and "?" in issuer:
        problem = "Must not contain a query."
    if problem:
        raise Unacceptable("/issuer", "issuer", problem)
    return issuer


def build_discovery_url(issuer: str) -> str:
    """Return the URL of a provider's metadata (OpenID Connect Discovery 1.0, section 4)."""
    return issuer.removesuffix("/") + DISCOVERY_PATH


def find_provider_url_problem(url: str) -> str:
    """Return why a URL cannot belong to a provider, or nothing."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "Must be a valid URL."
    if not url.isascii() or FORBIDDEN_PATTERN.search(url) or len(url) > MAX_URL_LENGTH:
        return "Must be a URL in ASCII, without spaces."
    if parts.scheme not in ("https", "http") or not host:
        return "Must be a URL that starts with https://."
    if parts.username is not None or parts.password is not None or "#" in url:
        return "Must not contain a user name, a password or a fragment."
    if parts.scheme == "http" and not _may_use_http(host):
        return "Must be a URL that starts with https://."
    return find_host_problem(host, list_allowed_networks())


def _may_use_http(host: str) -> bool:
    name = host.rstrip(".").lower()
    address = read_host_address(LOCAL_ADDRESS if is_local_name(name) else name)
    networks = list_allowed_http_networks()
    return address is not None and any(
        address.version == one.version and address in one for one in networks
    )
