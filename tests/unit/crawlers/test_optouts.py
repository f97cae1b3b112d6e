import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.http import Headers

from crawlers.optouts import HostRules, header_refusal, meta_refusal, read_tdmrep
from mirrorset.records import Reason

AGENT = "mirrorset"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = (404, b"")


def rules(robots: bytes = b"", status: int = 200) -> HostRules:
    return HostRules.read((status, robots))


def reason(host: HostRules, path: str = "/a.jpg") -> Reason | None:
    refusal = host.refusal(f"http://h.org{path}", AGENT)
    return refusal.reason if refusal else None


def tdmrep(*reservations: dict[str, object]) -> HostRules:
    return HostRules.read(OPEN, tdmrep=(200, json.dumps(reservations).encode()))


# --- hosts ------------------------------------------------------------------------------------


def test_robots_rules_for_our_name_win_over_the_rest() -> None:
    body = b"User-agent: *\nDisallow: /\n\nUser-agent: mirrorset\nDisallow: /private/\n"
    ours = rules(body)
    assert ours.robots_sha256 == hashlib.sha256(body).hexdigest()
    assert reason(ours, "/open/a.jpg") is None
    refusal = ours.refusal("http://h.org/private/a.jpg", AGENT)
    assert refusal is not None
    assert refusal.reason is Reason.ROBOTS
    assert not refusal.is_retryable
    assert "h.org" in refusal.detail
    assert ours.refusal("http://h.org/open/a.jpg", "otherbot") is not None


@pytest.mark.parametrize("status", [500, 503, 599, 429, 0, 102, 999])
def test_a_robots_txt_in_trouble_closes_the_host(status: int) -> None:
    closed = HostRules.read((status, b"User-agent: *\nAllow: /"))
    refusal = closed.refusal("http://h.org/a.jpg", AGENT)
    assert refusal is not None
    assert refusal.reason is Reason.ROBOTS
    assert refusal.is_retryable


@pytest.mark.parametrize("status", [404, 403, 401, 410, 301, 308])
def test_no_robots_txt_allows_everything(status: int) -> None:
    absent = rules(b"User-agent: *\nDisallow: /", status)
    assert reason(absent) is None
    assert absent.robots_sha256 == ""


def test_every_success_is_read() -> None:
    assert reason(rules(b"User-agent: *\nDisallow: /", 203)) is Reason.ROBOTS


def test_crawl_delay_is_read() -> None:
    assert rules(b"User-agent: *\nCrawl-delay: 2.5\n").crawl_delay_s(AGENT) == 2.5
    assert rules(b"User-agent: *\nRequest-rate: 1/4\n").crawl_delay_s(AGENT) == 4
    assert rules(b"").crawl_delay_s(AGENT) == 0
    assert rules(status=500).crawl_delay_s(AGENT) == 0


def test_uses_that_robots_txt_denies_refuse() -> None:
    cloudflare = b"User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /\n"
    assert reason(rules(cloudflare)) is Reason.OPT_OUT_NOAI
    assert reason(rules(b"User-agent: *\nContent-Usage: /a tdm=n")) is Reason.OPT_OUT_TDM
    assert reason(rules(b"User-agent: *\nContent-Usage: /b tdm=n")) is None


@pytest.mark.parametrize(
    ("body", "path", "is_refused"),
    [
        (b"User-Agent: *\nDisallow: *.jpg\n", "/a.jpg", True),
        (b"User-Agent: *\nDisallow: *.jpg\n", "/A.JPG?w=3", True),
        (b"User-Agent: *\nDisallow: *.jpg\n", "/a.png", False),
        (b"User-Agent: *\nAllow: *.jpg\nDisallow: /\n", "/a.jpg", False),
        (b"User-Agent: *\nDisallow: *.mp3\nDisallow: /\n", "/a.jpg", True),
        (b"User-Agent: otherbot\nDisallow: /\n", "/a.jpg", False),
        (b"# About us\n\nWe like pictures.\n", "/a.jpg", False),
        (b"<!doctype html><title>Not here</title>", "/a.jpg", False),
    ],
)
def test_ai_txt_refuses_kinds_of_files(body: bytes, path: str, is_refused: bool) -> None:
    host = HostRules.read(OPEN, ai_txt=(200, body))
    assert reason(host, path) is (Reason.OPT_OUT_NOAI if is_refused else None)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("file", ["tdmrep", "ai_txt"])
def test_a_file_beside_robots_txt_that_cannot_be_had_closes_the_host(
    status: int, file: str
) -> None:
    rules = HostRules.read(OPEN, **{file: (status, b"")})
    refusal = rules.refusal("http://h.org/a.jpg", "mirrorset")
    assert refusal is not None
    assert (refusal.reason, refusal.is_retryable) == (Reason.ROBOTS, True)


@pytest.mark.parametrize("status", [404, 301])
def test_a_missing_ai_txt_says_nothing(status: int) -> None:
    assert reason(HostRules.read(OPEN, ai_txt=(status, b"User-Agent: *\nDisallow: /"))) is None


@pytest.mark.parametrize(
    ("pattern", "path", "is_reserved"),
    [
        ("/", "/any/where.jpg", True),
        ("/images/", "/images/a.jpg", True),
        ("/images/", "/other/a.jpg", False),
        ("images/", "/images/a.jpg", True),
        ("https://h.org/images/", "/images/a.jpg", True),
        ("https://h.org", "/images/a.jpg", True),
        ("*.jpg$", "/deep/a.jpg", True),
        ("*.jpg$", "/deep/a.jpg?x=1", False),
        ("/a+b", "/a+b", True),
        ("/a.b", "/axb", False),
        ("/path/foo-%24", "/path/foo-$", True),
    ],
)
def test_tdmrep_patterns_match_paths(pattern: str, path: str, is_reserved: bool) -> None:
    host = tdmrep({"location": pattern, "tdm-reservation": 1})
    assert reason(host, path) is (Reason.OPT_OUT_TDM if is_reserved else None)


def test_the_example_of_tdmrep_reads_as_it_says() -> None:
    # https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/
    policy = "https://provider.com/policies/policy.json"
    host = tdmrep(
        {"location": "/directory-a/", "tdm-reservation": 1},
        {"location": "/directory-b/html/", "tdm-reservation": 1, "tdm-policy": policy},
        {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0},
    )
    assert reason(host, "/directory-a/a.pdf") is Reason.OPT_OUT_TDM
    assert reason(host, "/directory-b/html/a.html") is Reason.OPT_OUT_TDM
    assert reason(host, "/directory-b/images/a.jpg") is None
    assert reason(host, "/directory-c/") is None


def test_of_first_and_longest_one_that_reserves_is_enough() -> None:
    everything = {"location": "/", "tdm-reservation": 1}
    assert reason(tdmrep({"location": "/a", "tdm-reservation": 0}, everything)) is None
    assert reason(tdmrep(everything, {"location": "/a", "tdm-reservation": 0})) is not None
    free = {"location": "/", "tdm-reservation": 0}
    assert reason(tdmrep(free, {"location": "/a", "tdm-reservation": 1})) is not None


def test_tdmrep_passes_over_what_is_none() -> None:
    good = {"location": "/a/", "tdm-reservation": 1}
    assert len(read_tdmrep(200, json.dumps([good, "nonsense", 3, {"location": "/"}]).encode())) == 1
    assert len(read_tdmrep(200, json.dumps(good).encode())) == 1
    assert read_tdmrep(404, json.dumps([good]).encode()) == ()
    for body in (b"<html>", b'{"location": "/"}', b"", b"[" * 100_000, b"\xff", b"1"):
        assert read_tdmrep(200, body) == ()


def test_evidence_names_what_was_read() -> None:
    host = HostRules.read((200, b"User-agent: *"), tdmrep=(404, b"no"), ai_txt=(503, b""))
    digest = hashlib.sha256(b"User-agent: *").hexdigest()
    assert host.evidence == {"robots.txt": digest, "tdmrep.json": "404", "ai.txt": "503"}
    assert rules(status=404).evidence == {"robots.txt": "404"}


ANSWERS = st.tuples(st.sampled_from([200, 404, 503]), st.binary())


@given(ANSWERS, ANSWERS, ANSWERS, st.text())
def test_any_host_is_read(
    robots: tuple[int, bytes], tdm: tuple[int, bytes], ai: tuple[int, bytes], url: str
) -> None:
    host = HostRules.read(robots, tdm, ai)
    host.refusal(url, AGENT)
    host.refusal(f"http://[{url}", AGENT)
    host.crawl_delay_s(AGENT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["location", "tdm-reservation", "x"]), inner)
    ),
)


@given(JSON)
def test_any_json_is_read_as_tdmrep(document: object) -> None:
    body = json.dumps(document).encode()
    HostRules.read(OPEN, tdmrep=(200, body)).refusal("http://h.org/a.jpg", AGENT)


# --- pictures and pages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Robots-Tag": ["nofollow", "noai"]}, Reason.OPT_OUT_NOAI),
        ({"X-Robots-Tag": "unavailable_after: 25 Jun 2010 15:00:00 PST"}, Reason.OPT_OUT_NOAI),
        ({"X-Robots-Tag": "unavailable_after: 25 Jun 2040 15:00:00 PST"}, None),
        ({"TDM-Reservation": "1"}, Reason.OPT_OUT_TDM),
        ({"tdm-reservation": "0", "X-Robots-Tag": "all"}, None),
        ({"tdm-policy": "https://h.org/policy.json"}, None),
        ({"Content-Usage": "train-ai=n"}, Reason.OPT_OUT_NOAI),
        ({"Content-Usage": "tdm=n"}, Reason.OPT_OUT_TDM),
        ({"Content-Signal": "ai-train=yes, search=yes, ai-input=yes"}, None),
        ({"Content-Signal": "ai-train=no"}, Reason.OPT_OUT_NOAI),
        ({"mirrorset": "noai"}, None),
        ({}, None),
    ],
)
def test_headers_opt_out(headers: dict[str, str | list[str]], expected: Reason | None) -> None:
    refusal = header_refusal(Headers(headers), AGENT, NOW)
    assert (refusal and refusal.reason) is expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("robots", "noai, noimageai", Reason.OPT_OUT_NOAI),
        ("Robots", "index,NOINDEX", Reason.OPT_OUT_NOAI),
        ("mirrorset", "noai", Reason.OPT_OUT_NOAI),
        ("MirrorSet", "noai", Reason.OPT_OUT_NOAI),
        ("googlebot", "noindex", None),
        ("tdm-reservation", "1", Reason.OPT_OUT_TDM),
        ("tdm-reservation", "0", None),
        ("robots", "noai noimageai", Reason.OPT_OUT_NOAI),
        ("X-Robots-Tag", "noai", Reason.OPT_OUT_NOAI),
        ("X-Robots-Tag", "otherbot: noai", None),
        ("Content-Usage", "train-ai=n", Reason.OPT_OUT_NOAI),
        ("robots", "index, follow, max-image-preview:large", None),
        ("description", "noai", None),
    ],
)
def test_meta_tags_opt_out(name: str, content: str, expected: Reason | None) -> None:
    metas = [("viewport", "width=device-width"), (name, content)]
    refusal = meta_refusal(metas, AGENT, NOW)
    assert (refusal and refusal.reason) is expected


@given(st.lists(st.tuples(st.text(), st.text())), st.binary(max_size=40))
def test_any_page_and_header_is_read(metas: list[tuple[str, str]], value: bytes) -> None:
    assert meta_refusal([*metas, ("robots", "noai")], AGENT, NOW) is not None
    header_refusal(Headers({"X-Robots-Tag": value, "tdm-reservation": value}), AGENT, NOW)
