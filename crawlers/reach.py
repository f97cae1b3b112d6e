"""Which network addresses may be connected to, asked at the one place where sockets are made.

A name is resolved, redirected and rebound as its owner likes; what counts is the address that a
socket would connect to. So the guard stands in aiohttp's socket factory, behind every resolution
and redirect. Proxies of the environment are not used: nobody could see behind them.
"""

import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

from aiohttp import TCPConnector
from scrapy import Request
from scrapy.core.downloader.handlers._aiohttp import AiohttpDownloadHandler
from scrapy.crawler import Crawler
from scrapy.http import Headers, Response

from crawlers.pacing import TURN
from crawlers.under_way import ROOM

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Special-purpose blocks of IANA's registries that Python's tables lack, or lack in some versions.
_NEVER = tuple(map(ipaddress.ip_network, ("0.0.0.0/8", "192.0.0.0/24", "2001::/23", "3fff::/20")))
# All that IANA allocates unicast addresses of IPv6 from (RFC 4291, 2.4).
_UNICAST = ipaddress.ip_network("2000::/3")
# NAT64 (RFC 6052, RFC 8215): the last 32 bits are an IPv4 address.
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


# aiohttp may join several errors into one: these words tell a refusal from a lost connection.
_REFUSED = "is no public address"
_UNANSWERED = "is other people's, and nobody answers for asking it"
_ODD_SPELLING = "is not a canonical IPv4 address"


class ForbiddenAddressError(Exception):
    """A host's address is private, or another that no public server has."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also where it wraps another.

    Private, loopback, link-local, metadata (169.254.169.254), shared, multicast and reserved
    addresses are not; IPv4-mapped, 6to4, Teredo and NAT64 addresses are what they lead to.
    """
    wrapped = _wrapped(address)
    if wrapped is not None:
        return is_public(wrapped)
    return (
        address.is_global
        and not address.is_multicast
        and (address.version == 4 or address in _UNICAST)
        and not any(address in network for network in _NEVER)
    )


def _wrapped(address: Address) -> Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    # IPv4-compatible addresses (::a.b.c.d, deprecated by RFC 4291) and NAT64.
    is_compatible = int(address) >> 32 == 0 and int(address) > 1
    if is_compatible or any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class AddressGuard:
    """Makes sockets to public addresses, and to networks that are allowed by name."""

    def __init__(self, allowed: Sequence[Network], is_answered_for: bool = True) -> None:
        """is_answered_for: somebody is named who answers for asking other people's servers."""
        self._allowed = tuple(allowed)
        self._is_answered_for = is_answered_for

    def allows(self, address: Address) -> bool:
        """Whether a socket may connect to `address`."""
        if self._is_answered_for and is_public(address):
            return True
        return any(
            address in network for network in self._allowed if network.version == address.version
        )

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """aiohttp's socket_factory: a socket for one entry of getaddrinfo's answer.

        Raises OSError where the address is not allowed.
        """
        family, kind, protocol, _, at = info
        host = str(at[0]).partition("%")[0]
        if self.allows(ipaddress.ip_address(host)):
            return socket.socket(family=family, type=kind, proto=protocol)
        if is_public(ipaddress.ip_address(host)):
            raise OSError(f"{host} {_UNANSWERED}: params.yaml lacks some of `responsible`")
        raise OSError(f"{host} {_REFUSED}, and allow_addresses does not list it")


class GuardedDownloadHandler(AiohttpDownloadHandler):
    """Scrapy's aiohttp handler behind the guard: for http and https."""

    experimental = False

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        order = crawler.settings["CRAWL_ORDER"]
        guard = AddressGuard(order.allow_addresses, order.is_answered_for)
        connector = self._session.connector
        if not isinstance(connector, TCPConnector) or not hasattr(connector, "_socket_factory"):
            raise RuntimeError("this version of aiohttp has no socket factory to guard")
        # Scrapy makes the connector, and passes no factory on.
        connector._socket_factory = guard.make_socket

    async def download_request(self, request: Request) -> Response:
        """Scrapy's entry: the request is sent when there is room and its host's turn has come."""
        if room := request.meta.get(ROOM):
            await room()
        if turn := request.meta.get(TURN):
            await turn()
        return await super().download_request(request)

    @staticmethod
    def _extract_headers(response: Any) -> Headers:
        # As bytes: Scrapy cannot encode what aiohttp could not decode, such as a Latin-1 file name.
        return Headers(list(response.raw_headers))

    @asynccontextmanager
    async def _make_request(self, request: Request, timeout: float) -> AsyncIterator[Any]:
        try:
            async with super()._make_request(request, timeout) as response:
                yield response
        except Exception as error:
            if refusal := _refusal(error):
                raise ForbiddenAddressError(
                    f"The address of {urlsplit(request.url).hostname} is refused: {refusal}."
                ) from error
            raise


def _refusal(error: BaseException | None) -> str:
    """The words of the refusal that an error came from, or ""."""
    said = ""
    while error is not None:
        if any(words in str(error) for words in (_REFUSED, _UNANSWERED, _ODD_SPELLING)):
            said = str(error)
        error = error.__cause__ or error.__context__
    return said
