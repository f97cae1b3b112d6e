"""No spelling, redirect or resolver leads the crawl to an address that is not allowed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from loopback import Answer, Site, kept, ordered, photograph, serving

from crawlers.order import CrawlOrder, ShardOrder
from crawlers.run import crawl
from crawlers.sources.urls import UrlsStart
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import open_run
from mirrorset.records import Reason

LICENCE = {"licence": "CC BY 4.0", "licence_read_from": "https://example.org/dataset"}


@pytest.fixture
def inner() -> Iterator[Site]:
    """A server that nobody may ask; its address is not among those allowed."""
    with serving("127.0.0.3") as site:
        site.answers["/secret.jpg"] = Answer(photograph(3))
        yield site


@pytest.fixture
def outer() -> Iterator[Site]:
    """A server at an address that is allowed."""
    with serving("127.0.0.2") as site:
        site.answers["/good.jpg"] = Answer(photograph(1))
        yield site


def listed(folder: Path, addresses: list[str], *allowed: str) -> CrawlOrder:
    """A crawl of a list of addresses."""
    (folder / "list.txt").write_text("\n".join(addresses) + "\n")
    start = UrlsStart(path=str(folder / "list.txt"), **LICENCE)
    return ordered(folder, start, allow_addresses=allowed)


def port_of(site: Site) -> int:
    return int(site.url.rpartition(":")[2])


SPELLINGS = [
    "127.0.0.3",
    "2130706435",
    "0x7f000003",
    "0x7f.3",
    "0x7f.0.0.3",
    "0177.0.0.3",
    "017700000003",
    "127.3",
    "127.0.3",
    "127.0.0.3.",
    "127.000.000.003",
    "１２７.０.０.３",
    "127。0。0。3",
    "[::ffff:127.0.0.3]",
    "[::ffff:7f00:3]",
    "[::127.0.0.3]",
    "[64:ff9b::7f00:3]",
    "[2002:7f00:3::]",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "0.0.0.0",  # noqa: S104
    "0",
    "localhost",
    "localhost.",
    "ip6-localhost",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "10.0.0.1",
    "255.255.255.255",
]  # fmt: skip


def test_no_spelling_of_an_address_gets_past_the_guard(
    outer: Site, inner: Site, tmp_path: Path
) -> None:
    addresses = [f"http://{host}:{port_of(inner)}/secret.jpg" for host in SPELLINGS]
    order = listed(tmp_path, [*addresses, f"{outer.url}/good.jpg"], "127.0.0.2/32")
    summary = crawl(order)
    assert inner.log == []
    store = kept(order)
    assert store.stored == {"good.jpg"}
    assert summary.found == len(SPELLINGS) + 1
    by_spelling = {urlsplit(item.image_url).netloc: item for item in store.rejected}
    for host in SPELLINGS:
        item = by_spelling[f"{host}:{port_of(inner)}"]
        # Not every machine's resolver knows the second and third name of its own.
        if host not in ("localhost.", "ip6-localhost"):
            assert item.reason is Reason.FORBIDDEN_ADDRESS, (host, item.detail)
            assert not item.is_retryable


def test_by_default_this_machine_is_not_asked(outer: Site, inner: Site, tmp_path: Path) -> None:
    order = listed(tmp_path, [f"{outer.url}/good.jpg", f"{inner.url}/secret.jpg"])
    assert crawl(order).rejected == {Reason.FORBIDDEN_ADDRESS: 2}
    assert outer.log == inner.log == []
    details = {item.detail for item in kept(order).rejected}
    assert any("127.0.0.2 is no public address" in detail for detail in details)


def test_no_redirect_leads_inside(outer: Site, inner: Site, tmp_path: Path) -> None:
    for status in (301, 302, 303, 307, 308):
        outer.answers[f"/{status}.jpg"] = Answer(
            status=status, headers={"Location": f"{inner.url}/secret.jpg"}
        )
    outer.answers["/hop.jpg"] = Answer(status=302, headers={"Location": "/302.jpg"})
    outer.answers["/spelt.jpg"] = Answer(
        status=302, headers={"Location": f"http://2130706435:{port_of(inner)}/secret.jpg"}
    )
    paths = [*(path for path in outer.answers if path != "/good.jpg"), "/good.jpg"]
    order = listed(tmp_path, [f"{outer.url}{path}" for path in paths], "127.0.0.2/32")
    crawl(order)
    assert inner.log == []
    store = kept(order)
    assert store.stored == {"good.jpg"}
    assert set(store.reasons.values()) == {Reason.FORBIDDEN_ADDRESS}
    assert len(store.rejected) == 7


@pytest.mark.parametrize("path", ["/robots.txt", "/.well-known/tdmrep.json", "/ai.txt"])
def test_no_redirect_of_a_hosts_own_files_leads_inside(
    outer: Site, inner: Site, tmp_path: Path, path: str
) -> None:
    outer.answers[path] = Answer(status=302, headers={"Location": f"{inner.url}{path}"})
    order = listed(tmp_path, [f"{outer.url}/good.jpg"], "127.0.0.2/32")
    assert crawl(order).rejected == {Reason.FORBIDDEN_ADDRESS: 1}
    assert inner.log == []
    assert outer.gets("/good.jpg") == 0


def test_the_environment_proxy_is_not_used(
    outer: Site, inner: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, inner.url)
    order = listed(tmp_path, [f"{outer.url}/good.jpg"], "127.0.0.2/32")
    assert crawl(order).stored == 1
    assert inner.log == []


# --- names ------------------------------------------------------------------------------------

#: The process of a crawl, with a resolver that knows these names and answers each in turn.
RESOLVING = """
import socket, sys
from itertools import chain, repeat
from pathlib import Path

import aiohttp

# A cache of names would hide a change.
aiohttp.TCPConnector.__init__.__kwdefaults__["use_dns_cache"] = False
ANSWERS = {
    # The first answer is innocent, those after it are not.
    "rebinding.test": chain([["127.0.0.2"]], repeat(["127.0.0.3"])),
    "inside.test": repeat(["127.0.0.3"]),
    "both.test": repeat(["127.0.0.3", "127.0.0.2"]),
    "metadata.test": repeat(["169.254.169.254"]),
    "mapped.test": repeat(["::ffff:127.0.0.3"]),
    "scoped.test": repeat(["fe80::1%lo"]),
    "fine.test": repeat(["127.0.0.2"]),
}
resolve = socket.getaddrinfo

def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    if isinstance(host, bytes):
        host = host.decode()
    if host not in ANSWERS:
        return resolve(host, port, family, type, proto, flags)
    if family == socket.AF_INET6 and host != "mapped.test":
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    found = []
    for address in next(ANSWERS[host]):
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        bare = address.partition("%")[0]
        at = (address, port, 0, 1) if kind == socket.AF_INET6 else (bare, port)
        found.append((kind, socket.SOCK_STREAM, 6, "", at))
    return found

socket.getaddrinfo = getaddrinfo
import crawlers.child
sys.exit(crawlers.child.main(Path(sys.argv[1])))
"""


def crawled_with_names(order: CrawlOrder) -> None:
    """What `crawl` does for one shard, with the resolver above in its process."""
    with Catalogue(order.catalogue_url) as catalogue:
        title = f"urls {order.start.path}" if isinstance(order.start, UrlsStart) else ""
        run = open_run(catalogue, "urls", title, [])
    order_path = order.log.parent / "order.json"
    order_path.parent.mkdir(parents=True)
    order_path.write_text(ShardOrder(order=order, run=run).model_dump_json())
    child = subprocess.Popen(
        [sys.executable, "-c", RESOLVING, str(order_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    )
    with ExitStack() as stack:
        stack.enter_context(child)
        assert child.stdout is not None
        assert child.stderr is not None
        said = child.stdout.read()
        assert child.wait(60) == 0, (said, child.stderr.read().decode()[-2000:])


def test_a_name_is_judged_by_what_it_leads_to_when_the_socket_is_made(tmp_path: Path) -> None:
    with serving("127.0.0.2") as outer, serving("127.0.0.3", port_of(outer)) as inner:
        for site in (outer, inner):
            # A connection is not kept, so that each request is resolved anew.
            site.answers["/a.jpg"] = Answer(photograph(1), headers={"Connection": "close"})
            for path in ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt"):
                site.answers[path] = Answer(status=404, headers={"Connection": "close"})
        names = ["rebinding", "inside", "both", "metadata", "mapped", "scoped", "fine"]
        addresses = [f"http://{name}.test:{port_of(outer)}/a.jpg" for name in names]
        order = listed(tmp_path, addresses, "127.0.0.2/32")
        crawled_with_names(order)
        assert inner.log == []
        store = kept(order)
        reasons = {
            str(urlsplit(item.image_url).hostname).partition(".")[0]: item.reason
            for item in store.rejected
        }
        hosts = {urlsplit(seen.image_url).hostname for seen in store.sightings}
        assert "fine.test" in hosts
        # Of several addresses, one that is allowed is enough, and only that one is asked.
        assert hosts <= {"fine.test", "both.test"}
        for name in ("inside", "metadata", "mapped", "scoped", "rebinding"):
            assert reasons[name] is Reason.FORBIDDEN_ADDRESS, (name, reasons)


def test_an_address_with_a_user_is_not_asked(outer: Site, tmp_path: Path) -> None:
    host = outer.url.removeprefix("http://")
    order = listed(tmp_path, [f"http://ada:secret@{host}/1.jpg"], "127.0.0.2/32")
    assert crawl(order).rejected == {Reason.NOT_AN_IMAGE: 1}
    assert outer.log == []
    assert "secret" not in kept(order).rejected[0].model_dump_json()
