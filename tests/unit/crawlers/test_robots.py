"""robots.txt against RFC 9309, against Google's own matcher, and against 4,230 real files."""

import re
import tarfile
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote
from urllib.robotparser import RobotFileParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.robots import MAX_BYTES, Pattern, Robots, path_of

AGENT = "mirrorset"
HOST = "http://example.org"
_RULE = re.compile(
    rb"^([ \t]*(?:allow|d[a-z]+)[ \t]*:[ \t]*)([^#\r\n]*?)([ \t]*)(?=[#\r\n]|\Z)", re.I | re.M
)


def allows(body: str | bytes, url: str, agent: str = AGENT) -> bool:
    read = body if isinstance(body, bytes) else body.encode()
    return Robots(read).allows(path_of(HOST + url), agent)


@pytest.fixture(scope="module")
def real_files(shared_data: Path) -> dict[str, bytes]:
    """robots.txt by host, within what any parser reads."""
    with tarfile.open(shared_data / "crawler/robots/protego/test_data_robots.tar.gz") as archive:
        return {
            member.name: body
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) and len(body := file.read()) <= MAX_BYTES
        }


def paths_of(body: bytes, count: int) -> list[str]:
    """Addresses that a file's own rules speak of, and two that they may not."""
    values = list(dict.fromkeys(match[2] for match in _RULE.finditer(body)))
    asked = [
        quote(value.rstrip(b"$").replace(b"*", b"x"), safe="/%?=&;,:@!'()+~.")
        for value in values[:: max(1, len(values) // count)][:count]
    ]
    return ["/", "/a/picture.jpg", *(path + "a.jpg" for path in asked if path[:1] == "/")]


# --- RFC 9309 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "url", "is_match"),
    [
        # 2.2.2, the table of escapes: the pattern, then the address.
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
        ("/foo/bar?baz=http://foo.bar", "/foo/bar?baz=http://foo.bar", True),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "/foo/bar/ツ", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/foo/bar?baz=http%3A%2F%2Ffoo.bar", "/foo/bar?baz=http://foo.bar", False),
        # 2.2.3, special characters.
        ("/this/path/exactly$", "/this/path/exactly", True),
        ("/this/path/exactly$", "/this/path/exactly/not", False),
        ("/this/*/exactly", "/this/long/way/exactly?yes", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-b.html", False),
        ("/path/foo-%24", "/path/foo-$", True),
        # What follows from them.
        ("/a$b", "/a$b", True),
        ("*.jpg$", "/a.jpg.jpg", True),
        ("/a*b*a$", "/aba", True),
        ("/ab*ba$", "/aba", False),
        ("/*/", "/a", False),
        ("/a b", "/a%20b", True),
        ("/{x}", "/%7bx%7D", True),
        ("/A", "/a", False),
        ("a", "/a", False),
    ],
)
def test_patterns_match_as_the_rfc_says(pattern: str, url: str, is_match: bool) -> None:
    assert Pattern.read(pattern).covers(path_of(HOST + url)) == is_match


RFC_5_1 = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot

EOF
"""
RFC_5_2 = """\
User-Agent: foobot
Allow: /example/page/
Disallow: /example/page/disallowed.gif
"""


@pytest.mark.parametrize(
    ("agent", "url", "is_allowed"),
    [
        ("mirrorset", "/a.gif", False),
        ("mirrorset", "/a.gif?x", True),
        ("mirrorset", "/example/", False),
        ("mirrorset", "/publications/", True),
        ("foobot", "/", False),
        ("FooBot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("foobot", "/robots.txt", True),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/example/", True),
        ("quxbot", "/example/", True),
    ],
)
def test_the_example_of_the_rfc_reads_as_it_says(agent: str, url: str, is_allowed: bool) -> None:
    assert allows(RFC_5_1, url, agent) == is_allowed


def test_the_longest_match_decides_and_allow_wins_a_tie() -> None:
    assert not allows(RFC_5_2, "/example/page/disallowed.gif", "foobot")
    assert allows(RFC_5_2, "/example/page/open.gif", "foobot")
    assert allows("User-agent: *\nDisallow: /p\nAllow: /p\n", "/p")
    # Lengths are those of the file: "?" is one octet, however it is compared.
    assert allows("User-agent: *\nAllow: /abc\nDisallow: /*?\n", "/abc?x")
    assert not allows("User-agent: *\nDisallow: /abc\nAllow: /*?\n", "/abc?x")


@pytest.mark.parametrize(
    ("line", "is_ours"),
    [
        ("mirrorset", True),
        ("MirrorSet", True),
        ("mirrorset/1.0", True),
        ("mirrorset (+https://example.org)", True),
        ("mirror", False),
        ("mirrorset-images", False),
        ("notmirrorset", False),
        ("mirrorset*", True),
        ("*mirrorset", False),
    ],
)
def test_agents_match_by_product_token(line: str, is_ours: bool) -> None:
    body = f"User-agent: *\nDisallow: /\n\nUser-agent: {line}\nDisallow: /private/\n"
    assert allows(body, "/open/") == is_ours
    assert not allows(body, "/private/")


def test_groups_of_one_agent_count_together() -> None:
    body = (
        "User-agent: mirrorset\nDisallow: /a\n\n"
        "User-agent: x\nUser-agent: mirrorset\nDisallow: /b\n"
    )
    assert not allows(body, "/a")
    assert not allows(body, "/b")
    assert allows(body, "/c")


def test_only_rules_part_groups() -> None:
    # RFC 9309, 2.2.4: other records must not interfere. Protego 0.7 parts the two agents here.
    body = "User-agent: *\nCrawl-delay: 10\nUser-agent: otherbot\nDisallow: /\n"
    assert not allows(body, "/a")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbfUser-agent: *\nDisallow: /a",
        "User-agent: *\nDisallow: /a".encode("utf-16"),
        b"User-agent: *\rDisallow: /a\r",
        b"User-agent: *\r\n\r\n# words\r\nDisallow: /a # more\r\n",
        b"USER-AGENT : *\nDISALLOW : /a",
        b"useragent *\ndissallow /a",
        b"User-agent: *\nDisallow: /a\0",
        b"\xff\xfe\xfa\nUser-agent: *\n\x85Disallow\nDisallow: /a\n\xff",
        b"<html>\n<p>Allow: /</p>\nUser-agent: *\nDisallow: /a",
    ],
)
def test_damaged_files_still_close_what_they_close(body: bytes) -> None:
    assert not allows(body, "/a")
    assert allows(body, "/b")


def test_a_page_in_place_of_robots_txt_says_nothing() -> None:
    assert allows("<!doctype html><title>Not here</title>\nDisallow: /\n", "/a")


def test_octets_that_are_no_utf_8_match_their_escapes() -> None:
    body = b"User-agent: *\nDisallow: /caf\xe9/"
    assert not allows(body, "/caf%E9/a.jpg")
    assert allows(body, "/caf%C3%A9/a.jpg")


def test_the_first_500_kib_count_in_whole_lines() -> None:
    head = b"User-agent: *\nDisallow: /a\n"
    filler = b"#" * (MAX_BYTES - len(head) - 10) + b"\n"
    body = head + filler + b"Disallow: /bcdefgh\n"
    assert not allows(body, "/a")
    assert allows(body, "/b")
    assert allows(body, "/bcdefgh")


# --- the reference, and real files ------------------------------------------------------------


def test_verdicts_on_real_files_are_those_of_googles_matcher(
    real_files: dict[str, bytes],
) -> None:
    google = pytest.importorskip("jwm.robotstxt.googlebot").RobotsMatcher()
    asked, opened, closed = 0, [], []
    for number, (name, body) in enumerate(sorted(real_files.items())):
        robots = Robots(body)
        agent = ("mirrorset", "googlebot", "*")[number % 3]
        for path in paths_of(body, count=3 if len(body) < 20_000 else 1):
            asked += 1
            theirs = google.OneAgentAllowedByRobots(body, agent, HOST + path)
            ours = robots.allows(path_of(HOST + path), agent)
            if ours and not theirs:
                opened.append((name, agent, path))
            # Google compares escapes and blanks as they stand; RFC 9309 unescapes first.
            elif theirs and not ours and "%" not in path:
                closed.append((name, agent, path))
    assert asked > 15_000
    assert opened == []
    assert closed == []


def test_real_files_are_read_and_close_what_they_name(real_files: dict[str, bytes]) -> None:
    closed = sum(not Robots(body).allows("/", AGENT) for body in real_files.values())
    delayed = sum(Robots(body).delay_s(AGENT) > 0 for body in real_files.values())
    assert len(real_files) > 4_200
    assert closed > 20
    assert delayed > 200


def test_pythons_own_parser_agrees_where_one_prefix_decides() -> None:
    # urllib.robotparser knows no wildcards and takes the first match: only such files compare.
    body = (
        "User-agent: *\nDisallow: /private/\n\nUser-agent: mirrorset\nDisallow: /a/\nDisallow: /b\n"
    )
    theirs = RobotFileParser()
    theirs.parse(body.splitlines())
    for agent in ("mirrorset", "otherbot"):
        for url in ("/", "/a", "/a/", "/b", "/bc", "/private/", "/private/x?y"):
            assert allows(body, url, agent) == theirs.can_fetch(agent, HOST + url)


def test_selected_hosts_say_what_they_say(shared_data: Path) -> None:
    folder = shared_data / "crawler/robots/protego/selected_hosts"
    wikipedia = Robots((folder / "en.wikipedia.org").read_bytes())
    assert not wikipedia.allows(path_of("https://en.wikipedia.org/w/api.php"), AGENT)
    assert wikipedia.allows(path_of("https://en.wikipedia.org/wiki/File:A.jpg"), AGENT)


# --- beyond the RFC ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ("Crawl-delay: 2.5", 2.5),
        ("crawl-delay: 10s", 10),
        ("Crawl-delay: 1e9", 1e9),
        ("Crawl-delay: 1e999", float("inf")),
        ("Crawl-delay: -1", 0),
        ("Crawl-delay: nan", 0),
        ("Crawl-delay:", 0),
        ("Request-rate: 1/5", 5),
        ("Request-rate: 30/1m 0800-1300", 2),
        ("Request-rate: 1/1h", 3600),
        ("Request-rate: 0/5", 0),
        ("Crawl-delay: 1\nRequest-rate: 1/5", 5),
        ("Crawl-delay: 3\nDisallow: /a\n\nUser-agent: *\nCrawl-delay: 7", 7),
        ("Disallow:\nUser-agent: mirrorset\nDisallow:\nUser-agent: x\nCrawl-delay: 9", 0),
    ],
)
def test_delays_are_read(lines: str, seconds: float) -> None:
    assert Robots(f"User-agent: *\n{lines}\n".encode()).delay_s(AGENT) == seconds


@pytest.mark.parametrize(
    ("body", "url", "use"),
    [
        ("User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /", "/a", "ai-train"),
        ("User-agent: *\nContent-signal: ai-train=yes, search=yes", "/a", ""),
        ("User-agent: *\nContent-Signal: search=no", "/a", "search"),
        ("User-agent: *\nContent-Signal: ai-input=no", "/a", "ai-input"),
        ("User-agent: *\nContent-Signal: use=reference, cite=no", "/a", ""),
        # draft-ietf-aipref-attach, the example.
        (
            "User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: / train-ai=n\n"
            "Content-Usage: /ai-ok/ train-ai=y",
            "/test",
            "train-ai",
        ),
        (
            "User-Agent: *\nContent-Usage: / train-ai=n\nContent-Usage: /ai-ok/ train-ai=y",
            "/ai-ok/test",
            "",
        ),
        (
            "User-Agent: *\nContent-Usage: / train-ai=n\n\nUser-Agent: mirrorset\nAllow: /\n"
            "Content-Usage: / train-ai=y",
            "/test",
            "",
        ),
        # One of two that conflict is enough; a use that a longer path leaves out stays denied.
        (
            "User-Agent: *\nContent-Usage: /a train-ai=y\nContent-Usage: /a train-ai=n",
            "/a",
            "train-ai",
        ),
        (
            "User-Agent: *\nContent-Usage: / train-ai=n\nContent-Usage: /a search=y",
            "/a",
            "train-ai",
        ),
        ("User-agent: *\nContent-Usage: /a$ train-ai=n", "/ab", ""),
        ("User-agent: otherbot\nContent-Signal: ai-train=no", "/a", ""),
        ("Content-Signal: ai-train=no\nUser-agent: otherbot\nDisallow: /", "/a", "ai-train"),
        ("User-agent: *\nContent-Usage: /é/ train-ai=n", "/%C3%A9/", "train-ai"),
        ("User-agent: *\nDisallowAITraining: /a", "/a/b.jpg", "ai-train"),
        ("User-agent: *\nDisallowAITraining: /a\nAllowAITraining: /a/b", "/a/b.jpg", ""),
    ],
)
def test_uses_are_read_by_group_and_path(body: str, url: str, use: str) -> None:
    assert Robots(body.encode()).refused_use(path_of(HOST + url), AGENT) == use


# --- whatever the bytes are -------------------------------------------------------------------

STARTS = b"User-agent: *|User-agent: mirrorset|Allow: /|Disallow: *$|Crawl-delay: |Request-rate: 1/"
LINES = st.lists(
    st.sampled_from([*STARTS.split(b"|"), b"Content-Usage: /", b"Content-Signal: "])
    | st.binary(max_size=20),
    max_size=20,
).map(b"\n".join)


@given(st.binary() | LINES, st.text(), st.sampled_from(["mirrorset", "*", ""]))
def test_any_bytes_are_read(body: bytes, url: str, agent: str) -> None:
    robots = Robots(body)
    robots.allows(path_of(url), agent)
    robots.refused_use(path_of(url), agent)
    assert robots.delay_s(agent) >= 0


@given(st.text(alphabet="ab/*$%é 2{", max_size=12), st.text(alphabet="ab/*$%é 2{", max_size=12))
def test_a_pattern_matches_as_a_regular_expression_would(pattern: str, url: str) -> None:
    path = path_of(f"{HOST}/{url}")
    assert path_of(HOST + path) == path
    read = Pattern.read("/" + pattern)
    expression = ".*".join(map(re.escape, read.pieces)) + ("$" if read.is_anchored else "")
    assert read.covers(path) == (re.match(expression, path) is not None)


@given(st.lists(st.sampled_from(["/", "/a", "/a/b", "/*b", "/a/b$", "/a*"]), min_size=1))
def test_one_more_disallow_never_opens(values: list[str]) -> None:
    bodies = [
        "User-agent: *\nAllow: /a\n" + "".join(f"Disallow: {value}\n" for value in values[:count])
        for count in range(len(values) + 1)
    ]
    for fewer, more in pairwise(bodies):
        for url in ("/", "/a", "/ab", "/a/b", "/a/bc"):
            assert allows(fewer, url) >= allows(more, url)
