"""What DVC takes of an image: a release's folders as the product keeps them, and loose files.

    .venv/bin/python benchmarks/scale_dvc.py [--sizes 1000,10000] [--folder FOLDER]

The workspaces are those of `scale.py`, their steps run before. `keep` is `dvc add` of the snapshot
and `dvc commit` of all that the stages made: what `dvc repro` does besides running them. `check` is
`dvc repro` where nothing changed, `push` goes to a folder. Loose are the same pictures, each a file
of one `dvc add`. Prints CPU time, children's included; the last line is JSON.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measured import run, this_machine
from scale import STEPS, make, run_step
from scale_records import picture

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flows.release_state import ReleaseState, write_state  # noqa: E402
from mirrorset.workspace import init  # noqa: E402

_PARAMS = """\
dataset: {name: scale, intended_use: research, is_unreviewed: true}
responsible: {}
select: {}
group: {}
pack: {}
parity: {}
"""
_STAGES = ("select", "group", "split", "build", "measure")
_HEAD = f"{'what':<16}{'images':>9}{'files':>9}{'MB':>9}{'ms/image':>12}{'CPU s':>9}{'wall s':>9}"


def main() -> None:
    """Measure; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000", help="with commas")
    parser.add_argument("--folder", type=Path, help="where to work, on 60 kB of disk for an image")
    wanted = parser.parse_args()
    machine = this_machine()
    rows: list[dict[str, Any]] = []
    print(_HEAD)
    for size in map(int, wanted.sizes.split(",")):
        with TemporaryDirectory(prefix="mirrorset-dvc-", dir=wanted.folder) as name:
            for row in [*_product(Path(name), size), *_loose(Path(name), size)]:
                rows.append(row)
                print(
                    f"{row['what']:<16}{size:>9,}{row['files']:>9,}{row['mb']:>9}"
                    f"{row['cpu_ms_an_image']:>12.3f}{row['cpu_s']:>9.1f}{row['wall_s']:>9.1f}",
                    flush=True,
                )
    print(json.dumps({"benchmark": "scale_dvc", "rows": rows, **machine}))


def _product(scratch: Path, size: int) -> Iterator[dict[str, Any]]:
    home, remote = scratch / "workspace", scratch / "remote"
    workspace = init(home, str(remote))
    workspace.params_file.write_text(_PARAMS)
    write_state(workspace, ReleaseState(version="0.1.0"))
    make(home, 0, size)
    for step in STEPS:
        run_step(step, home)
    kept = [home / "data" / name for name in ("snapshot", "work", "releases")]
    keep = [["add", "data/snapshot"], ["commit", "--force", *_STAGES]]
    yield _row("keep", size, kept, _timed(home, *keep))
    yield _row("check", size, kept, _timed(home, ["repro", *_STAGES]))
    yield _row("push", size, [remote], _timed(home, ["push"]))


def _loose(scratch: Path, size: int) -> Iterator[dict[str, Any]]:
    home, remote = scratch / "loose", scratch / "loose-remote"
    init(home, str(remote))
    (home / "dvc.yaml").unlink()
    folder = home / "images"
    folder.mkdir()
    for number in range(size):
        (folder / f"{number:06d}.jpg").write_bytes(picture(number))
    yield _row("loose: add", size, [folder], _timed(home, ["add", "images"]))
    yield _row("loose: push", size, [remote], _timed(home, ["push"]))


def _timed(home: Path, *commands: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of the DVC commands in `home`, one after the other."""
    with contextlib.chdir(home):
        log = home.with_name("log")
        taken = [run([sys.executable, "-m", "dvc", *one, "--quiet"], log) for one in commands]
    return sum(one.cpu_s for one in taken), sum(one.wall_s for one in taken)


def _row(what: str, size: int, folders: list[Path], taken: tuple[float, float]) -> dict[str, Any]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {
        "what": what,
        "size": size,
        "files": len(files),
        "mb": round(sum(path.stat().st_size for path in files) / 1e6),
        "cpu_ms_an_image": round(1e3 * taken[0] / size, 4),
        "cpu_s": round(taken[0], 2),
        "wall_s": round(taken[1], 2),
    }


if __name__ == "__main__":
    main()
