"""What a socket may connect to: the public internet, and what is allowed by name."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.reach import AddressGuard, is_public

FORBIDDEN = {
    "loopback": ["127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "::1"],
    "this network": ["0.0.0.0", "0.0.0.1", "0.255.255.255", "::"],  # noqa: S104
    "private": [
        "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
        "192.168.255.255", "fc00::1", "fd00::1", "fdff:ffff::1",
    ],
    "link-local": ["169.254.0.1", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1"],
    "metadata of clouds": ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254"],
    "shared (carriers)": ["100.64.0.1", "100.127.255.255"],
    "former site-local": ["fec0::1", "feff::1"],
    "protocol assignments": ["192.0.0.1", "192.0.0.8", "192.0.0.170"],
    "documentation": [
        "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1",
    ],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "254.255.255.255", "255.255.255.255"],
    "discard": ["100::1"],
    "IPv4-mapped": [
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
        "::ffff:c0a8:1",
    ],
    "IPv4-compatible": ["::127.0.0.1", "::10.0.0.1", "::a9fe:a9fe"],
    "6to4": ["2002:7f00:1::", "2002:7f00:1::1", "2002:a00:1::", "2002:a9fe:a9fe::"],
    # A Teredo address holds the client's IPv4 address with all bits turned.
    "Teredo": ["2001:0:53aa:64c:0:0:80ff:fffe", "2001:0:53aa:64c:0:0:f5ff:fffe"],
    "NAT64": [
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
        "64:ff9b:1::1",
    ],
    "hashes, not hosts": ["2001:10::1", "2001:20::1"],
    "allocated to nobody": ["4000::1", "8000::1", "1000::1", "5f00::1", "200::1"],
}  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.215.14", "100.63.255.255",
    "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255", "172.15.255.255",
    "172.32.0.0", "191.255.255.255", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2001:4860:4860::8888",
    "2a02:ec80:300:ed1a::1", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808",
    "64:ff9b::5db8:d70e",
]  # fmt: skip


def test_the_tables_are_long() -> None:
    assert sum(map(len, FORBIDDEN.values())) >= 60


@pytest.mark.parametrize(
    ("kind", "address"),
    [(kind, address) for kind, addresses in FORBIDDEN.items() for address in addresses],
)
def test_no_public_server_has_it(kind: str, address: str) -> None:
    assert not is_public(ipaddress.ip_address(address)), kind
    with pytest.raises(OSError, match=r"is no public address, and allow_addresses"):
        AddressGuard(()).make_socket(info_of(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_server_may_have_it(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    with AddressGuard(()).make_socket(info_of(address)) as made:
        assert made.type == socket.SOCK_STREAM


def info_of(address: str) -> tuple[object, ...]:
    """An entry of getaddrinfo's answer; a scoped address is written with its scope."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    at = (address, 80, 0, 0) if family == socket.AF_INET6 else (address, 80)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", at


def test_a_network_is_allowed_by_name_and_no_other() -> None:
    guard = AddressGuard([ipaddress.ip_network("127.0.0.2/32"), ipaddress.ip_network("fd00::/8")])
    for address, is_allowed in {
        "127.0.0.2": True,
        "127.0.0.3": False,
        "fd12::1": True,
        "::1": False,
        "10.0.0.1": False,
        "8.8.8.8": True,
        # Another way to write the one that is allowed is not the one that is allowed.
        "::ffff:127.0.0.2": False,
    }.items():
        assert guard.allows(ipaddress.ip_address(address)) is is_allowed, address


@given(st.ip_addresses(v=4))
def test_what_wraps_an_address_is_as_public_as_that(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    ]
    assert {is_public(one) for one in wrapped} == {is_public(address)}


@given(st.ip_addresses())
def test_every_address_is_judged(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert is_public(address) in (True, False)
