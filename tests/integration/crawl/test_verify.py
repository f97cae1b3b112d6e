"""Receipts are checked again over real HTTP: what ends one, what does not, and what comes back."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from demo_run import MIRRORSET
from loopback import (
    BY,
    Answer,
    Query,
    Site,
    kept,
    ordered,
    page,
    photograph,
    serving,
    sitemap,
    wait_until,
)
from typer.testing import CliRunner

from crawlers.order import CrawlOrder, Politeness, RecheckSummary, RecheckTerms
from crawlers.run import crawl, recheck
from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart
from crawlers.sources.urls import UrlsStart
from flows.cli import app
from mirrorset.catalogue import Catalogue
from mirrorset.errors import MirrorsetError
from mirrorset.receipts import read_receipts
from mirrorset.records import Quarantine, Reason, Sighting, Verification, utc_now

ND = BY.replace("/by/", "/by-nd/")
BY_SA = BY.replace("/by/", "/by-sa/")
NOAI = '<meta name="robots" content="noai">'


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def verified(order: CrawlOrder, **terms: Any) -> RecheckSummary:
    """Checks every receipt of the order's source."""
    terms = {"due_before": utc_now(), **terms}
    return recheck(order.model_copy(update={"recheck": RecheckTerms(**terms)}))


def quarantines(order: CrawlOrder) -> dict[str, Quarantine]:
    """By the last part of the item's id."""
    with Catalogue(order.catalogue_url) as catalogue:
        held = list(catalogue.read(Quarantine))
    return {one.source_item_id.rpartition("/")[2]: one for one in held}


def gallery(site: Site, folder: Path, names: Sequence[str] = ("0", "1")) -> CrawlOrder:
    """Pages /p/NAME.html with pictures /i/NAME.jpg, crawled."""
    for number, name in enumerate(names):
        jpeg = Answer(photograph(number), headers={"Content-Type": "image/jpeg"})
        site.answers |= {f"/p/{name}.html": page(f"/i/{name}.jpg"), f"/i/{name}.jpg": jpeg}
    site.answers["/sitemap.xml"] = sitemap(site, [f"/p/{name}.html" for name in names])
    order = ordered(folder, GalleryStart(url=f"{site.url}/sitemap.xml"))
    assert crawl(order).stored == len(names)
    site.forget()
    return order


def wiki(site: Site, folder: Path) -> tuple[CrawlOrder, dict[str, Any]]:
    """A wiki with one file, crawled; and that file's page, to be changed."""
    content = photograph(3)
    site.answers["/commons/3.jpg"] = Answer(content)
    info = {
        "url": f"{site.url}/commons/3.jpg",
        "descriptionurl": f"{site.url}/wiki/File:3.jpg",
        "mime": "image/jpeg",
        "size": len(content),
        "width": 256,
        "height": 256,
        "sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "extmetadata": {"LicenseUrl": {"value": BY}},
    }
    shown = {"pageid": 3, "title": "File:3.jpg", "imageinfo": [info]}

    def answer(query: Query) -> Answer:
        assert "pageids" in query or "gsrsearch" in query
        body = {"batchcomplete": True, "query": {"pages": [shown]}}
        return Answer(json.dumps(body).encode())

    site.answers["/w/api.php"] = answer
    site.answers["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /w/\n")
    order = ordered(folder, CommonsStart(search="faces", api_url=f"{site.url}/w/api.php"))
    assert crawl(order).stored == 1
    site.forget()
    return order, shown


def listed(site: Site, folder: Path) -> CrawlOrder:
    """A list of two pictures, one of whose licences stands in the file; crawled."""
    xmp = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:cc="http://creativecommons.org/ns#"><cc:license rdf:resource="{BY}"/>'
        "</rdf:Description></rdf:RDF>"
    )
    site.answers["/0.jpg"] = Answer(photograph(0))
    site.answers["/1.jpg"] = Answer(photograph(1, xmp=xmp.encode()))
    (folder / "list.csv").write_text(f"url,license\n{site.url}/0.jpg,{BY}\n{site.url}/1.jpg,\n")
    order = ordered(folder, UrlsStart(path=str(folder / "list.csv")))
    assert crawl(order).stored == 2
    site.forget()
    return order


def test_receipts_that_hold_are_verified_without_fetching_a_picture(
    site: Site, tmp_path: Path
) -> None:
    order = gallery(site, tmp_path)
    before = kept(order)
    assert verified(order) == RecheckSummary(verified=2)
    assert ("HEAD", "/i/0.jpg") in site.asked
    assert site.gets("/i/0.jpg") == 0
    assert site.gets("/p/0.html") == 1
    assert site.gets("/sitemap.xml") == 0
    assert kept(order) == before
    assert not quarantines(order)


ENDINGS: dict[str, tuple[str, Answer | None, Reason]] = {
    "gone": ("/p/gone.html", Answer(b"no", 404), Reason.GONE),
    "gone-for-good": ("/p/gone-for-good.html", Answer(b"no", 410), Reason.GONE),
    "picture-gone": ("/i/picture-gone.jpg", Answer(b"no", 404), Reason.GONE),
    "private": ("/p/private.html", Answer(b"no", 401), Reason.GONE),
    "forbidden": ("/p/forbidden.html", Answer(b"no", 403), Reason.GONE),
    "picture-private": ("/i/picture-private.jpg", Answer(b"no", 403), Reason.GONE),
    "login": (
        "/i/login.jpg", Answer(b"Log in", headers={"Content-Type": "text/html"}), Reason.GONE,
    ),
    "other-page": ("/p/other-page.html", Answer(b"<html>Words</html>"), Reason.GONE),
    "nd": ("/p/nd.html", page("/i/nd.jpg", ND), Reason.NO_DERIVATIVES),
    "reserved": ("/p/reserved.html", page("/i/reserved.jpg", "/terms"), Reason.LICENCE_UNKNOWN),
    "silent": ("/p/silent.html", page("/i/silent.jpg", ""), Reason.LICENCE_MISSING),
    "meta": ("/p/meta.html", page("/i/meta.jpg", extra=NOAI), Reason.OPT_OUT_NOAI),
    "header": ("/i/header.jpg", Answer(headers={"X-Robots-Tag": "noai"}), Reason.OPT_OUT_NOAI),
    "tdm": ("/i/tdm.jpg", Answer(headers={"TDM-Reservation": "1"}), Reason.OPT_OUT_TDM),
    "robots-picture": ("/i/robots-picture.jpg", None, Reason.ROBOTS),
    "robots-page": ("/p/robots-page.html", None, Reason.ROBOTS),
    "tdmrep": ("/i/tdmrep.jpg", None, Reason.OPT_OUT_TDM),
}  # fmt: skip
ROBOTS = b"User-agent: *\nDisallow: /i/robots-picture.jpg\nDisallow: /p/robots-page.html\n"
TDMREP = b'[{"location": "/i/tdmrep.jpg", "tdm-reservation": 1}]'


def test_what_ends_a_receipt(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path, ["fine", *ENDINGS])
    site.answers |= {path: answer for path, answer, _ in ENDINGS.values() if answer}
    site.answers["/robots.txt"] = Answer(ROBOTS)
    site.answers["/.well-known/tdmrep.json"] = Answer(TDMREP)
    reasons = {name: reason for name, (_, _, reason) in ENDINGS.items()}
    summary = verified(order, quarantine_days=7)
    held = quarantines(order)
    assert {name.removesuffix(".html"): one.reason for name, one in held.items()} == reasons
    assert summary == RecheckSummary(verified=1, quarantined=Counter(reasons.values()))
    images = {one.source_item_id: one.image_id for one in kept(order).sightings}
    for one in held.values():
        assert one.image_id == images[one.source_item_id]
        assert one.detail.endswith(".")
        assert one.expires_at - one.since == timedelta(days=7)
    assert not kept(order).rejected


def test_a_server_in_trouble_ends_no_receipt(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path, ["a", "b", "c"])
    well = dict(site.answers)
    site.answers |= {
        "/p/a.html": Answer(status=500),
        "/i/b.jpg": Answer(status=503),
        "/p/c.html": Answer(status=429),
    }
    assert verified(order) == RecheckSummary(unreachable=3)
    assert not quarantines(order)
    site.answers |= well
    assert verified(order) == RecheckSummary(verified=3)


def test_a_server_that_is_down_ends_no_receipt(tmp_path: Path) -> None:
    with serving() as site:
        order = gallery(site, tmp_path)
    assert verified(order) == RecheckSummary(unreachable=2)
    assert not quarantines(order)


def test_a_server_that_does_not_speak_head_is_asked_for_the_first_bytes(
    site: Site, tmp_path: Path
) -> None:
    order = gallery(site, tmp_path, ["0"])
    whole = site.answers["/i/0.jpg"]

    def answer_of(method: str) -> Answer:
        assert isinstance(whole, Answer)
        return whole if method == "GET" else Answer(status=405)

    site.answers["/i/0.jpg"] = lambda _: answer_of(site.log[-1].method)
    assert verified(order) == RecheckSummary(verified=1)
    (got,) = (one for one in site.log if (one.method, one.path) == ("GET", "/i/0.jpg"))
    assert got.headers["range"].startswith("bytes=0-")


def test_what_comes_back_leaves_quarantine(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path)
    site.answers["/p/0.html"], shown = Answer(b"no", 404), site.answers["/p/0.html"]
    verified(order)
    (first,) = quarantines(order).values()
    site.answers["/i/0.jpg"], picture = Answer(b"no", 404), site.answers["/i/0.jpg"]
    site.answers["/p/0.html"] = page("/i/0.jpg", ND)
    # What is in quarantine is due however recently it was checked, and does not stay longer for it.
    later = verified(order, due_before=utc_now() - timedelta(days=1))
    assert later == RecheckSummary(still_quarantined=1)
    (again,) = quarantines(order).values()
    assert again == first.model_copy(update={"reason": again.reason, "detail": again.detail})
    assert again.reason == Reason.NO_DERIVATIVES
    site.answers |= {"/p/0.html": shown, "/i/0.jpg": picture}
    assert verified(order, due_before=utc_now() - timedelta(days=1)) == RecheckSummary(released=1)
    (ended,) = quarantines(order).values()
    assert not ended.is_active
    assert verified(order, due_before=utc_now() - timedelta(days=1)) == RecheckSummary()
    site.answers["/p/0.html"] = Answer(b"no", 410)
    assert verified(order).quarantined == {Reason.GONE: 1}
    (anew,) = quarantines(order).values()
    assert anew.is_active
    assert anew.since > first.since


def test_a_quarantine_that_has_expired_is_not_looked_at_again(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path, ["0"])
    shown = site.answers["/p/0.html"]
    site.answers["/p/0.html"] = Answer(b"no", 404)
    verified(order)
    (held,) = quarantines(order).values()
    long_ago = {"since": held.since - timedelta(31), "expires_at": held.since - timedelta(1)}
    with Catalogue(order.catalogue_url) as catalogue:
        catalogue.upsert([held.model_copy(update=long_ago)])
    site.answers["/p/0.html"] = shown
    assert verified(order) == RecheckSummary()
    assert quarantines(order)["0.html"].is_active


def test_a_crawl_brings_nothing_back_from_quarantine(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path, ["0"])
    shown = site.answers["/p/0.html"]
    site.answers["/p/0.html"] = page("/i/0.jpg", ND)
    verified(order)
    held = quarantines(order)
    for answer in (site.answers["/p/0.html"], shown, page("/i/0.jpg", BY_SA)):
        site.answers["/p/0.html"] = answer
        crawl(order)
        assert quarantines(order) == held


def test_another_licence_that_allows_the_use_is_a_new_receipt(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path)
    before = {one.image_url: one for one in kept(order).sightings}
    site.answers["/p/0.html"] = page("/i/0.jpg", BY_SA)
    assert verified(order) == RecheckSummary(verified=1, renewed=1)
    after = {one.image_url: one for one in kept(order).sightings}
    url = f"{site.url}/i/0.jpg"
    assert after[url].licence.code == "CC-BY-SA"
    assert after[url].evidence.licence_text == BY_SA
    assert after[url].evidence.headers == before[url].evidence.headers
    assert after[url].seen_at > before[url].seen_at
    del before[url], after[url]
    assert after == before


def test_only_what_is_due_is_asked_for(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path)
    month = {"due_before": utc_now() - timedelta(days=30)}
    assert verified(order, **month) == RecheckSummary()
    with Catalogue(order.catalogue_url) as catalogue:
        old = utc_now() - timedelta(days=31)
        aged = [one.model_copy(update={"seen_at": old}) for one in catalogue.read(Sighting)]
        catalogue.upsert(aged)
    assert verified(order, **month) == RecheckSummary(verified=2)
    site.forget()
    assert verified(order, **month) == RecheckSummary()
    assert site.asked == []


def test_a_wiki_is_asked_by_page_id(site: Site, tmp_path: Path) -> None:
    order, shown = wiki(site, tmp_path)
    assert verified(order) == RecheckSummary(verified=1)
    (asked,) = (one for one in site.log if one.path == "/w/api.php")
    assert asked.query["pageids"] == "3"
    shown["imageinfo"][0]["extmetadata"] = {"LicenseUrl": {"value": ND}}
    assert verified(order).quarantined == {Reason.NO_DERIVATIVES: 1}
    del shown["imageinfo"]
    shown["missing"] = True
    assert verified(order).still_quarantined == 1
    assert quarantines(order)["3"].reason == Reason.GONE


def test_an_api_that_refuses_the_question_ends_no_receipt(site: Site, tmp_path: Path) -> None:
    order, _ = wiki(site, tmp_path)
    error = {"error": {"code": "badtoken", "info": "No."}}
    site.answers["/w/api.php"] = Answer(json.dumps(error).encode())
    assert verified(order) == RecheckSummary(unreachable=1)


def test_of_a_list_only_the_picture_can_be_asked(site: Site, tmp_path: Path) -> None:
    order = listed(site, tmp_path)
    assert verified(order) == RecheckSummary(verified=2)
    assert [one.method for one in site.log if one.path == "/0.jpg"] == ["HEAD"]
    site.answers["/1.jpg"] = Answer(photograph(1))
    site.answers["/0.jpg"] = Answer(status=410)
    assert verified(order).quarantined == {Reason.GONE: 1, Reason.LICENCE_MISSING: 1}


def test_a_use_that_was_changed_is_judged_anew(site: Site, tmp_path: Path) -> None:
    order = listed(site, tmp_path)
    non_commercial = BY.replace("/by/", "/by-nc/")
    with Catalogue(order.catalogue_url) as catalogue:
        for sighting in list(catalogue.read(Sighting)):
            if sighting.image_url.endswith("0.jpg"):
                stated = {"licence_text": non_commercial}
                evidence = sighting.evidence.model_copy(update=stated)
                catalogue.upsert([sighting.model_copy(update={"evidence": evidence})])
    commercial = order.model_copy(update={"intended_use": "commercial"})
    assert verified(commercial) == RecheckSummary(
        verified=1, quarantined={Reason.NON_COMMERCIAL: 1}
    )


def test_processes_share_a_recheck(tmp_path: Path) -> None:
    with serving("127.0.0.1") as pages, serving("127.0.0.2") as pictures:
        order = gallery(pages, tmp_path, "0123")
        for n in range(4):
            pictures.answers[f"/i/{n}.jpg"] = pages.answers[f"/i/{n}.jpg"]
            pages.answers[f"/p/{n}.html"] = page(f"{pictures.url}/i/{n}.jpg")
        shared = order.model_copy(update={"shards": 2})
        assert verified(shared) == RecheckSummary(verified=4)
        assert sum(one.method == "HEAD" for one in pictures.log) == 4


def test_a_daily_cap_holds_and_the_rest_waits(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path)
    capped = Politeness(start_delay_s=0, daily_cap=1)
    summary = verified(order.model_copy(update={"politeness": capped}))
    assert summary.waiting > 0
    assert verified(order).verified == 2


_VERIFY = """
import sys
from crawlers.order import CrawlOrder
from crawlers.run import recheck
recheck(CrawlOrder.model_validate_json(sys.stdin.read()))
"""


def test_a_killed_recheck_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    order = gallery(site, tmp_path, "0123456789ab")
    site.answers["/p/b.html"] = Answer(b"no", 404)
    due_before = utc_now()
    terms = RecheckTerms(due_before=due_before)
    asking = order.model_copy(update={"recheck": terms}).model_dump_json()
    site.delay_s = 0.1
    running = subprocess.Popen(
        [sys.executable, "-c", _VERIFY], stdin=subprocess.PIPE, start_new_session=True
    )
    assert running.stdin is not None
    running.stdin.write(asking.encode())
    running.stdin.close()

    def done() -> int:
        with Catalogue(order.catalogue_url) as catalogue:
            return catalogue.count(Verification)

    wait_until(lambda: done() >= 3)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = done()
    assert before < 11
    site.delay_s = 0
    site.forget()
    assert verified(order, due_before=due_before) == RecheckSummary(
        verified=11, quarantined={Reason.GONE: 1}
    )
    asked = [path for method, path in site.asked if method == "HEAD"]
    assert len(asked) == len(set(asked)) < 11


# --- the commands -----------------------------------------------------------------------------


def command(*arguments: str, code: int = 0) -> Any:
    """What `mirrorset … --json` says, in this process: one of its own takes seconds to start."""
    ended = CliRunner().invoke(app, [*arguments, "--json"])
    if code == 0:
        assert ended.exit_code == 0, ended.exception
        return json.loads(ended.stdout)
    assert isinstance(ended.exception, MirrorsetError)
    assert ended.exception.exit_code == code
    return str(ended.exception)


@pytest.fixture
def workspace(site: Site, tmp_path: Path) -> Path:
    """A workspace with a gallery of two pictures, crawled."""
    home = tmp_path / "faces"
    command("init", str(home))
    for n in range(2):
        site.answers |= {f"/p/{n}.html": page(f"/i/{n}.jpg"), f"/i/{n}.jpg": Answer(photograph(n))}
    site.answers["/sitemap.xml"] = sitemap(site, ["/p/0.html", "/p/1.html"])
    params = home / "params.yaml"
    source = f"[{{source: gallery, url: {site.url}/sitemap.xml}}]\n  allow_addresses: [127.0.0.0/8]"
    params.write_text(params.read_text().replace("sources: []", f"sources: {source}"))
    return home


@pytest.mark.usefixtures("prefect")
def test_the_commands_tell_what_a_quarantine_concerns(site: Site, workspace: Path) -> None:
    at_home = ("--home", str(workspace))
    (plan,) = command("crawl", "--dry-run", *at_home).values()
    counted = {"found": 2, "would_fetch": {"CC-BY": 2}, "rejected": {}}
    assert plan == {**counted, "stored": 0, "already_known": 0, "waiting": 0, "fault": ""}
    (crawled,) = command("crawl", *at_home).values()
    assert crawled["stored"] == 2

    exported = workspace / "receipts.jsonl"
    assert command("crawl", "receipts", "--out", str(exported), *at_home)["exported"] == 2
    first, second = read_receipts(exported)
    (shown,) = command("crawl", "receipts", first.image_id[:10], *at_home)["receipts"]
    assert shown == first.model_dump(mode="json")
    readable = subprocess.run(
        [MIRRORSET, "crawl", "receipts", first.image_id, *at_home],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert first.receipt_id[:12] in readable
    assert first.licence_text in readable
    assert "No receipt is kept" in command("crawl", "receipts", "0" * 64, *at_home, code=3)
    assert "--out" in command("crawl", "receipts", *at_home, code=2)

    release = workspace / "data/releases/faces/0.1.0"
    release.mkdir(parents=True)
    (release / "release.json").write_text("{}")
    (release / "ATTRIBUTION.csv").write_text(f"image_id\n{first.image_id}\n{second.image_id}\n")
    subprocess.run(["git", "tag", "faces-0.0.1"], cwd=workspace, check=True)
    assert command("verify-licences", *at_home)["checked"] == 0
    site.answers[urlsplit(first.image_url).path] = Answer(b"no", 410)
    found = command("verify-licences", "--all", *at_home)
    assert (found["checked"], found["verified"]) == (2, 1)
    assert found["quarantined"] == {"gone": 1}
    assert (found["in_quarantine"], found["to_erase"], found["orphans"]) == (1, 0, 0)
    assert found["releases"] == {"faces 0.1.0": 1}
    assert found["releases_not_here"] == ["faces-0.0.1"]
    assert found["unasked"] == {}
