"""An internet of loopback hosts, each with rules of its own: no request breaks any of them.

What a host forbids is written here by hand, beside its rules, and looked for in what its server
saw; nothing of the crawler's own reading of rules is used to judge it.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest
from loopback import (
    QUICK,
    Answer,
    Asked,
    Kept,
    Query,
    Site,
    Wiki,
    file_page,
    kept,
    ordered,
    page,
    photograph,
    serving,
    sitemap,
)
from thorough import thorough

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart
from mirrorset.records import Reason

POLITE = QUICK.model_copy(
    update={"concurrency_per_host": 3, "target_concurrency": 8.0, "retries": 2, "longest_wait_s": 5}
)
RULES = ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt")
_NEAR_S = 0.1
_WAIT_S = 2.0
_DELAY_S = 0.4
_LARGE_BYTES = 30_000_000
_numbers = iter(range(10_000))


@dataclass
class Host:
    """A host of the internet.

    pictures: by path, what refuses them, or None where they are to be stored. forbidden: requests
    (path and query) that its rules forbid. is_closed: none but robots.txt may be asked for.
    delay_s: its Crawl-delay. busy: when it answered that it is, and until when it may not be asked.
    """

    site: Site
    pictures: dict[str, Reason | None] = field(default_factory=dict)
    forbidden: str = ""
    is_closed: bool = False
    delay_s: float = 0.0
    busy: list[tuple[float, float]] = field(default_factory=list)

    def robots(self, *lines: str) -> None:
        self.site.answers["/robots.txt"] = Answer("\n".join(lines).encode())

    def shows(
        self, *paths: str, refused: Reason | None = None, answer: Answer | None = None
    ) -> None:
        """Pictures, good ones unless an answer is given."""
        for path in paths:
            self.pictures[path] = refused
            place = path.partition("?")[0]
            self.site.answers[place] = answer or Answer(photograph(next(_numbers)))

    @property
    def asked(self) -> list[Asked]:
        """What was asked for besides the files of rules."""
        return [one for one in self.site.log if one.path not in RULES]


@dataclass
class Internet:
    """All hosts; the first has a gallery whose pages show the pictures of all."""

    hosts: dict[str, Host]
    expected: dict[str, Reason | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def crawled(self, folder: Path, shards: int) -> dict[str, Reason | None]:
        """What became of every item of the gallery and of the wiki."""
        gallery = GalleryStart(url=f"{self['gallery'].site.url}/sitemap.xml")
        wiki = CommonsStart(api_url=f"{self['wiki'].site.url}/w/api.php", search="selfie")
        came_to: dict[str, Reason | None] = {}
        for number, start in enumerate((gallery, wiki)):
            order = ordered(folder / str(number), start, shards=shards, politeness=POLITE)
            summary = crawl(order)
            assert summary.waiting == 0
            came_to |= outcomes(kept(order))
            assert summary == counted(kept(order))
        return came_to


def outcomes(store: Kept) -> dict[str, Reason | None]:
    """What became of each item, by its id; the ports, which change, are not in it."""
    seen = {f"{one.source}:{one.source_item_id}": None for one in store.sightings}
    return seen | {one.item_id: one.reason for one in store.rejected}


def counted(store: Kept) -> CrawlSummary:
    reasons = [one.reason for one in store.rejected]
    return CrawlSummary(
        found=len(store.settled),
        stored=len(store.sightings),
        rejected={reason: reasons.count(reason) for reason in set(reasons)},
    )


NAMES = (
    "gallery", "paths", "agents", "trouble", "too many", "no rules", "moved rules", "far rules",
    "tdmrep", "ai.txt", "signals", "delay", "busy", "busy until", "busy once", "slow", "wiki",
    "files",
)  # fmt: skip


@contextmanager
def internet() -> Iterator[Internet]:
    """The internet, serving."""
    with ExitStack() as stack:
        hosts = {
            name: Host(stack.enter_context(serving(f"127.0.0.{number}")))
            for number, name in enumerate(NAMES, start=2)
        }
        for build in (
            paths, agents, closed, no_rules, moved_rules, reservations, delay, busy, slow,
        ):  # fmt: skip
            build(hosts)
        yield Internet(hosts, fill_gallery(hosts) | wiki(hosts))


Hosts = dict[str, Host]


def paths(hosts: Hosts) -> None:
    host = hosts["paths"]
    host.robots(
        "User-agent: *",
        "Disallow: /secret/",
        "Allow: /secret/open/",
        "Disallow: /*.draft.jpg$",
        "Disallow: /*?size=",
        "Disallow: /caf%C3%A9/",
    )
    host.forbidden = r"^/secret/(?!open/)|\.draft\.jpg$|\?size=|^/caf%C3%A9/"
    host.shows("/a.jpg", "/secret/open/a.jpg", "/a.draft.jpg.jpg", "/secretary.jpg")
    host.shows("/secret/a.jpg", "/a.draft.jpg", "/café/a.jpg", refused=Reason.ROBOTS)
    host.shows("/sized.jpg?size=9", refused=Reason.ROBOTS)
    moved = Answer(status=302, headers={"Location": "/secret/a.jpg"})
    host.shows("/to-secret.jpg", refused=Reason.ROBOTS, answer=moved)


def agents(hosts: Hosts) -> None:
    host = hosts["agents"]
    host.robots(
        "User-agent: otherbot", "Disallow: /free.jpg", "",
        "User-agent: MirrorSet", "User-agent: thirdbot", "Disallow: /ours/", "",
        "User-agent: *", "Disallow: /",
    )  # fmt: skip
    host.forbidden = r"^/ours/"
    host.shows("/free.jpg")
    host.shows("/ours/a.jpg", refused=Reason.ROBOTS)


def closed(hosts: Hosts) -> None:
    for name, status in {"trouble": 503, "too many": 429}.items():
        hosts[name].site.answers["/robots.txt"] = Answer(status=status)
        hosts[name].shows("/a.jpg", "/b.jpg", refused=Reason.ROBOTS)
        hosts[name].is_closed = True


def no_rules(hosts: Hosts) -> None:
    """No robots.txt, so that headers decide: some come with HEAD, some with GET alone."""
    host = hosts["no rules"]

    def tagged(name: str, value: str, size: int = 0, is_head_silent: bool = True) -> Answer:
        body = photograph(next(_numbers)) + bytes(size)
        return Answer(body, 200, {name: value}, is_head_silent)

    large = _LARGE_BYTES
    for path, answer in {
        "/noai.jpg": tagged("X-Robots-Tag", "noai", large),
        "/noimageai.jpg": tagged("x-robots-tag", "noimageai, nofollow", large),
        "/ours.jpg": tagged("X-Robots-Tag", "mirrorset: noai", large),
        "/unquiet.jpg": tagged("X-Robots-Tag", "noai", large, is_head_silent=False),
        "/use.jpg": tagged("Content-Usage", "train-ai=n", large),
    }.items():
        host.shows(path, refused=Reason.OPT_OUT_NOAI, answer=answer)
    reserved = tagged("TDM-Reservation", "1", large)
    host.shows("/tdm.jpg", refused=Reason.OPT_OUT_TDM, answer=reserved)
    host.shows("/others.jpg", answer=tagged("X-Robots-Tag", "otherbot: noai"))
    host.shows("/free.jpg", answer=tagged("TDM-Reservation", "0"))


def moved_rules(hosts: Hosts) -> None:
    """Rules behind redirects: on the same host, and on another one."""
    rules = Answer(b"User-agent: *\nDisallow: /hidden/\n")
    there = hosts["gallery"].site
    there.answers["/rules/far.txt"] = rules
    hosts["moved rules"].site.answers |= {
        "/robots.txt": Answer(status=301, headers={"Location": "/rules/robots"}),
        "/rules/robots": rules,
    }
    hosts["far rules"].site.answers["/robots.txt"] = Answer(
        status=302, headers={"Location": f"{there.url}/rules/far.txt"}
    )
    for name in ("moved rules", "far rules"):
        hosts[name].forbidden = "^/hidden/"
        hosts[name].shows("/a.jpg")
        hosts[name].shows("/hidden/a.jpg", refused=Reason.ROBOTS)


def reservations(hosts: Hosts) -> None:
    rules = [
        {"location": "/open/*", "tdm-reservation": 0},
        {"location": "/kept/*", "tdm-reservation": 1, "tdm-policy": "https://h.org/policy"},
        {"location": "*.raw.jpg", "tdm-reservation": "1"},
    ]
    host = hosts["tdmrep"]
    host.site.answers["/.well-known/tdmrep.json"] = Answer(json.dumps(rules).encode())
    host.forbidden = r"^/kept/|\.raw\.jpg"
    host.shows("/open/a.jpg", "/a.jpg")
    host.shows("/kept/a.jpg", "/a.raw.jpg", refused=Reason.OPT_OUT_TDM)

    host = hosts["ai.txt"]
    host.site.answers["/ai.txt"] = Answer(b"User-Agent: *\nDisallow: *.jpg\nAllow: *.jpeg\n")
    host.forbidden = r"\.jpg$"
    host.shows("/a.jpeg")
    host.shows("/a.jpg", refused=Reason.OPT_OUT_NOAI)

    host = hosts["signals"]
    host.robots("User-agent: *", "Content-Signal: search=yes, ai-train=no", "Allow: /")
    host.forbidden = r"\.jpg$"
    host.shows("/a.jpg", "/b.jpg", refused=Reason.OPT_OUT_NOAI)


def delay(hosts: Hosts) -> None:
    """A Crawl-delay; answers take their time, the first the longest, so that some end together."""
    host = hosts["delay"]
    host.robots("User-agent: *", f"Crawl-delay: {_DELAY_S}")
    host.delay_s = _DELAY_S
    host.shows("/0.jpg")
    began_at: list[float] = []

    def late(picture: bytes) -> Callable[[Query], Answer]:
        def answer(_: Query) -> Answer:
            began_at.append(time.monotonic())
            time.sleep(max(0.0, began_at[0] + 3 * _DELAY_S - time.monotonic()))
            return Answer(picture)

        return answer

    for number in range(1, 7):
        host.pictures[f"/{number}.jpg"] = None
        host.site.answers[f"/{number}.jpg"] = late(photograph(next(_numbers)))


def busy(hosts: Hosts) -> None:
    """Hosts that say once that they are busy, for so many seconds, until a date, or just so."""

    def answers(host: Host, status: int, headers: Callable[[], dict[str, str]]) -> None:
        host.shows(*(f"/{number}.jpg" for number in range(12)))
        for number in range(12):
            host.site.answers[f"/{number}.jpg"] = tired(
                host, photograph(next(_numbers)), status, headers
            )
        host.site.delay_s = 0.05

    answers(hosts["busy"], 503, lambda: {"Retry-After": f"{_WAIT_S:g}"})
    # Whole seconds, rounded up: half a second is the least that is asked for.
    answers(
        hosts["busy until"],
        429,
        lambda: {"Retry-After": formatdate(int(time.time() + _WAIT_S + 1), usegmt=True)},
    )
    answers(hosts["busy once"], 429, dict)


def tired(
    host: Host, picture: bytes, status: int, headers: Callable[[], dict[str, str]]
) -> Callable[[Query], Answer]:
    """The fifth request is answered by "busy"."""

    def answer(_: Query) -> Answer:
        if len(host.asked) >= 5 and not host.busy:
            wait_s = _WAIT_S if (stated := headers()) else 1.0
            now = time.monotonic()
            host.busy.append((now, now + wait_s))
            return Answer(status=status, headers=stated)
        return Answer(picture)

    return answer


def slow(hosts: Hosts) -> None:
    hosts["slow"].site.delay_s = 0.1
    hosts["slow"].shows(*(f"/{number}.jpg" for number in range(15)))


def fill_gallery(hosts: Hosts) -> dict[str, Reason | None]:
    """Pages that show the pictures of all hosts, and pages with rules of their own."""
    host = hosts["gallery"]
    host.robots("User-agent: *", "Disallow: /p/private", "Allow: /p/private-but-open")
    host.forbidden = r"^/p/private(?!-but-open)|^/i/never"
    expected: dict[str, Reason | None] = {}
    own = {
        "meta": (Reason.OPT_OUT_NOAI, page("/i/never.jpg", extra=_meta("robots", "noai"))),
        "for-us": (Reason.OPT_OUT_NOAI, page("/i/never.jpg", extra=_meta("mirrorset", "noai"))),
        "for-others": (None, page("/i/a.jpg", extra=_meta("otherbot", "noai"))),
        "tdm": (Reason.OPT_OUT_TDM, page("/i/never.jpg", extra=_meta("tdm-reservation", "1"))),
        "header": (Reason.OPT_OUT_NOAI, page("/i/never.jpg", **{"X-Robots-Tag": "noai"})),
        "private": (Reason.ROBOTS, page("/i/never.jpg")),
        "private-but-open": (None, page("/i/b.jpg")),
    }
    host.site.answers |= {f"/i/{name}.jpg": Answer(photograph(next(_numbers))) for name in "ab"}
    listed: dict[str, tuple[Reason | None, Answer]] = {
        f"/p/{name}.html": shown for name, shown in own.items()
    }
    for name, other in hosts.items():
        for number, (path, reason) in enumerate(other.pictures.items()):
            where = f"/p/{name.replace(' ', '-')}-{number}.html"
            listed[where] = (reason, page(f"{other.site.url}{path}"))
    for path, (reason, answer) in listed.items():
        host.site.answers[path] = answer
        expected[f"gallery:127.0.0.2{path}"] = reason
    host.site.answers["/sitemap.xml"] = sitemap(host.site, list(listed))
    return expected


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{content}">'


def wiki(hosts: Hosts) -> dict[str, Reason | None]:
    """A documented API, which its robots.txt closes to those who do not know it."""
    files = hosts["files"].site
    pages = [file_page(files, number, photograph(next(_numbers))) for number in range(1, 5)]
    tagged = {"LicenseUrl": {"value": "CC0"}, "Categories": {"value": "Portraits|no_cv"}}
    pages[2] = file_page(files, 3, photograph(next(_numbers)), extmetadata=tagged)
    hosts["files"].forbidden = "^/commons/3.jpg"
    Wiki(hosts["wiki"].site, pages)
    outcome = {1: None, 2: None, 3: Reason.OPT_OUT_TAG, 4: None}
    return {f"commons:{number}": reason for number, reason in outcome.items()}


# --- the rules, one function each: how many cases of it the logs show ---------------------------


def nothing_forbidden_is_asked_for(net: Internet) -> int:
    cases = 0
    for name, host in net.hosts.items():
        if host.forbidden:
            cases += 1
            for one in host.asked:
                query = "".join(f"?{key}={value}" for key, value in one.query.items())
                assert not re.search(host.forbidden, one.path + query), (name, one)
    return cases


def a_closed_host_is_left_alone(net: Internet) -> int:
    closed_hosts = [host for host in net.hosts.values() if host.is_closed]
    for host in closed_hosts:
        assert {one.path for one in host.site.log} == {"/robots.txt"}
    return len(closed_hosts)


def rules_are_read_first_and_once(net: Internet) -> int:
    cases = 0
    for name, host in net.hosts.items():
        paths_asked = [one.path for one in host.site.log if one.path != "/w/api.php"]
        if name != "wiki" and paths_asked:
            cases += 1
            far = 1 if name == "gallery" else 0
            assert paths_asked.index("/robots.txt") <= far
            if not host.is_closed:
                assert all(paths_asked.count(path) == 1 for path in RULES), (name, paths_asked)
    return cases


def a_host_is_introduced_by_head(net: Internet) -> int:
    """The first picture of a host is asked for by HEAD; one that HEAD refuses is not fetched."""
    cases = 0
    for host in net.hosts.values():
        pictures = [one for one in host.asked if one.path.endswith((".jpg", ".jpeg"))]
        if pictures:
            cases += 1
            assert pictures[0].method == "HEAD"
    return cases


def no_opted_out_body_is_read(net: Internet) -> int:
    """A body that its headers forbid is let go: far less of it leaves than there is."""
    host = net["no rules"]
    refused = [path for path, reason in host.pictures.items() if reason]
    for path in refused:
        assert host.site.sent[path] < _LARGE_BYTES / 2, path
    assert sum(host.site.gets(path) for path in refused)
    return len(refused)


def a_crawl_delay_is_kept(net: Internet) -> int:
    cases = 0
    for host in net.hosts.values():
        if host.delay_s:
            at = [one.at for one in host.asked]
            gaps = [after - before for before, after in pairwise(at)]
            assert min(gaps) >= host.delay_s - _NEAR_S, gaps
            cases += len(gaps)
    return cases


def a_busy_host_has_its_pause(net: Internet) -> int:
    cases = 0
    for name, host in net.hosts.items():
        for said_at, until in host.busy:
            cases += 1
            # What was on its way cannot be called back.
            inside = [one.at - said_at for one in host.asked if said_at + _NEAR_S < one.at < until]
            assert not inside, (name, until - said_at, inside)
            assert any(one.at >= until for one in host.asked), "it is asked again"
    return cases


def no_host_is_crowded(net: Internet) -> int:
    for name, host in net.hosts.items():
        assert host.site.most_at_once <= POLITE.concurrency_per_host, name
    return sum(host.site.most_at_once == POLITE.concurrency_per_host for host in net.hosts.values())


def everybody_knows_who_asks(net: Internet) -> int:
    agents_seen = {one.agent for host in net.hosts.values() for one in host.site.log}
    (agent,) = agents_seen
    assert re.fullmatch(r"mirrorset/\S+ \(\+crawl@example\.org\)", agent)
    return len(net.hosts)


RULE_CHECKS = {
    nothing_forbidden_is_asked_for: 9,
    a_closed_host_is_left_alone: 2,
    rules_are_read_first_and_once: 16,
    a_host_is_introduced_by_head: 14,
    no_opted_out_body_is_read: 6,
    a_crawl_delay_is_kept: 6,
    a_busy_host_has_its_pause: 3,
    no_host_is_crowded: 1,
    everybody_knows_who_asks: len(NAMES),
}


@pytest.mark.parametrize("shards", [3, *thorough(1)])
def test_no_request_breaks_a_rule(tmp_path: Path, shards: int) -> None:
    with internet() as net:
        came_to = net.crawled(tmp_path, shards)
        broken = {}
        for check, least in RULE_CHECKS.items():
            try:
                cases = check(net)
            except AssertionError as error:
                broken[check.__name__] = str(error)
            else:
                assert cases >= least, f"{check.__name__} is exercised {cases} times"
        assert not broken, broken
        assert came_to == net.expected
