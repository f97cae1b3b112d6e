"""Releases images through DVC to an S3 server, and pulls them, beside the same images loose in DVC.

    .venv/bin/python benchmarks/release.py [--images 10000] [--more 100] [--storage s3 local]

Both ways go through `dvc push` and `dvc pull` to the same server (moto's, on loopback, in a process
of its own) or local folder, from repositories of their own, in whole processes. Loose is `dvc add`
of the folder of pictures. Ours is the stage `build` of a workspace by DVC: pictures without their
device traces, and the labels, which the loose folder has not. The catalogue is filled before, and
the steps that only ours has (snapshot, gates, groups, splits; measures, a sealed test set, commit,
tag, and pushing what they made) are timed beside. Then `--more` images are added and released, and
what reaches the remote is compared with the shards: an old one among it fails the benchmark.

The last line is JSON: by storage, `ratio` is the seconds of the loose way over ours in sum,
`ratio_pull` of the pull alone, `ratio_whole` with all of these, and `added` what the
further images uploaded. The top-level `ratio` is that of the first storage.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import processor_name, run

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from made_images import fill, picture  # noqa: E402
from s3_server import CREDENTIALS  # noqa: E402

from mirrorset.commands import git  # noqa: E402
from mirrorset.workspace import Workspace, commit, init  # noqa: E402

_NAME = "selfie"
_PARAMS = """\
dataset: {name: selfie, is_unreviewed: true}
responsible: {}
select: {}
group: {}
ledger: {seed: benchmark}
pack: {}
"""
_MIRRORSET = "from flows.cli import main; main()"
_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from s3_server import serving
with serving() as server:
    server.client().create_bucket(Bucket="bench")
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Storage:
    """Where both ways push to. endpoint_url: None for a folder."""

    name: str
    url: str
    endpoint_url: str | None
    scratch: Path

    def of(self, way: str) -> str:
        """The address of one way's remote."""
        return f"{self.url}/{way}"

    def holds(self, way: str) -> dict[str, int]:
        """Bytes of all that a remote holds, by path."""
        if self.endpoint_url is None:
            root = Path(self.of(way))
            files = [path for path in root.rglob("*") if path.is_file()]
            return {path.relative_to(root).as_posix(): path.stat().st_size for path in files}
        import boto3  # noqa: PLC0415  (of the S3 server alone)

        client = boto3.client("s3", endpoint_url=self.endpoint_url)
        listed = client.get_paginator("list_objects_v2").paginate(Bucket="bench", Prefix=f"{way}/")
        return {one["Key"]: one["Size"] for page in listed for one in page.get("Contents", [])}


@contextmanager
def storage_of(name: str, scratch: Path) -> Iterator[Storage]:
    """An empty one: a folder, or a fresh S3 server in a process of its own."""
    if name == "local":
        yield Storage(name, str(scratch / "remote"), None, scratch)
        return
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(ROOT / "tests")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            lines = (line for line in process.stdout if line.startswith("http"))
            url = next(lines, "").strip()
            if not url:
                raise SystemExit("The S3 server did not start: install requirements-dev.lock.")
            yield Storage(name, "s3://bench", url, scratch)
        finally:
            process.stdin.close()
            process.terminate()


def timed(home: Path, *command: str) -> float:
    """Seconds of one whole process of this Python in `home`."""
    log = home.with_name("log")
    with contextlib.chdir(home):
        return round(run([sys.executable, *command], log).wall_s, 2)


def loose(storage: Storage, images: int) -> dict[str, float]:
    """The pictures as files, tracked as one folder."""
    home = storage.scratch / "loose"
    init(home, storage.of("loose"), storage.endpoint_url)
    # Of a workspace it has git, DVC and the remote; nothing is built in it.
    (home / "dvc.yaml").unlink()
    (home / "images").mkdir()
    for number in range(images):
        (home / "images" / f"{number:06d}.jpg").write_bytes(picture(number))
    taken = {"add": timed(home, "-m", "dvc", "add", "--quiet", "images")}
    taken["push"] = timed(home, "-m", "dvc", "push", "--quiet")
    taken["pull"] = _pulled(home, "images.dvc", home / "images")
    return taken


def ours(storage: Storage, images: int) -> tuple[Workspace, dict[str, float]]:
    """A workspace whose catalogue holds the pictures and their labels, released."""
    home, log = storage.scratch / "ours", storage.scratch / "release.log"
    workspace = init(home)
    workspace.params_file.write_text(_PARAMS)
    fill(workspace, range(images))
    run([sys.executable, str(ROOT / "benchmarks/release_ours.py"), str(home), "1.0.0"], log)
    taken: dict[str, float] = json.loads(log.read_text().splitlines()[-1])
    init(home, storage.of("ours"), storage.endpoint_url)
    taken["push"] = timed(home, "-m", "dvc", "push", "--quiet", "build")
    taken["push_rest"] = timed(home, "-m", "dvc", "push", "--quiet")
    taken["pull"] = _pulled(home, "build", workspace.release(_NAME, "1.0.0"))
    return workspace, taken


def added(storage: Storage, workspace: Workspace, images: int, more: int) -> dict[str, Any]:
    """What a further release of some more images brings to the remote."""
    old = workspace.release(_NAME, "1.0.0")
    before = storage.holds("ours")
    kept = {path.name: path.read_bytes() for path in (old / "images").iterdir()}
    fill(workspace, range(images, images + more))
    taken_s = timed(workspace.home, "-c", _MIRRORSET, "release", "--version", "1.1.0")
    new = workspace.release(_NAME, "1.1.0")
    for name, content in kept.items():
        if (new / "images" / name).read_bytes() != content:
            raise SystemExit(f"images/{name} was rewritten for images that were added.")
    objects = {name: size for name, size in storage.holds("ours").items() if name not in before}
    # DVC names an object by the md5 of its bytes: which files of the release were uploaded?
    uploaded = {}
    for path in (path for path in new.rglob("*") if path.is_file()):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        if any(key.endswith(f"{md5[:2]}/{md5[2:]}") for key in objects):
            uploaded[path.relative_to(new).as_posix()] = path.stat().st_size
    shards = {name for name in uploaded if name.startswith(("images/", "labels/"))}
    if again := {name for name in shards if Path(name).stem.rsplit("-")[-1] + ".parquet" in kept}:
        raise SystemExit(f"{sorted(again)} were uploaded again for images that were added.")
    return {
        "release_and_push_s": taken_s,
        "shards": sorted(shards),
        "shards_bytes": sum(uploaded[name] for name in shards),
        "release_bytes": sum(uploaded.values()),
        "all_bytes": sum(objects.values()),
        "all_bytes_before": sum(before.values()),
    }


def _pulled(home: Path, target: str, folder: Path) -> float:
    """Seconds of `dvc pull` in a clone, whose files are then compared in number and bytes."""
    clone = home.with_name(f"{home.name}-clone")
    commit(home, "What DVC tracks", ["."])
    git(home.parent, "clone", "--quiet", str(home), clone.name)
    taken_s = timed(clone, "-m", "dvc", "pull", "--quiet", target)
    if _sizes(clone / folder.relative_to(home)) != _sizes(folder):
        raise SystemExit(f"`dvc pull {target}` brought something else than was pushed.")
    shutil.rmtree(clone)
    return taken_s


def _sizes(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def measure(name: str, images: int, more: int) -> dict[str, Any]:
    """Both ways over one storage; prints their table."""
    with (
        tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as scratch,
        storage_of(name, Path(scratch)) as storage,
    ):
        print(f"{name}: {images} images")
        by_loose = _told("loose", loose(storage, images))
        workspace, by_ours = ours(storage, images)
        _told("mirrorset", by_ours)
        sizes = {
            "images": sum(_sizes(storage.scratch / "loose" / "images").values()),
            "release": sum(_sizes(workspace.release(_NAME, "1.0.0")).values()),
        }
        further = added(storage, workspace, images, more) if more else {}
    loose_s = sum(by_loose.values())
    ours_s = by_ours["build"] + by_ours["push"] + by_ours["pull"]
    whole_s = sum(by_ours.values())
    print(f"  {loose_s:.1f} s over {ours_s:.1f} s; with all of `mirrorset release` {whole_s:.1f} s")
    return {
        "ratio": round(loose_s / ours_s, 2),
        "ratio_pull": round(by_loose["pull"] / by_ours["pull"], 2),
        "ratio_whole": round(loose_s / whole_s, 2),
        "loose_s": by_loose,
        "ours_s": by_ours,
        "bytes": sizes,
        "added": further,
    }


def _told(title: str, taken: dict[str, float]) -> dict[str, float]:
    shown = "  ".join(f"{part} {seconds}" for part, seconds in taken.items())
    print(f"  {title:10} {shown}", flush=True)
    return taken


def main() -> None:
    """Measure; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--more", type=int, default=100, help="images added afterwards")
    parser.add_argument("--storage", nargs="+", choices=["s3", "local"], default=["s3", "local"])
    given = parser.parse_args()
    os.environ.update(CREDENTIALS)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    machine = {
        "cpu": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    results = {name: measure(name, given.images, given.more) for name in given.storage}
    machine["load_after"] = round(os.getloadavg()[0], 1)
    first = results[given.storage[0]]
    print(
        json.dumps({"ratio": first["ratio"], "images": given.images, **results, "machine": machine})
    )


if __name__ == "__main__":
    main()
