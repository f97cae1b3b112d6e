"""mirrorset's crawl with every gate on: fresh workspaces, and one run in each measured."""

import compileall
import json
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
_PROJECT = Path(__file__).parents[1]

#: How a server of one's own may be treated: no delays, sixteen requests at a time.
_OWN_SERVER = {
    "politeness": {
        "start_delay_s": 0,
        "max_delay_s": 0,
        "target_concurrency": 16,
        "concurrency_per_host": 16,
    },
    "allow_addresses": ["127.0.0.0/8"],
}
_CONTACT = "https://localhost/"


@dataclass(frozen=True)
class OurRun:
    """steady_images_s: between the first and the last receipt in the catalogue."""

    measured: Measured
    images: int
    steady_images_s: float


def fresh(folder: Path) -> None:
    """Make a workspace to copy: `init` is no part of a crawl."""
    init(folder)


def compile_modules() -> None:
    """Write the bytecode of our own modules, as both environments have that of their packages."""
    for package in ("crawlers", "mirrorset"):
        compileall.compile_dir(_PROJECT / package, quiet=1)


def crawl(
    empty: Path, folder: Path, source: dict[str, Any], images: int, has_prefect: bool = False
) -> OurRun:
    """One run in `folder`, a copy of the workspace `empty`. SystemExit where a picture is missing.

    has_prefect: by `mirrorset crawl`, with its orchestrator, instead of by the crawl room alone.
    """
    shutil.copytree(empty, folder, symlinks=True)
    command = _by_command_line(folder, source) if has_prefect else _by_room(folder, source)
    measured = run(command, folder / "log.txt")
    return OurRun(measured, images, _steady(folder, images))


def _by_command_line(folder: Path, source: dict[str, Any]) -> list[str]:
    params = {
        "dataset": {"name": "benchmark", "intended_use": "research"},
        "responsible": {
            "controller": "a benchmark",
            "legal_basis": "pictures of one's own",
            "contact": _CONTACT,
            "retention_days": 1,
        },
        "crawl": {"sources": [source], **_OWN_SERVER},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return [str(_BIN / "mirrorset"), "crawl", "--home", str(folder)]


def _by_room(folder: Path, source: dict[str, Any]) -> list[str]:
    private = folder / ".mirrorset"
    order = {
        "start": source,
        "intended_use": "research",
        "catalogue_url": f"sqlite:///{private}/catalogue.sqlite",
        "blobs_url": str(private / "blobs"),
        "log": str(private / "logs" / "crawl.log"),
        "contact": _CONTACT,
        **_OWN_SERVER,
    }
    file = folder / "order.json"
    file.write_text(json.dumps(order))
    return [sys.executable, "-m", "crawlers", str(file)]


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
