"""A crawl that is killed again and again: the same end, and nothing done twice."""

import random
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from loopback import BY, Answer, Site, kept, ordered, sitemap
from PIL import Image
from skimage import data
from sqlalchemy import create_engine, text
from thorough import thorough

from crawlers.order import CrawlOrder, CrawlSummary
from crawlers.sources.gallery import GalleryStart
from mirrorset.records import Record

PICTURES_A_PAGE = 10
SIDE_PX = 64
# Entries that one process takes of one host: four for each connection (crawlers/spider.py).
MOST_UNDER_WAY = 16


def fill(site: Site, pages: int) -> None:
    """Pages of ten pictures each; every tenth page has one without a licence and a broken one."""
    astronaut = Image.fromarray(data.astronaut())
    for n in range(pages * PICTURES_A_PAGE):
        left, top = n % 448, n * 7 % 448
        out = BytesIO()
        astronaut.crop((left, top, left + SIDE_PX, top + SIDE_PX)).save(out, "JPEG", quality=60)
        content = out.getvalue() + b"\0" * (n // 448)
        site.answers[f"/i/{n}.jpg"] = Answer(content[:-300] if n % 100 == 50 else content)
    for page in range(pages):
        figures = "".join(
            f'<figure><img src="/i/{n}.jpg">'
            + ("" if n % 100 == 10 else f'<a rel="license" href="{BY}">CC BY</a>')
            + "</figure>"
            for n in range(page * PICTURES_A_PAGE, (page + 1) * PICTURES_A_PAGE)
        )
        site.answers[f"/p/{page}.html"] = Answer(f"<html>{figures}</html>".encode())
    site.answers["/sitemap.xml"] = sitemap(site, [f"/p/{page}.html" for page in range(pages)])


def the_order(folder: Path, site: Site) -> CrawlOrder:
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    return ordered(folder, start, pixels={"min_side_px": SIDE_PX})


def started(order: CrawlOrder) -> "subprocess.Popen[bytes]":
    file = order.log.parent / "order.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(order.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-m", "crawlers", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def finished(order: CrawlOrder) -> CrawlSummary:
    with started(order) as process:
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return CrawlSummary.model_validate_json(out)


def killed_after(requests: int, order: CrawlOrder, site: Site) -> set[str]:
    """Kill a crawl after so many requests; the paths asked for that it had not settled."""
    before = len(site.log)
    with started(order) as process:
        while len(site.log) < before + requests and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -9, "it was over before it could be killed"
    engine = create_engine(order.catalogue_url)
    with engine.connect() as connection:
        pending = connection.execute(text("SELECT url FROM frontier WHERE outcome IS NULL"))
        unsettled = {url.removeprefix(site.url) for (url,) in pending}
    engine.dispose()
    return unsettled & {asked.path for asked in site.log[before:]}


def facts(order: CrawlOrder) -> list[Record]:
    """All that was kept, without the times."""
    store = kept(order)
    sightings = [seen.model_copy(update={"seen_at": None}) for seen in store.sightings]
    return [*store.images, *sightings, *store.rejected]


def blobs(order: CrawlOrder) -> dict[str, bytes]:
    root = Path(order.blobs_url)
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(("pages", "kills"), [(50, 5), *thorough((200, 20))])
def test_many_kills_leave_what_an_undisturbed_run_leaves(
    site: Site, tmp_path: Path, pages: int, kills: int
) -> None:
    fill(site, pages)
    pictures = pages * PICTURES_A_PAGE
    undisturbed = the_order(tmp_path / "undisturbed", site)
    whole = finished(undisturbed)
    asked_once = len(site.log)
    site.forget()

    chance = random.Random(3)
    order = the_order(tmp_path / "killed", site)
    under_way: list[set[str]] = []
    for _ in range(kills):
        # Each process asks for the host's rules, and by HEAD, before anything else.
        requests = 4 + chance.randint(1, 2 * pictures // kills - 40)
        under_way.append(killed_after(requests, order, site))
    assert finished(order) == whole
    assert whole.found == pictures
    assert whole.stored > pictures * 0.9

    assert facts(order) == facts(undisturbed)
    assert blobs(order) == blobs(undisturbed)
    assert all(len(unsettled) <= MOST_UNDER_WAY for unsettled in under_way)
    for path in site.answers:
        repeats = site.gets(path) - 1
        assert repeats <= sum(path in unsettled for unsettled in under_way), path
    assert len(site.log) <= asked_once + sum(map(len, under_way)) + kills * 5
