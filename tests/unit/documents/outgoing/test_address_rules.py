"""Only global unicast addresses receive events, however a URL or a resolver writes them."""

from ipaddress import ip_address, ip_network

import pytest

from documents.outgoing.address_rules import (
    is_allowed_address,
    is_in_networks,
    read_host_address,
)

PRIVATE = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

PUBLIC_ADDRESSES = (
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("172.15.255.255", "172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0"),
    *("223.255.255.255", "168.63.129.17", "2606:4700:4700::1111", "2a00:1450:4001:82f::200e"),
    *("2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
)
REJECTED_ADDRESSES = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.170.2"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.168.1.1"),
    *("192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("fd20:ce::254", "100::1", "2001:db8::1", "2001:2::1", "2001:20::1", "3fff::1", "5f00::1"),
    *("2620:4f:8000::1", "4000::1", "2606:4700:4700::1111%eth0"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:10.0.0.1"),
    *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::"),
    # Teredo: a private server, and a private client, whose bits are inverted.
    *("2001:0:a00:1::f7f7:f7f7", "2001:0:808:808::80ff:fffe", "2001:0:808:808::5601:5601"),
)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public_addresses_receive_events(address: str) -> None:
    assert is_allowed_address(ip_address(address))


@pytest.mark.parametrize("address", REJECTED_ADDRESSES)
def test_other_addresses_do_not(address: str) -> None:
    assert not is_allowed_address(ip_address(address))


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00:ec2::254"])
def test_the_private_networks_of_the_setting_receive_events(address: str) -> None:
    assert is_allowed_address(ip_address(address), PRIVATE)
    assert is_in_networks(ip_address(address), PRIVATE)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "192.168.1.1", "169.254.169.254", "fe80::1", "fd00::1%eth0", "::1"]
)
def test_a_private_network_opens_no_other(address: str) -> None:
    assert not is_allowed_address(ip_address(address), PRIVATE)


def test_a_public_address_is_in_no_private_network() -> None:
    assert is_allowed_address(ip_address("8.8.8.8"), PRIVATE)
    assert not is_in_networks(ip_address("8.8.8.8"), PRIVATE)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001"),
        *("127.1", "127.0.1", "0x7F.1", "00000177.1", "127.0.0.0x1"),
    ],
)
def test_every_form_of_an_ipv4_address_is_read(host: str) -> None:
    assert read_host_address(host) == ip_address("127.0.0.1")


@pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1"])
def test_ipv6_addresses_are_read(host: str) -> None:
    assert read_host_address(host) == ip_address("::1")


@pytest.mark.parametrize(
    "host", ["crm.example.edu", "127.0.0.1.example.edu", "", "0x", "1.2.3.4.5"]
)
def test_names_are_no_addresses(host: str) -> None:
    assert read_host_address(host) is None
