"""A crawl that is killed: nothing is lost, nothing is done twice, and nobody stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import Site, fill_gallery, kept, ordered, photograph, wait_until

from crawlers.order import CrawlOrder, CrawlSummary
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart
from crawlers.sources.urls import UrlsStart
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError, UnavailableError

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the child in /proc"),
]


def gallery(site: Site) -> GalleryStart:
    return GalleryStart(url=f"{site.url}/sitemap.xml")


def killed(order: CrawlOrder) -> None:
    """A crawl whose processes are killed as soon as it has stored something."""

    def kill(so_far: CrawlSummary) -> None:
        for pid in children() if so_far.stored else ():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(UnavailableError, match=r"died \(status -9\).*crawl\.log"):
        crawl(order, kill)


def children() -> list[int]:
    """The processes of a crawl that this one has started."""
    found = [
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    return [pid for pid in found if b"crawlers" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.thorough  # test_many_kills.py kills one five times
def test_a_killed_crawl_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    paths = fill_gallery(site, 60)
    site.delay_s = 0.1
    order = ordered(tmp_path, gallery(site))
    killed(order)
    settled = {item.replace("/p/", "/i/").replace(".html", ".jpg") for item in items(order)}
    assert set() < settled < set(paths)

    site.forget()
    site.delay_s = 0.0
    assert crawl(order) == CrawlSummary(found=60, stored=60)
    assert not settled & {path for _, path in site.asked}, "what was settled is asked for again"
    store = kept(order)
    assert len(store.settled) == len(set(store.settled)) == 60
    blobs = BlobStore(order.blobs_url)
    contents = {blobs.get(seen.image_id) for seen in store.sightings}
    assert contents == {photograph(n) for n in range(60)}


def items(order: CrawlOrder) -> set[str]:
    return {seen.source_item_id.removeprefix("127.0.0.1") for seen in kept(order).sightings}


def test_several_processes_are_killed_and_go_on_as_another_number(
    site: Site, tmp_path: Path
) -> None:
    fill_gallery(site, 60)
    site.delay_s = 0.1
    order = ordered(tmp_path, gallery(site), shards=2)
    killed(order)
    site.delay_s = 0.0
    assert crawl(order.model_copy(update={"shards": 1})) == CrawlSummary(found=60, stored=60)


def test_a_dead_parent_leaves_no_crawl_behind(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 400)
    site.delay_s = 0.05
    order = ordered(tmp_path, gallery(site))
    order_path = tmp_path / "order.json"
    order_path.write_text(order.model_dump_json())
    program = (
        "import sys, pathlib\n"
        "from crawlers.order import CrawlOrder\n"
        "from crawlers.run import crawl\n"
        "crawl(CrawlOrder.model_validate_json(pathlib.Path(sys.argv[1]).read_bytes()))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(order_path)]) as parent:
        wait_until(lambda: len(site.log) > 20)
        parent.kill()
    time.sleep(0.5)
    asked = len(site.log)
    time.sleep(1.0)
    assert len(site.log) == asked < 400


def test_a_list_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv"):
        crawl(ordered(tmp_path, UrlsStart(path=str(tmp_path / "absent.csv"))))
