"""Grows a catalogue from a thousand images to a million: what each step costs for an image.

    .venv/bin/python benchmarks/scale.py [--sizes 1000,10000,100000,1000000] [--folder FOLDER]

Images are made (`scale_records`); all else is what a release runs, each step in a process of its
own: ingest of the new images, then snapshot, select, group, mint, split, build and measure over all
of them, and status. Prints CPU time and peak memory for each step and size as soon as it is done
and, as its last line, JSON. The workspace is kept where a folder for it is given.

`ratio` is 1.2, the growth that is allowed, over the growth of CPU time for an image from 10,000
images (1,000, where that is the only smaller size) to the largest, of the step that grows the most.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import pairwise, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measured import this_machine

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_ALLOWED_GROWTH = 1.2
_MAKERS = 4
# Below it the start of libraries, and what is opened once, is more than the work.
_SMALLEST_COMPARED = 10_000
STEPS = ("ingest", "snapshot", "select", "group", "mint", "split", "build", "measure", "status")
_PARAMS = """\
dataset: {name: scale, intended_use: research, is_unreviewed: true}
parity: {}
"""
_HERE = Path(__file__).parent
_HEAD = f"{'step':<10}{'images':>10}{'ms/image':>12}{'CPU s':>12}{'wall s':>12}{'peak MB':>10}"

Figures = dict[str, Any]


def main() -> None:
    """Run everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default=",".join(map(str, _SIZES)), help="growing, with commas")
    parser.add_argument("--folder", type=Path, help="where to work, on 30 kB of disk for an image")
    wanted = parser.parse_args()
    sizes = [int(size) for size in wanted.sizes.split(",")]
    if sizes != sorted(set(sizes)) or sizes[0] < 1:
        raise SystemExit(f"--sizes {wanted.sizes} does not grow: write 1000,10000.")
    machine = this_machine()
    rows: list[Figures] = []
    with nullcontext(wanted.folder) if wanted.folder else TemporaryDirectory() as name:
        home = Path(name) / "workspace"
        run_step("init", home)
        (home / "params.yaml").write_text(_PARAMS)
        print(_HEAD)
        for before, size in zip([0, *sizes], sizes, strict=False):
            make(home, before, size)
            for step in STEPS:
                rows.append(_row(step, before, size, run_step(step, home)))
                print(_line(rows[-1]), flush=True)
    growth = _growth(rows)
    worst = max(growth, key=lambda step: growth[step], default=None)
    figures = {
        "benchmark": "scale",
        "ratio": round(_ALLOWED_GROWTH / growth[worst], 3) if worst else None,
        "worst_step": worst,
        "growth": growth,
        "memory_bytes_an_image": _memory(rows),
        "steps": rows,
        **machine,
    }
    print(json.dumps(figures))


def make(home: Path, before: int, size: int) -> None:
    """Images and their records up to `size`, in several processes: it is not measured."""
    starts = [before + (size - before) * part // _MAKERS for part in range(_MAKERS + 1)]
    with ThreadPoolExecutor(_MAKERS) as makers:
        counts = [end - start for start, end in pairwise(starts)]
        list(makers.map(run_step, repeat("make"), repeat(home), starts, counts))


def run_step(step: str, home: Path, first: int = 0, count: int = 0) -> Figures:
    """What one step took, in a process of its own; SystemExit where it fails."""
    command = [
        sys.executable,
        str(_HERE / "scale_steps.py"),
        step,
        str(home),
        *map(str, (first, count)),
    ]
    env = {**os.environ, "PYTHONPATH": str(_HERE.parent)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"The step {step} failed ({done.returncode}): see above.")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _row(step: str, before: int, size: int, taken: Figures) -> Figures:
    """One line of the table. Only images that are new are ingested; all go through the rest."""
    images = size - before if step == "ingest" else size
    ms = round(1e3 * taken["cpu_s"] / images, 4)
    return {"step": step, "size": size, "images": images, "cpu_ms_an_image": ms, **taken}


def _line(row: Figures) -> str:
    return (
        f"{row['step']:<10}{row['size']:>10,}{row['cpu_ms_an_image']:>12.3f}{row['cpu_s']:>12.1f}"
        f"{row['wall_s']:>12.1f}{row['peak_mb']:>10}"
    )


def _compared(rows: list[Figures]) -> tuple[int, int] | None:
    """The sizes between which growth is told; None where there is one alone."""
    sizes = sorted({row["size"] for row in rows})
    smallest = next((size for size in sizes[:-1] if size >= _SMALLEST_COMPARED), sizes[0])
    return (smallest, sizes[-1]) if len(sizes) > 1 else None


def _growth(rows: list[Figures]) -> dict[str, float]:
    """By step, CPU time for an image at the largest size over that at the smallest compared."""
    compared = _compared(rows)
    if compared is None:
        return {}
    cost = {(row["step"], row["size"]): row["cpu_ms_an_image"] for row in rows}
    small, large = compared
    return {step: round(cost[step, large] / cost[step, small], 3) for step in STEPS}


def _memory(rows: list[Figures]) -> dict[str, int]:
    """By step, bytes by which peak memory grew for each image between the sizes compared."""
    compared = _compared(rows)
    if compared is None:
        return {}
    peak = {(row["step"], row["size"]): row["peak_mb"] for row in rows}
    small, large = compared
    return {
        step: round(1e6 * (peak[step, large] - peak[step, small]) / (large - small))
        for step in STEPS
    }


if __name__ == "__main__":
    main()
