"""Labels the same photographs with mirrorset's engine and with insightface's own loop, in turn.

    .venv/bin/python benchmarks/prelabel_speed.py [--repetitions 5] [--workers]

Prints tables and, as its last line, JSON. `ratio` is the engine's images/s over those of a loop of
`FaceAnalysis.get` with the same two files (SCRFD at 640 px, 2d106) and insightface's default
threads, medians of the repetitions; both read and decode each file, and neither's start counts.
Their outputs are compared, and where they differ (a box's IoU of 0.99 or less, a point by 0.1 px or
more) the benchmark fails. `cpu_ratio` is the same in CPU time, which other work on the machine
hardly changes. The full profile labels a quarter of the photographs, all, and four times as many,
each in a process of its own, for its peak memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import prelabel_photos
from measured import this_machine

from mirrorset.geometry import iou
from mirrorset.settings import Settings

_ROOT = Path(__file__).resolve().parents[1]
_SCRIPTS = {"peer": "prelabel_peer.py", "bare": "prelabel_peer.py"}
_COMPARED = {
    "peer": "insightface FaceAnalysis.get",
    "ours": "mirrorset, detection at 640 and 106 points",
    "bare": "bare sessions, files as they are",
    "bare-rewritten": "bare sessions, as the engine runs them",
    "full": "mirrorset, the full profile, records written",
}
_MIN_IOU, _MAX_APART_PX = 0.99, 0.1


@dataclass
class Program:
    """A program of prelabel_peer.py or prelabel_ours.py, running, and what its passes took."""

    title: str
    process: "subprocess.Popen[str]"
    images: int
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    def run(self, is_counted: bool = True) -> Any:
        """One pass over the photographs; what it found."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.title} ended; what it said is above.")
        answer = json.loads(line)
        self.peak_mb = answer["peak_mb"]
        if is_counted:
            self.wall_s.append(answer["wall_s"])
            self.cpu_s.append(answer["cpu_s"])
        return answer["found"]

    def figures(self) -> dict[str, Any]:
        """Medians, and images/s of each pass."""
        return {
            "images_s": round(self.images / statistics.median(self.wall_s), 2),
            "cpu_ms_an_image": round(1000 * statistics.median(self.cpu_s) / self.images, 2),
            "images_s_by_pass": [round(self.images / wall, 2) for wall in self.wall_s],
            "peak_mb": self.peak_mb,
            "cpu_ms_by_pass": [round(1000 * cpu / self.images, 2) for cpu in self.cpu_s],
        }


@dataclass(frozen=True)
class Bench:
    """Where photographs, weights and scratch files are."""

    photos: Path
    images: int
    cache: Path
    scratch: Path

    @contextmanager
    def started(self, name: str, workers: int | None = None) -> Iterator[Program]:
        """The program of that name, loaded and warm: its first pass does not count."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        script = Path(__file__).with_name(_SCRIPTS.get(name, "prelabel_ours.py"))
        command = [sys.executable, script, name, self.photos, self.cache, folder]
        command += [str(workers)] if workers else []
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            try:
                program = Program(_COMPARED.get(name, name), process, self.images)
                program.run(is_counted=False)
                yield program
            finally:
                assert process.stdin
                process.stdin.close()


def main() -> None:
    """Run everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5, help="of all programs in turn")
    parser.add_argument("--workers", action="store_true", help="try 1 to 4 worker threads as well")
    parser.add_argument("--photos", type=Path, default=_ROOT.parent / "shared/data/photos")
    wanted = parser.parse_args()
    cache = Settings().models
    with tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as name:
        scratch = Path(name)
        images = prelabel_photos.make(wanted.photos, scratch / "photos")
        bench = Bench(scratch / "photos", images, cache, scratch)
        machine = {
            **this_machine(),
            "pictures": f"{images} JPEGs, {prelabel_photos.WIDTH_PX} px wide",
        }
        print("\n".join(f"{key:12}{value}" for key, value in machine.items()), end="\n\n")
        figures = {
            **_compared(bench, wanted.repetitions),
            "cost_ms": _costs(bench),
            "memory": _memory(bench, wanted.photos),
            **({"workers": _workers(bench)} if wanted.workers else {}),
        }
    machine["load_after"] = round(os.getloadavg()[0], 1)
    print(json.dumps({**figures, "machine": machine}, ensure_ascii=False))


def _compared(bench: Bench, repetitions: int) -> dict[str, Any]:
    with ExitStack() as stack:
        programs = {name: stack.enter_context(bench.started(name)) for name in _COMPARED}
        equal = _equal(programs["peer"].run(is_counted=False), programs["ours"].run(False))
        order = list(programs.values())
        for _ in range(repetitions):
            for program in order:
                program.run()
            # What warms or tires the machine is shared.
            order.reverse()
    figures = {name: program.figures() for name, program in programs.items()}
    print(f"{'':48}{'images/s':>10}{'CPU ms/image':>14}")
    for name, figure in figures.items():
        print(f"{_COMPARED[name]:48}{figure['images_s']:10.1f}{figure['cpu_ms_an_image']:14.1f}")
    ratio = figures["ours"]["images_s"] / figures["peer"]["images_s"]
    cpu_ratio = figures["peer"]["cpu_ms_an_image"] / figures["ours"]["cpu_ms_an_image"]
    print(f"ratio {ratio:.2f}, in CPU time {cpu_ratio:.2f}\n")
    return {
        "ratio": round(ratio, 3),
        "cpu_ratio": round(cpu_ratio, 3),
        "equality": equal,
        **figures,
    }


def _equal(peers: list[Any], ours: list[Any]) -> dict[str, float]:
    """The largest differences between two programs' faces; SystemExit where they are too large."""
    least, most, faces = 1.0, 0.0, 0
    for of_peer, of_ours in zip(peers, ours, strict=True):
        if len(of_peer) != len(of_ours):
            raise SystemExit(f"{len(of_peer)} faces by insightface, {len(of_ours)} by mirrorset.")
        if not of_peer:
            continue
        boxes = [[box for box, _ in found] for found in (of_peer, of_ours)]
        overlap = iou(*boxes)
        pairs = overlap.argmax(axis=1)
        least = min(least, float(overlap.max(axis=1).min()), float(overlap.max(axis=0).min()))
        for (_, points), index in zip(of_peer, pairs, strict=True):
            apart = np.linalg.norm(np.subtract(points, of_ours[index][1]), axis=1)
            most = max(most, float(apart.max()))
        faces += len(of_peer)
    print(f"{faces} faces by both: smallest IoU {least:.5f}, points at most {most:.4f} px apart\n")
    if least <= _MIN_IOU or most >= _MAX_APART_PX:
        raise SystemExit(f"Not equal: IoU over {_MIN_IOU} and points within {_MAX_APART_PX} px.")
    return {"faces": faces, "min_iou": least, "max_apart_px": most}


def _costs(bench: Bench) -> dict[str, float]:
    with bench.started("costs") as program:
        costs: dict[str, float] = program.run()
    print("CPU ms an image, in one thread")
    for name, milliseconds in costs.items():
        print(f"  {name:36}{milliseconds:8.2f}")
    print(f"  {'sum':36}{sum(costs.values()):8.2f}\n")
    return {name: round(milliseconds, 3) for name, milliseconds in costs.items()}


def _memory(bench: Bench, photos: Path) -> dict[int, float]:
    """Peak MB of a process that labels a folder, by the number of its pictures."""
    few, many = bench.scratch / "few", bench.scratch / "many"
    few.mkdir()
    for path in sorted(bench.photos.iterdir())[::4]:
        (few / path.name).symlink_to(path)
    prelabel_photos.make(photos, many, copies=4)
    peaks = {}
    for folder in (few, bench.photos, many):
        images = len(list(folder.iterdir()))
        with replace(bench, photos=folder).started("full") as program:
            peaks[images] = program.peak_mb
    print(f"peak MB of the full profile, by photographs labelled: {peaks}\n")
    return peaks


def _workers(bench: Bench) -> dict[int, dict[str, Any]]:
    figures = {}
    for workers in (1, 2, 3, 4):
        with bench.started("ours", workers) as program:
            program.run()
            program.run()
        figures[workers] = program.figures()
        print(f"{workers} workers: {figures[workers]['images_s']} images/s")
    return figures


if __name__ == "__main__":
    main()
