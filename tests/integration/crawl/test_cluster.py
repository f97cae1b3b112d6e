"""Shards on Dask workers: the same crawl as in one process."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster
from loopback import Site, fill_gallery, kept, ordered, serving

from crawlers.order import CrawlOrder, CrawlSummary
from crawlers.run import crawl
from crawlers.sources.urls import UrlsStart
from mirrorset import logs
from mirrorset.errors import MirrorsetError, UnavailableError


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    with serving("127.0.0.2") as a, serving("127.0.0.3") as b, serving("127.0.0.4") as c:
        for site in (a, b, c):
            fill_gallery(site, 12)
        yield [a, b, c]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of two workers."""
    with LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def listed(folder: Path, sites: list[Site], **changes: object) -> CrawlOrder:
    """An order of all pictures of the sites."""
    rows = [f"{site.url}/i/{n}.jpg,CC BY 4.0" for n in range(12) for site in sites]
    folder.mkdir(parents=True)
    (folder / "list.csv").write_text("url,license\n" + "\n".join(rows) + "\n")
    return ordered(folder, UrlsStart(path=str(folder / "list.csv")), **changes)


def test_workers_do_what_one_process_does(
    sites: list[Site], tmp_path: Path, scheduler: str
) -> None:
    alone = listed(tmp_path / "alone", sites)
    assert crawl(alone) == CrawlSummary(found=36, stored=36)
    for site in sites:
        site.forget()
    shared = listed(tmp_path / "shared", sites, shards=3, dask_scheduler=scheduler)
    with logs.written(tmp_path / "logs", "file", "run-1", "crawl"):
        assert crawl(shared) == CrawlSummary(found=36, stored=36)
    (log,) = logs.log_files(tmp_path / "logs")
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(one["run"], one["step"]) for one in said} == {("run-1", "crawl")}
    assert sorted(one["message"] for one in said if one["logger"] == "crawlers.child") == [
        f"Shard {number} of urls is done." for number in range(3)
    ]
    assert kept(shared).images == kept(alone).images
    for site in sites:
        # One worker a host: its rules are asked for once, and each picture once.
        assert site.gets("/robots.txt") == 1
        assert all(site.gets(f"/i/{n}.jpg") == 1 for n in range(12))


def test_a_fault_of_one_shard_ends_all(sites: list[Site], tmp_path: Path, scheduler: str) -> None:
    order = listed(tmp_path / "faulty", sites, shards=3)
    (tmp_path / "faulty" / "blobs").write_text("a file where a folder should be")
    with pytest.raises(MirrorsetError, match=r"The log is .*crawl\.log"):
        crawl(order.model_copy(update={"dask_scheduler": scheduler}))


def test_a_scheduler_that_does_not_answer(sites: list[Site], tmp_path: Path) -> None:
    order = listed(tmp_path / "lost", sites, shards=2, dask_scheduler="tcp://127.0.0.1:9")
    # Dask asks for ten seconds, though it is refused.
    impatient = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with impatient, pytest.raises(UnavailableError, match="No Dask scheduler answers at"):
        crawl(order)


def test_a_cluster_that_is_lost_is_said_so(sites: list[Site], tmp_path: Path) -> None:
    """And what the crawl finished before is not asked for again."""
    order = listed(tmp_path / "lost", sites, shards=3)
    for site in sites:
        site.delay_s = 0.5
    with LocalCluster(
        n_workers=1, threads_per_worker=3, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        shared = order.model_copy(update={"dask_scheduler": cluster.scheduler_address})
        ending = threading.Timer(4, cluster.close)
        ending.start()
        with pytest.raises(UnavailableError, match="scheduler was lost: what was crawled is kept"):
            crawl(shared)
        ending.join()
    assert crawl(order).waiting == 0
