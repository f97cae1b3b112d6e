"""img2dataset 1.47: its environment, and one run of it measured."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from measured import Measured, run

PINNED = Path(__file__).with_name("img2dataset.txt")


class Setting(NamedTuple):
    """processes, threads in each; keeping: what becomes of a JPEG ("re-encoded": what
    `--resize_mode no` does; "originals": decoded to check it, its bytes kept; "unchecked": not even
    decoded).
    """

    processes: int
    threads: int
    keeping: str = "re-encoded"

    def __str__(self) -> str:
        return f"{self.processes} × {self.threads} threads, {self.keeping}"


#: What is tried; the setting with the best whole-process figure is compared.
SETTINGS = (
    Setting(1, 64),
    Setting(2, 16),
    Setting(2, 32),
    Setting(2, 64),
    Setting(3, 32),
    Setting(4, 32),
)
_OPTIONS = {
    "originals": ["--skip_reencode", "True"],
    "re-encoded": [],
    "unchecked": ["--disable_all_reencoding", "True"],
}


@dataclass(frozen=True)
class PeerRun:
    """steady_images_s: img2dataset's own count, from its first shard's start to its last's end."""

    measured: Measured
    images: int
    steady_images_s: float


def environment(cache: Path) -> Path:
    """The program `img2dataset` in an environment of its own, made where `cache` lacks it."""
    digest = hashlib.sha256(PINNED.read_bytes()).hexdigest()[:8]
    folder = cache / "benchmarks" / f"img2dataset-{digest}"
    if not (folder / "complete").exists():
        uv = str(Path(sys.executable).parent / "uv")
        python = ["--python", str(folder / "bin" / "python")]
        _checked([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)])
        # Compiled now, as ours are: no run pays for it.
        wanted = ["--compile-bytecode", "--no-deps", "--requirements", str(PINNED)]
        _checked([uv, "pip", "install", "--quiet", *python, *wanted])
        (folder / "complete").touch()
    return folder / "bin" / "img2dataset"


def crawl(program: Path, urls: list[str], folder: Path, setting: Setting) -> PeerRun:
    """One run into the fresh `folder`. SystemExit where a picture was not stored."""
    folder.mkdir()
    listing = folder / "urls.txt"
    listing.write_text("\n".join(urls) + "\n")
    command = [
        *(str(program), str(listing), "--input_format", "txt", "--output_format", "files"),
        *("--output_folder", str(folder / "images"), "--resize_mode", "no"),
        *("--processes_count", str(setting.processes), "--thread_count", str(setting.threads)),
        # A shard is one process's: fewer shards than processes would leave some idle.
        *("--number_sample_per_shard", str(-(-len(urls) // setting.processes))),
        *_OPTIONS[setting.keeping],
    ]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Albumentations would ask a server for its newest version at each start.
    measured = run(command, folder / "log.txt", env | {"NO_ALBUMENTATIONS_UPDATE": "1"})
    shards = [json.loads(path.read_text()) for path in (folder / "images").glob("*_stats.json")]
    stored = sum(shard["successes"] for shard in shards)
    if stored != len(urls):
        reasons = [shard["status_dict"] for shard in shards]
        raise SystemExit(f"img2dataset stored {stored} of {len(urls)} pictures: {reasons}.")
    lasted_s = max(one["end_time"] for one in shards) - min(one["start_time"] for one in shards)
    return PeerRun(measured, stored, stored / lasted_s)


def _checked(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise SystemExit(f"img2dataset's environment could not be made: {said[0]}")
