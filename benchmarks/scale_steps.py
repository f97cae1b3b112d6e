"""One step over a grown catalogue, in a process of its own.

    python benchmarks/scale_steps.py STEP WORKSPACE FIRST COUNT

prints JSON: CPU seconds of all its threads, imports apart; wall seconds; peak memory in MB.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import scale_records

from curation.build import build
from curation.gates import SelectParams
from curation.group import GroupParams, group
from curation.ledger import LedgerParams
from curation.measure import measure
from curation.select import select
from curation.split import split
from flows.overview import overview
from flows.places import mint_new
from flows.snapshot import write_snapshot
from mirrorset.spool import ingest, write_shard
from mirrorset.workspace import Workspace, init, open_workspace

_IMAGES_PER_SHARD = 200
_AT = datetime(2026, 2, 1, tzinfo=UTC)


def main() -> None:
    """Run the step that the arguments name."""
    name, home, first, count = sys.argv[1:]
    if name == "init":
        init(Path(home))
    workspace = open_workspace(Path(home))
    before_mb = peak_rss_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    if name == "make":
        _make(workspace, int(first), int(count))
    elif name != "init":
        STEPS[name](workspace)
    measured = {
        "cpu_s": round(time.process_time() - cpu, 3),
        "wall_s": round(time.perf_counter() - wall, 3),
        "before_mb": before_mb,
        "peak_mb": peak_rss_mb(),
    }
    print(json.dumps(measured))


def peak_rss_mb() -> int:
    """Of this process alone: what getrusage says begins with its parent's."""
    status_of_process = Path("/proc/self/status").read_text()
    return round(int(status_of_process.partition("VmHWM:")[2].split()[0]) / 1e3)


def _make(workspace: Workspace, first: int, count: int) -> None:
    """Put the original bytes of new images in place, and their records into the spool."""
    numbers = iter(range(first, first + count))
    while shard := list(islice(numbers, _IMAGES_PER_SHARD)):
        records = []
        for number in shard:
            content = scale_records.picture(number)
            workspace.blobs.put(content)
            records += scale_records.records(number, content)
        write_shard(workspace.spool, records)


def _ingest(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)


def _snapshot(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        write_snapshot(workspace, catalogue)


def _select(workspace: Workspace) -> None:
    select(workspace.snapshot, workspace.work, workspace.dataset.intended_use, SelectParams())


def _group(workspace: Workspace) -> None:
    params = GroupParams()
    group(workspace.snapshot, workspace.work, workspace.blobs, params, workspace.settings.models)


def _mint(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        mint_new(workspace, catalogue, LedgerParams(), _AT)


def _split(workspace: Workspace) -> None:
    split(workspace.snapshot, workspace.work, is_unreviewed=True)


def _build(workspace: Workspace) -> None:
    build(
        workspace.work,
        workspace.blobs,
        workspace.release("scale", "0.1.0"),
        dataset=workspace.dataset,
        version="0.1.0",
        responsible=workspace.responsible,
    )


def _measure(workspace: Workspace) -> None:
    measure(workspace.snapshot, workspace.work, workspace.home / "data")


def _status(workspace: Workspace) -> None:
    overview(workspace.home)


#: In the order of a release.
STEPS: dict[str, Callable[[Workspace], None]] = {
    "ingest": _ingest,
    "snapshot": _snapshot,
    "select": _select,
    "group": _group,
    "mint": _mint,
    "split": _split,
    "build": _build,
    "measure": _measure,
    "status": _status,
}

if __name__ == "__main__":
    main()
