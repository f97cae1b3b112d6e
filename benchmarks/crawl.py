"""Crawls one local nginx with mirrorset, all gates on, and with img2dataset, in turn.

    .venv/bin/python benchmarks/crawl.py [--repetitions 3] [--memory] [--without-prefect]

Prints a table and, as its last line, JSON. `ratio` is mirrorset's whole-process images/s (the crawl
room's own process from the interpreter's start to its exit, catalogue written) over img2dataset's
with `--resize_mode no`, medians of the repetitions, img2dataset at the best of the settings tried.
So called, img2dataset encodes each picture anew; at the same setting it is also run keeping the
original bytes, once decoded and once unseen. `--memory` adds crawls of 10,000 and 30,000 pictures.
"""

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import crawl_images
import crawl_ours
import crawl_peer
import crawl_server
from crawl_ours import OurRun
from crawl_peer import PeerRun, Setting
from crawl_server import Served, Server
from measured import this_machine

from mirrorset.settings import Settings

_IMAGES = 3000
#: Of a shorter crawl; what CPU time a longer one takes beyond it is the steady state's.
_FEW = 1000
_MANY = (10_000, 30_000)
_LICENCE = "https://creativecommons.org/licenses/by/4.0/"


@dataclass(frozen=True)
class Bench:
    """The running server, the list of pictures, and where both programs work."""

    server: Server
    peer: Path
    empty_workspace: Path
    scratch: Path
    numbers: "count[int]"

    def ours(self, images: int, has_prefect: bool = False) -> "Row":
        """One crawl by mirrorset."""
        listing = self._folder("urls").with_suffix(".csv")
        rows = "".join(f"{url},{_LICENCE}\n" for url in self._urls(images))
        listing.write_text(f"url,licence\n{rows}")
        source = {"source": "urls", "path": str(listing)}
        before = self.server.served()
        done = crawl_ours.crawl(
            self.empty_workspace, self._folder("ours"), source, images, has_prefect
        )
        name = "mirrorset crawl, with Prefect" if has_prefect else "mirrorset, the crawl room"
        return Row(name, done, self.server.served().since(before))

    def peers(self, images: int, setting: Setting) -> "Row":
        """One crawl by img2dataset."""
        before = self.server.served()
        done = crawl_peer.crawl(self.peer, self._urls(images), self._folder("peer"), setting)
        return Row(f"img2dataset {setting}", done, self.server.served().since(before))

    def _urls(self, images: int) -> list[str]:
        # The same files under other addresses, where more are wanted than there are.
        urls = (f"{self.server.url}/images/{number % _IMAGES}.jpg" for number in range(images))
        return [
            url if number < _IMAGES else f"{url}?n={number // _IMAGES}"
            for number, url in enumerate(urls)
        ]

    def _folder(self, name: str) -> Path:
        return self.scratch / f"{name}-{next(self.numbers)}"


@dataclass(frozen=True)
class Row:
    """One run of one program, and what the server did for it."""

    name: str
    run: OurRun | PeerRun
    served: Served

    @property
    def whole_images_s(self) -> float:
        """Images over the wall time of the whole process."""
        return self.run.images / self.run.measured.wall_s

    def figures(self) -> dict[str, Any]:
        """The raw figures: rates in images/s, times in s and in CPU ms an image or request."""
        requests = self.served.requests.total()
        return {
            "name": self.name,
            "images": self.run.images,
            "whole_images_s": round(self.whole_images_s, 1),
            "steady_images_s": round(self.run.steady_images_s, 1),
            "wall_s": round(self.run.measured.wall_s, 2),
            "cpu_ms_an_image": round(1000 * self.run.measured.cpu_s / self.run.images, 2),
            "peak_rss_mb": round(self.run.measured.peak_rss_mb),
            "requests_an_image": round(requests / self.run.images, 2),
            "requests": dict(sorted(self.served.requests.items())),
            "nginx_cpu_ms_a_request": round(1000 * self.served.cpu_s / requests, 3),
        }


def main() -> None:
    """Run everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3, help="of both programs in turn")
    parser.add_argument("--memory", action="store_true", help="crawl 10,000 and 30,000 as well")
    parser.add_argument(
        "--without-prefect", action="store_true", help="leave `mirrorset crawl` itself out"
    )
    wanted = parser.parse_args()
    cache = Settings().cache
    folder, shown = crawl_images.make(cache, _IMAGES)
    mean_kb = statistics.mean(path.stat().st_size for path in folder.iterdir()) / 1000
    machine = {
        **this_machine(),
        "pictures": f"{_IMAGES} JPEGs, 768 px, mean {mean_kb:.0f} kB: variants of {shown}",
    }
    peer = crawl_peer.environment(cache)
    crawl_ours.compile_modules()
    with tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as name:
        scratch = Path(name)
        root = scratch / "served"
        root.mkdir()
        (root / "images").symlink_to(folder)
        (root / "robots.txt").write_text("User-agent: *\nAllow: /\n")
        crawl_ours.fresh(scratch / "empty")
        with crawl_server.serve(root, cache) as server:
            machine["server"] = f"{server.version}, one worker"
            print("\n".join(f"{key:12}{value}" for key, value in machine.items()), end="\n\n")
            bench = Bench(server, peer, scratch / "empty", scratch, count())
            figures = _compared(bench, wanted)
    machine["load_after"] = round(os.getloadavg()[0], 1)
    print(json.dumps({**figures, "machine": machine}, ensure_ascii=False))


def _compared(bench: Bench, wanted: argparse.Namespace) -> dict[str, Any]:
    print(_HEAD)
    tried = [_shown(bench.peers(_IMAGES, setting)) for setting in crawl_peer.SETTINGS]
    fastest = max(range(len(tried)), key=lambda index: tried[index].whole_images_s)
    setting = crawl_peer.SETTINGS[fastest]
    others = [
        _shown(bench.peers(_IMAGES, setting._replace(keeping=keeping)))
        for keeping in ("originals", "unchecked")
    ]
    few_ours, few_peers = _shown(bench.ours(_FEW)), _shown(bench.peers(_FEW, setting))
    ours: list[Row] = []
    peers: list[Row] = []
    for repetition in range(wanted.repetitions):
        # In turn, and each as often first as the other: what warms or tires the machine is shared.
        for is_ours in (True, False) if repetition % 2 == 0 else (False, True):
            if is_ours:
                ours.append(_shown(bench.ours(_IMAGES)))
            else:
                peers.append(_shown(bench.peers(_IMAGES, setting)))
    prefect = [] if wanted.without_prefect else [_shown(bench.ours(_IMAGES, has_prefect=True))]
    more = [_shown(bench.ours(images)) for images in _MANY if wanted.memory]
    of_ours, of_peers = _medians(ours, few_ours), _medians(peers, few_peers)
    ratio = of_ours["whole_images_s"] / of_peers["whole_images_s"]
    memory = {row.run.images: row.figures()["peak_rss_mb"] for row in (few_ours, ours[0], *more)}
    print(f"\nimg2dataset's best setting: {setting}")
    print(f"peak memory of mirrorset, MB by images crawled: {memory}")
    for what in ("whole_images_s", "steady_images_s", "cpu_ms_an_image", "steady_cpu_ms_an_image"):
        print(f"{what:24}mirrorset {of_ours[what]:8.1f}   img2dataset {of_peers[what]:8.1f}")
    originals = of_ours["whole_images_s"] / others[0].whole_images_s
    print(f"ratio, whole process: {ratio:.2f} (where it keeps the originals: {originals:.2f})")
    return {
        "ratio": round(ratio, 3),
        "ratio_originals_kept": round(originals, 3),
        "ours": {
            **of_ours,
            "with_prefect": [row.figures() for row in prefect],
            "peak_rss_mb_by_images": memory,
            "runs": [row.figures() for row in (few_ours, *ours, *more)],
        },
        "peer": {
            **of_peers,
            "version": "img2dataset 1.47.0",
            "setting": str(setting),
            "runs": [row.figures() for row in (few_peers, *peers)],
            "tried": [row.figures() for row in (*tried, *others)],
        },
    }


def _medians(rows: list[Row], few: Row) -> dict[str, float]:
    cpu_s = statistics.median(row.run.measured.cpu_s for row in rows)
    images = rows[0].run.images
    steady_cpu_s = cpu_s - few.run.measured.cpu_s
    figures = [row.figures() for row in rows]
    return {
        **{
            what: statistics.median(figure[what] for figure in figures)
            for what in ("whole_images_s", "steady_images_s", "cpu_ms_an_image", "peak_rss_mb")
        },
        "steady_cpu_ms_an_image": round(1000 * steady_cpu_s / (images - few.run.images), 2),
    }


_HEAD = (
    f"{'':44}{'images':>7}{'whole/s':>9}{'steady/s':>10}{'wall s':>8}{'CPU ms':>8}{'MB':>6}"
    f"{'requests':>10}{'nginx CPU ms':>14}\n"
    f"{'':78}{'/image':>8}{'':6}{'/image':>10}{'/request':>14}"
)


def _shown(row: Row) -> Row:
    figure = row.figures()
    print(
        f"{row.name:44}{figure['images']:7}{figure['whole_images_s']:9.1f}"
        f"{figure['steady_images_s']:10.1f}{figure['wall_s']:8.1f}{figure['cpu_ms_an_image']:8.2f}"
        f"{figure['peak_rss_mb']:6}{figure['requests_an_image']:10.2f}"
        f"{figure['nginx_cpu_ms_a_request']:14.3f}",
        flush=True,
    )
    return row


if __name__ == "__main__":
    main()
