import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.http import Headers

from crawlers.optouts import (
    HostRules,
    header_refusal,
    meta_refusal,
    read_robots,
    read_tdmrep,
    robots_tag,
)
from mirrorset.records import Reason

AGENT = "mirrorset"


def rules(robots: bytes = b"", status: int = 200, reserved: tuple[str, ...] = ()) -> HostRules:
    return HostRules(*read_robots(status, robots), reserved=reserved)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([], ""),
        (["all"], ""),
        (["max-image-preview: large, noarchive"], ""),
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["nofollow, noindex"], "noindex"),
        (["none"], "none"),
        (["noml"], "noml"),
        (["noimageindex"], "noimageindex"),
        (["mirrorset: noai"], "noai"),
        (["MirrorSet: nofollow, noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noai, noindex"], ""),
        (["otherbot: noai", "noindex"], "noindex"),
        (["otherbot: noai, mirrorset: noindex"], "noindex"),
        (["unavailable_after: 25 Jun 2040 15:00:00 PST, noai"], "noai"),
        (["max-snippet: 3, noimageai"], "noimageai"),
        (["noarchive; noai"], "noai"),
        (["noarchive noai"], "noai"),
        (["otherbot: noindex; mirrorset: noai"], "noai"),
        (["max-image-preview: none"], ""),
        (["max-image-preview:none noai"], "noai"),
    ],
)
def test_robots_tag_directives_that_concern_us_refuse(values: list[str], word: str) -> None:
    assert robots_tag(values, AGENT) == word


@given(st.lists(st.text(max_size=60), max_size=4))
def test_robots_tag_reads_anything(values: list[str]) -> None:
    assert robots_tag([*values, "noai"], AGENT) != ""


def test_headers_opt_out_of_ai_and_of_mining() -> None:
    noai = header_refusal(Headers({"X-Robots-Tag": ["nofollow", "noai"]}), AGENT)
    tdm = header_refusal(Headers({"TDM-Reservation": "1"}), AGENT)
    assert noai is not None
    assert noai.reason is Reason.OPT_OUT_NOAI
    assert tdm is not None
    assert tdm.reason is Reason.OPT_OUT_TDM
    assert header_refusal(Headers({"tdm-reservation": "0", "X-Robots-Tag": "all"}), AGENT) is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("robots", "noai, noimageai", Reason.OPT_OUT_NOAI),
        ("Robots", "index,NOINDEX", Reason.OPT_OUT_NOAI),
        ("mirrorset", "noai", Reason.OPT_OUT_NOAI),
        ("googlebot", "noindex", None),
        ("tdm-reservation", "1", Reason.OPT_OUT_TDM),
        ("tdm-reservation", "0", None),
        ("robots", "noai noimageai", Reason.OPT_OUT_NOAI),
        ("X-Robots-Tag", "noai", Reason.OPT_OUT_NOAI),
        ("robots", "index, follow, max-image-preview:large", None),
    ],
)
def test_meta_tags_opt_out(name: str, content: str, reason: Reason | None) -> None:
    refusal = meta_refusal([("viewport", "width=device-width"), (name, content)], AGENT)
    assert (refusal and refusal.reason) == reason


def test_robots_rules_for_our_name_win_over_the_rest() -> None:
    body = b"User-agent: *\nDisallow: /\n\nUser-agent: mirrorset\nDisallow: /private/\n"
    ours = rules(body)
    assert ours.robots_sha256 == hashlib.sha256(body).hexdigest()
    assert ours.refusal("http://h.org/open/a.jpg", AGENT) is None
    refusal = ours.refusal("http://h.org/private/a.jpg", AGENT)
    assert refusal is not None
    assert refusal.reason is Reason.ROBOTS
    assert not refusal.is_retryable
    assert ours.refusal("http://h.org/open/a.jpg", "otherbot") is not None


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_robots_txt_in_trouble_closes_the_host(status: int) -> None:
    refusal = rules(status=status).refusal("http://h.org/a.jpg", AGENT)
    assert refusal is not None
    assert refusal.reason is Reason.ROBOTS
    assert refusal.is_retryable


@pytest.mark.parametrize("status", [404, 403, 410])
def test_no_robots_txt_allows_everything(status: int) -> None:
    absent = rules(b"<html>not here</html>", status)
    assert absent.refusal("http://h.org/a.jpg", AGENT) is None
    assert absent.robots_sha256 == ""


def test_crawl_delay_is_read() -> None:
    assert rules(b"User-agent: *\nCrawl-delay: 2.5\n").crawl_delay_s(AGENT) == 2.5
    assert rules(b"").crawl_delay_s(AGENT) == 0
    assert rules(status=500).crawl_delay_s(AGENT) == 0


@pytest.mark.parametrize(
    ("pattern", "path", "is_reserved"),
    [
        ("/", "/any/where.jpg", True),
        ("/images/", "/images/a.jpg", True),
        ("/images/", "/other/a.jpg", False),
        ("*.jpg$", "/deep/a.jpg", True),
        ("*.jpg$", "/deep/a.jpg?x=1", False),
        ("/a+b", "/a+b", True),
        ("/a.b", "/axb", False),
    ],
)
def test_tdmrep_patterns_match_paths(pattern: str, path: str, is_reserved: bool) -> None:
    refusal = rules(reserved=(pattern,)).refusal(f"http://h.org{path}", AGENT)
    assert (refusal is not None) == is_reserved
    assert refusal is None or refusal.reason is Reason.OPT_OUT_TDM


def test_tdmrep_reads_reservations_and_passes_over_the_rest() -> None:
    body = json.dumps(
        [
            {"location": "/a/", "tdm-reservation": 1, "tdm-policy": "http://h.org/policy"},
            {"location": "/b/", "tdm-reservation": 0},
            "nonsense",
        ]
    ).encode()
    assert read_tdmrep(200, body) == ("/a/",)
    assert read_tdmrep(404, body) == ()
    assert read_tdmrep(200, b"<html>") == ()
    assert read_tdmrep(200, b'{"location": "/"}') == ()


def test_real_robots_files_are_read(shared_data: Path) -> None:
    folder = shared_data / "crawler/robots/protego"
    with tarfile.open(folder / "test_data_robots.tar.gz") as archive:
        members = [member for member in archive.getmembers() if member.isfile()][::20]
        bodies = [file.read() for member in members if (file := archive.extractfile(member))]
    assert len(bodies) > 100
    for body in bodies:
        rules(body).refusal("http://example.org/a/picture.jpg", AGENT)
    wikipedia = rules((folder / "selected_hosts/en.wikipedia.org").read_bytes())
    assert wikipedia.refusal("https://en.wikipedia.org/w/api.php", AGENT) is not None
    assert wikipedia.refusal("https://en.wikipedia.org/wiki/File:A.jpg", AGENT) is None
