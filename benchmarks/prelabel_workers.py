"""Labels the same photographs with one worker of a Dask cluster and with two, in turn.

    .venv/bin/python benchmarks/prelabel_workers.py [--repetitions 3] [--copies 2]

Prints tables and, as its last line, JSON. `ratio` is two workers' images/s over one worker's, the
medians of the repetitions: the product's own path from the catalogue's open images to records kept
by it, the full profile, workers of one thread each whose models' sessions have one thread too.
A worker's start and the loading of its models do not count: each labels a shard first.
`ratio_processes` is the same of processes that this machine starts without Dask: what its cores
give. On cores that share their arithmetic, or have other work, neither can be 2.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import prelabel_photos
from distributed import LocalCluster
from measured import this_machine

from annotation.cluster import Cluster
from annotation.labelling import Team, labelled
from annotation.prelabel import PrelabelParams
from annotation.processes import Processes
from annotation.worker import LabelOrder
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.unlabelled import unlabelled
from mirrorset.pixels import PixelParams, inspect
from mirrorset.settings import Settings
from mirrorset.spool import ingest, write_encoded
from mirrorset.workspace import Workspace, init

_ROOT = Path(__file__).resolve().parents[1]
_SHARD = 16


def main() -> None:
    """Run everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3, help="of one and two, in turn")
    parser.add_argument("--copies", type=int, default=2, help="of each photograph")
    parser.add_argument("--photos", type=Path, default=_ROOT.parent / "shared/data/photos")
    wanted = parser.parse_args()
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as name:
        scratch = Path(name)
        images = prelabel_photos.make(wanted.photos, scratch / "photos", wanted.copies)
        workspace = _filled(scratch)
        print(f"{images} JPEGs, {prelabel_photos.WIDTH_PX} px wide, {_SHARD} in a shard")
        print("\n".join(f"{key:12}{value}" for key, value in machine.items()), end="\n\n")
        rates: dict[str, list[float]] = {}
        for repetition in range(wanted.repetitions):
            order = (1, 2) if repetition % 2 == 0 else (2, 1)
            for by, kind in (("dask", _dask), ("processes", _processes)):
                for count in order:
                    with kind(count, scratch) as team:
                        rate = images / _seconds(team, workspace, scratch)
                    rates.setdefault(f"{by}_{count}", []).append(round(rate, 2))
                    print(f"{by:10} {count} at work {rate:8.2f} images/s", flush=True)
    machine["load_after"] = round(os.getloadavg()[0], 1)
    median = {name: statistics.median(of_name) for name, of_name in rates.items()}
    figures = {
        "ratio": round(median["dask_2"] / median["dask_1"], 3),
        "ratio_processes": round(median["processes_2"] / median["processes_1"], 3),
        "images": images,
        "images_s": median,
        "images_s_by_repetition": rates,
        "machine": machine,
    }
    print(json.dumps(figures, ensure_ascii=False))


def _filled(scratch: Path) -> Workspace:
    """A workspace whose blob store has the photographs."""
    workspace = init(scratch / "workspace")
    for path in sorted((scratch / "photos").iterdir()):
        workspace.blobs.put(path.read_bytes())
    return workspace


@contextmanager
def _dask(count: int, scratch: Path) -> Iterator[Team]:
    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            local_directory=str(scratch),
        ) as cluster,
        Cluster(cluster.scheduler_address) as team,
    ):
        yield team


@contextmanager
def _processes(count: int, _: Path) -> Iterator[Team]:
    with Processes(count) as team:
        yield team


def _seconds(team: Team, workspace: Workspace, scratch: Path) -> float:
    """What labelling all photographs takes that team, as the flow `prelabel` does it."""
    order = LabelOrder(
        blobs_url=workspace.settings.blobs_url, models=Settings().models, params=PrelabelParams()
    )
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        spool = Path(folder) / "spool"
        with Catalogue(f"sqlite:///{folder}/catalogue.sqlite") as catalogue:
            found: list[Any] = [
                inspect(path.read_bytes(), PixelParams())
                for path in sorted((scratch / "photos").iterdir())
            ]
            catalogue.upsert(found)
            few = [tuple(one.image_id for one in found[at : at + 2]) for at in range(0, 16, 2)]
            for _ in labelled(team, order, iter(few)):
                pass
            began = time.perf_counter()
            profile = order.params.profile
            for shard in labelled(team, order, unlabelled(catalogue, profile, _SHARD)):
                write_encoded(spool, shard.content)
                ingest(spool, catalogue)
            return time.perf_counter() - began


if __name__ == "__main__":
    main()
