"""Pushes 200 labelled pictures to a CVAT server and pulls them, with mirrorset and with cvat-cli.

    .venv/bin/python benchmarks/cvat.py [--repetitions 3] [--images 200] [--job-size 25]
                                        [--points 5 68]

Both go to the same stand-in server (tests/standin), in turn, which answers as slowly as the
recorded CVAT 2.54.1 did; it does so for each call by itself, however many are under way at once.
cvat-cli's `task create`, `task import-dataset` and `task export-dataset` are timed as what they
are, commands, its polling as fast as its options allow; our push and pull as what a worker that is
running does, and also as processes from start to exit. The project, which is made once for all
batches, is made before. Ours carries boxes, skeletons with each point's confidence, masks and tags,
and compares all that comes back with what was sent; COCO Keypoints has no place for masks, tags and
confidences. Prints a table and, as its last line, JSON. Medians; `ratio` is cvat-cli's seconds over
ours in a running worker, `ratio_processes` over our whole processes; `…_joined` the same for labels
given to `task create` instead of an import of their own. These are for the first of --points, the
size of the skeleton with which cvat-cli was recorded; `by_points` has all.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cvat_data
import cvat_peer
from cvat_data import schema_of
from measured import processor_name, run

from annotation.cvat.connection import Connection
from annotation.cvat.project import apply
from annotation.schema import REVIEWED
from mirrorset.settings import Settings

_HERE = Path(__file__).resolve().parent


@dataclass
class Server:
    """The running stand-in."""

    url: str
    token: str
    process: "subprocess.Popen[str]"

    def requests(self) -> int:
        """How many it has had."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@dataclass(frozen=True)
class Size:
    """What goes there and back."""

    images: int
    job_size: int
    points: int


@dataclass(frozen=True)
class Row:
    """One round trip. parts: seconds of each command; within_s: without the processes' start."""

    title: str
    parts: dict[str, float]
    requests: int
    within_s: float = 0.0

    @property
    def wall_s(self) -> float:
        """Of all commands."""
        return sum(self.parts.values())


@contextmanager
def serving() -> Iterator[Server]:
    """A fresh stand-in in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, str(_HERE / "cvat_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise SystemExit("The stand-in server did not start; what it said is above.")
        yield Server(process=process, **json.loads(line))
    finally:
        process.terminate()
        process.wait()


def ours(server: Server, data: Path, scratch: Path, size: Size) -> Row:
    """One push and one pull; between them annotators review every image, which is not timed."""
    env = {**os.environ, "MIRRORSET_CVAT_TOKEN": server.token, "PYTHONPATH": str(_HERE.parent)}
    parts, requests, within_s = {}, 0, 0.0
    apply(Connection(server.url, server.token), schema_of(size.points))
    for verb in ("push", "pull"):
        log = scratch / f"{verb}.log"
        command = [sys.executable, str(_HERE / "cvat_ours.py"), verb, str(data), server.url]
        sizes = [str(size.job_size), str(size.points)]
        parts[verb] = run([*command, *sizes], log, env).wall_s
        told = json.loads(log.read_text().splitlines()[-1])
        if told["images"] != size.images:
            raise SystemExit(f"{told['images']} of {size.images} images in the {verb}.")
        requests += told["requests"]
        within_s += told["seconds"]
        if verb == "push":
            _review(server)
    return Row("mirrorset", parts, requests, within_s)


def peers(
    server: Server, program: Path, data: Path, scratch: Path, size: Size, is_joined: bool
) -> Row:
    """One round trip by cvat-cli."""
    before = server.requests()
    done = cvat_peer.round_trip(
        program, server.url, data / "peer", scratch, size.job_size, is_joined
    )
    if done.annotations != size.images:
        raise SystemExit(f"cvat-cli brought {done.annotations} of {size.images} annotations back.")
    parts = {"create": done.create_s, "import": done.import_s, "export": done.export_s}
    title = "cvat-cli, labels with the task" if is_joined else "cvat-cli"
    return Row(title, parts, server.requests() - before)


def _review(server: Server) -> None:
    """Set the tag `reviewed` on every frame and complete every job."""
    connection = Connection(server.url, server.token)
    (task,) = [one for one in connection.pages("/api/tasks") if "mirrorset" in one["bug_tracker"]]
    listed = connection.pages("/api/labels", {"task_id": task["id"]})
    label = next(one["id"] for one in listed if one["name"] == REVIEWED)
    for job in list(connection.pages("/api/jobs", {"task_id": task["id"]})):
        frames = range(job["start_frame"], job["stop_frame"] + 1)
        tags = [
            {"frame": frame, "label_id": label, "group": 0, "source": "manual", "attributes": []}
            for frame in frames
        ]
        connection.call(
            "PATCH",
            f"/api/jobs/{job['id']}/annotations/",
            query={"action": "create"},
            body={"version": 0, "tags": tags, "shapes": [], "tracks": []},
        )
        connection.call("PATCH", f"/api/jobs/{job['id']}", body={"state": "completed"})


def _told(rows: list[Row]) -> dict[str, Any]:
    """Medians of one side, printed as a line of the table."""
    wall_s = statistics.median(row.wall_s for row in rows)
    parts = {
        name: statistics.median(row.parts[name] for row in rows)
        for name in rows[0].parts
        if rows[0].parts[name]
    }
    shown = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
    requests = rows[-1].requests
    within_s = statistics.median(row.within_s for row in rows)
    if within_s:
        shown += f"; {within_s:.2f} in a running worker"
    print(f"  {rows[0].title:<32} {wall_s:6.2f} s  ({shown})  {requests} HTTP requests")
    return {
        "wall_s": round(wall_s, 3),
        "within_s": round(within_s, 3),
        "requests": requests,
        "parts_s": {name: round(seconds, 3) for name, seconds in parts.items()},
    }


def measure(program: Path, size: Size, repetitions: int) -> dict[str, Any]:
    """All ways for one size, in turn, each on a server of its own; prints their table."""
    rows: dict[str, list[Row]] = {"ours": [], "peer": [], "joined": []}
    with tempfile.TemporaryDirectory() as folder:
        data, scratch = Path(folder) / "data", Path(folder)
        data.mkdir()
        cvat_data.write(data, size.images, schema_of(size.points))
        for _ in range(repetitions):
            with serving() as server:
                rows["ours"].append(ours(server, data, scratch, size))
            for name in ("peer", "joined"):
                with serving() as server:
                    row = peers(server, program, data, scratch, size, name == "joined")
                    rows[name].append(row)
    print(f"{size.images} images with {size.points} points, there and back")
    told = {name: _told(done) for name, done in rows.items()}
    ratios = {
        f"{name}{ending}": round(told[side]["wall_s"] / told["ours"][measured], 2)
        for name, measured in (("ratio", "within_s"), ("ratio_processes", "wall_s"))
        for ending, side in (("", "peer"), ("_joined", "joined"))
    }
    return {**ratios, **told}


def main() -> None:
    """Measure, print, and fail where anything that should come back did not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--job-size", type=int, default=25, help="images in a job, on both sides")
    parser.add_argument("--points", type=int, nargs="+", default=[5, 68])
    given = parser.parse_args()
    program = cvat_peer.environment(Settings().cache)
    machine = f"{os.cpu_count()} cores, {processor_name()}, Python {platform.python_version()}"
    print(f"{machine}; medians of {given.repetitions}, {given.job_size} images in a job")
    by_points = {
        points: measure(program, Size(given.images, given.job_size, points), given.repetitions)
        for points in given.points
    }
    first = by_points[given.points[0]]
    ratios = {name: first[name] for name in first if name.startswith("ratio")}
    print(json.dumps({**ratios, "images": given.images, "by_points": by_points}))


if __name__ == "__main__":
    main()
