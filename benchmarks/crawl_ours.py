"""mirrorset's crawl with every gate on: fresh workspaces, and one run in each measured."""

import shutil
import sqlite3
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from measured import Measured, run

from mirrorset.workspace import init

_BIN = Path(sys.executable).parent

#: How a server of one's own may be treated: no delays, sixteen requests at a time.
_POLITENESS = {
    "start_delay_s": 0,
    "max_delay_s": 0,
    "target_concurrency": 16,
    "concurrency_per_host": 16,
}


@dataclass(frozen=True)
class OurRun:
    """steady_images_s: between the first and the last receipt in the catalogue."""

    measured: Measured
    images: int
    steady_images_s: float


def fresh(folder: Path) -> None:
    """Make a workspace to copy: `init` is no part of a crawl."""
    init(folder)


def crawl(
    empty: Path, folder: Path, source: dict[str, Any], images: int, has_prefect: bool = False
) -> OurRun:
    """One run in `folder`, a copy of the workspace `empty`. SystemExit where a picture is missing.

    has_prefect: by `mirrorset crawl`, with its orchestrator, instead of by the crawl room alone.
    """
    shutil.copytree(empty, folder, symlinks=True)
    params = {
        "dataset": {"name": "benchmark", "intended_use": "research"},
        "crawl": {
            "sources": [source],
            "politeness": _POLITENESS,
            "allow_addresses": ["127.0.0.0/8"],
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    command = [str(_BIN / "mirrorset"), "crawl", "--home", str(folder)]
    if not has_prefect:
        room = Path(__file__).with_name("crawl_room.py")
        command = [sys.executable, str(room), str(folder)]
    measured = run(command, folder / "log.txt")
    return OurRun(measured, images, _steady(folder, images))


def _steady(folder: Path, images: int) -> float:
    with sqlite3.connect(folder / ".mirrorset" / "catalogue.sqlite") as catalogue:
        query = "SELECT count(*), min(seen_at), max(seen_at) FROM sightings"
        stored, first, last = catalogue.execute(query).fetchone()
        query = "SELECT reason, count(*) FROM rejected GROUP BY reason"
        reasons = dict(catalogue.execute(query).fetchall())
    if stored != images:
        raise SystemExit(f"mirrorset stored {stored} of {images} pictures; rejected: {reasons}.")
    lasted = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    return float((stored - 1) / lasted.total_seconds())
