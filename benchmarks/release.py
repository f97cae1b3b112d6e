"""Releases images through DVC to an S3 server, and pulls them, beside the same images loose in DVC.

    .venv/bin/python benchmarks/release.py [--images 10000] [--more 100] [--storage s3 local]
        [--keep-all]

Both ways go through `dvc push` and `dvc pull` to the same server (moto's, on loopback, in a process
of its own) or local folder, from repositories of their own, in whole processes. Loose is `dvc add`
of the folder of pictures. Ours is the stage `build` of a workspace by DVC: pictures without their
device traces, and the labels, which the loose folder has not. The catalogue is filled before, and
the steps that only ours has (snapshot, gates, groups, splits; measures, a sealed test set, commit,
tag, and pushing what they made) are timed beside. Then `--more` images are added and released, and
what reaches the remote is compared with the shards: an old one among it fails the benchmark. At
last `mirrorset erase` takes one image out of both versions: more than one image shard and one label
shard among what it uploads fails the benchmark, too. `--more 0` and `--keep-all` leave these out.

The last line is JSON: by storage, `ratio` is the seconds of the loose way over ours in sum,
`ratio_pull` of the pull alone, `ratio_whole` with all of these, `…_cpu` the same of CPU time (the
server's is not in it); `added` and `erased` say what was uploaded. Steps are told as seconds and
seconds of CPU, children's included. The top-level `ratio` is that of the first storage.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from measured import run, this_machine

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from made_images import fill, picture  # noqa: E402
from s3_server import CREDENTIALS  # noqa: E402

from mirrorset.commands import git  # noqa: E402
from mirrorset.load import open_release  # noqa: E402
from mirrorset.workspace import Workspace, commit, init  # noqa: E402

_NAME = "selfie"
#: What both ways do; all else only a release does.
_COMPARED = ("build", "push", "pull")
_PARAMS = """\
dataset: {name: selfie, is_unreviewed: true}
responsible: {}
select: {}
group: {}
ledger: {seed: benchmark}
pack: {}
parity: {}
"""
_MIRRORSET = "from flows.cli import main; main()"
_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from s3_server import serving
with serving() as server:
    # Apart: whoever lists versions in moto's bucket has it copy all that the bucket holds.
    for bucket in ("loose", "ours"):
        server.client().create_bucket(Bucket=bucket)
    print(server.url, flush=True)
    sys.stdin.read()
"""


class Taken(NamedTuple):
    """Seconds, and seconds of CPU time."""

    s: float
    cpu_s: float


@dataclass(frozen=True)
class Storage:
    """Where both ways push to. endpoint_url: None for a folder."""

    name: str
    endpoint_url: str | None
    scratch: Path

    def of(self, way: str) -> str:
        """The address of one way's remote."""
        return f"s3://{way}/store" if self.endpoint_url else str(self.scratch / "remote" / way)

    def holds(self, way: str) -> dict[str, int]:
        """Bytes of all that a remote holds, by path."""
        if self.endpoint_url is None:
            root = Path(self.of(way))
            files = [path for path in root.rglob("*") if path.is_file()]
            return {path.relative_to(root).as_posix(): path.stat().st_size for path in files}
        import boto3  # noqa: PLC0415  (of the S3 server alone)

        client = boto3.client("s3", endpoint_url=self.endpoint_url)
        listed = client.get_paginator("list_objects_v2").paginate(Bucket=way)
        return {one["Key"]: one["Size"] for page in listed for one in page.get("Contents", [])}


@contextmanager
def storage_of(name: str, scratch: Path) -> Iterator[Storage]:
    """An empty one: a folder, or a fresh S3 server in a process of its own."""
    if name == "local":
        yield Storage(name, None, scratch)
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
            yield Storage(name, url, scratch)
        finally:
            process.stdin.close()
            process.terminate()


def timed(home: Path, *command: str) -> Taken:
    """One whole process of this Python in `home`."""
    log = home.with_name("log")
    with contextlib.chdir(home):
        measured = run([sys.executable, *command], log)
    return Taken(round(measured.wall_s, 2), round(measured.cpu_s, 2))


def both(storage: Storage, images: int) -> tuple[Workspace, dict[str, Taken], dict[str, Taken]]:
    """Both ways, step by step in turn: our workspace, and what they took of each step."""
    loose, ours = storage.scratch / "loose", storage.scratch / "ours"
    init(loose, storage.of("loose"), storage.endpoint_url)
    # Of a workspace it has git, DVC and the remote; nothing is built in it.
    (loose / "dvc.yaml").unlink()
    (loose / "images").mkdir()
    for number in range(images):
        (loose / "images" / f"{number:06d}.jpg").write_bytes(picture(number))
    workspace = init(ours)
    workspace.params_file.write_text(_PARAMS)
    fill(workspace, range(images))

    by_loose = {"add": timed(loose, "-m", "dvc", "add", "--quiet", "images")}
    log = storage.scratch / "release.log"
    run([sys.executable, str(ROOT / "benchmarks/release_ours.py"), str(ours), "1.0.0"], log)
    parts = json.loads(log.read_text().splitlines()[-1])
    by_ours = {part: Taken(*taken) for part, taken in parts.items()}
    init(ours, storage.of("ours"), storage.endpoint_url)
    by_loose["push"] = timed(loose, "-m", "dvc", "push", "--quiet")
    by_ours["push"] = timed(ours, "-m", "dvc", "push", "--quiet", "build")
    by_loose["pull"] = _pulled(loose, "images.dvc", loose / "images")
    by_ours["pull"] = _pulled(ours, "build", workspace.release(_NAME, "1.0.0"))
    by_ours["push_rest"] = timed(ours, "-m", "dvc", "push", "--quiet")
    return workspace, by_loose, by_ours


def added(storage: Storage, workspace: Workspace, images: int, more: int) -> dict[str, Any]:
    """What a further release of some more images brings to the remote."""
    old = workspace.release(_NAME, "1.0.0")
    before = storage.holds("ours")
    kept = {path.name: path.read_bytes() for path in (old / "images").iterdir()}
    fill(workspace, range(images, images + more))
    taken = timed(workspace.home, "-c", _MIRRORSET, "release", "--version", "1.1.0")
    new = workspace.release(_NAME, "1.1.0")
    for name, content in kept.items():
        if (new / "images" / name).read_bytes() != content:
            raise SystemExit(f"images/{name} was rewritten for images that were added.")
    came = _came(storage.holds("ours"), before, [new])
    if again := {one for one in came["shards"] if Path(one).stem[-5:] + ".parquet" in kept}:
        raise SystemExit(f"{sorted(again)} were uploaded again for images that were added.")
    return {"release_and_push": taken, **came}


def erased(storage: Storage, workspace: Workspace) -> dict[str, Any]:
    """What an erasure of one image rewrites in the remote, of all versions together."""
    before = storage.holds("ours")
    image_id = next(iter(open_release(workspace.release(_NAME, "1.0.0"), split="train"))).image_id
    taken = timed(workspace.home, "-c", _MIRRORSET, "erase", "--image-id", image_id)
    after = storage.holds("ours")
    folders = [one for one in (workspace.home / "data/releases" / _NAME).iterdir() if one.is_dir()]
    came = _came(after, before, folders)
    if sorted(one.partition("/")[0] for one in came["shards"]) != ["images", "labels"]:
        raise SystemExit(f"More than a shard of each was written for one image: {came['shards']}.")
    gone = before.keys() - after.keys()
    return {
        "erase": taken,
        **came,
        "objects_removed": len(gone),
        "bytes_removed": sum(before[name] for name in gone),
    }


def _came(after: dict[str, int], before: dict[str, int], releases: list[Path]) -> dict[str, Any]:
    """What is new in a remote: shards of the releases, their other files, and all else."""
    new = {name: size for name, size in after.items() if name not in before}
    # DVC names an object by the md5 of its bytes.
    by_md5 = {name.replace("/", "")[-32:]: size for name, size in new.items()}
    uploaded = {}
    for release in releases:
        for path in (path for path in release.rglob("*") if path.is_file()):
            md5 = hashlib.md5(path.read_bytes()).hexdigest()
            if md5 in by_md5:
                uploaded[path.relative_to(release).as_posix()] = by_md5.pop(md5)
    shards = sorted(name for name in uploaded if name.startswith(("images/", "labels/")))
    return {
        "shards": shards,
        "shards_bytes": sum(uploaded[name] for name in shards),
        "described_bytes": sum(uploaded.values()) - sum(uploaded[name] for name in shards),
        "else_objects": len(by_md5),
        "else_bytes": sum(by_md5.values()),
        "else_largest": sorted(by_md5.values(), reverse=True)[:5],
        "all_bytes_before": sum(before.values()),
    }


def _pulled(home: Path, target: str, folder: Path) -> Taken:
    """`dvc pull` in a clone, whose files are then compared in number and bytes."""
    clone = home.with_name(f"{home.name}-clone")
    commit(home, "What DVC tracks", ["."])
    git(home.parent, "clone", "--quiet", str(home), clone.name)
    taken = timed(clone, "-m", "dvc", "pull", "--quiet", target)
    if _sizes(clone / folder.relative_to(home)) != _sizes(folder):
        raise SystemExit(f"`dvc pull {target}` brought something else than was pushed.")
    shutil.rmtree(clone)
    return taken


def _sizes(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def measure(name: str, images: int, more: int, is_erasing: bool) -> dict[str, Any]:
    """Both ways over one storage; prints their table."""
    with (
        tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as scratch,
        storage_of(name, Path(scratch)) as storage,
    ):
        print(f"{name}: {images} images, load {os.getloadavg()[0]:.1f}", flush=True)
        workspace, by_loose, by_ours = both(storage, images)
        _tell("loose", by_loose)
        _tell("mirrorset", by_ours)
        sizes = {
            "images": sum(_sizes(storage.scratch / "loose" / "images").values()),
            "release": sum(_sizes(workspace.release(_NAME, "1.0.0")).values()),
        }
        further = added(storage, workspace, images, more) if more else {}
        print(f"  {more} more: {further}", flush=True)
        without = erased(storage, workspace) if is_erasing else {}
        print(f"  one erased: {without}", flush=True)
    ratios: dict[str, float] = {}
    for unit in ("s", "cpu_s"):
        loose = {part: getattr(taken, unit) for part, taken in by_loose.items()}
        ours = {part: getattr(taken, unit) for part, taken in by_ours.items()}
        end = "" if unit == "s" else "_cpu"
        sums = sum(loose.values()), sum(ours[part] for part in _COMPARED)
        ratios[f"ratio{end}"] = round(sums[0] / sums[1], 2)
        ratios[f"ratio_pull{end}"] = round(loose["pull"] / ours["pull"], 2)
        ratios[f"ratio_whole{end}"] = round(sums[0] / sum(ours.values()), 2)
    print(f"  {ratios}", flush=True)
    return {
        **ratios,
        "loose": by_loose,
        "ours": by_ours,
        "bytes": sizes,
        "added": further,
        "erased": without,
    }


def _tell(title: str, taken: dict[str, Taken]) -> None:
    shown = "  ".join(f"{part} {one.s} ({one.cpu_s})" for part, one in taken.items())
    print(f"  {title:10} {shown}", flush=True)


def main() -> None:
    """Measure; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--more", type=int, default=100, help="images added afterwards")
    parser.add_argument("--storage", nargs="+", choices=["s3", "local"], default=["s3", "local"])
    parser.add_argument("--keep-all", action="store_true", help="erase no image")
    given = parser.parse_args()
    os.environ.update(CREDENTIALS)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    machine = this_machine()
    results = {
        name: measure(name, given.images, given.more, not given.keep_all) for name in given.storage
    }
    machine["load_after"] = round(os.getloadavg()[0], 1)
    first = results[given.storage[0]]
    print(
        json.dumps({"ratio": first["ratio"], "images": given.images, **results, "machine": machine})
    )


if __name__ == "__main__":
    main()
