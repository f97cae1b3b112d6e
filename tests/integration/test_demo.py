"""The demo keeps its promises: portraits in, every bad case out, the same after any kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from demo_run import MIRRORSET, Demo, demo_command, run_demo, started, with_group

from mirrorset.files import read_records
from mirrorset.records import DatasetItem


def test_every_planted_case_is_rejected_for_its_own_reason(demo: Demo) -> None:
    assert demo.summary["surprises"] == []
    assert demo.summary["planted"] == demo.summary["planted_caught"] == 9
    assert (
        demo.summary["rejected"]
        | {
            "decompression_bomb": 1,
            "licence_missing": 1,
            "no_derivatives": 1,
            "no_face": 2,
            "opt_out_noai": 1,
            "opt_out_tdm": 1,
            "robots": 1,
            "truncated": 1,
        }
        == demo.summary["rejected"]
    )


def test_near_duplicates_share_a_group_and_a_split(demo: Demo) -> None:
    assert demo.summary["near_duplicates"] >= 12
    assert demo.summary["split_apart"] == 0
    items = list(read_records(demo.home / "data/work/items.jsonl", DatasetItem))
    splits = {
        group: {i.split for i in items if i.group_id == group}
        for group in {item.group_id for item in items}
    }
    assert all(len(found) == 1 for found in splits.values())
    assert len(splits) < len(items)


def test_nothing_pretends_that_people_looked(demo: Demo) -> None:
    assert demo.summary["reviewed"] == 0
    assert demo.summary["review_state"] == "unreviewed"
    release = demo.home / "data/releases/demo/0.1.0"
    assert "**Unreviewed.**" in (release / "DATASHEET.md").read_text()
    assert "Unreviewed" in (demo.home / "report/index.html").read_text()
    assert (
        json.loads((demo.home / "data/packs/demo/0.1.0/pack.json").read_text())["review_state"]
        == "unreviewed"
    )


def test_the_summary_is_kept_and_nothing_is_on_the_screen(demo: Demo) -> None:
    assert json.loads((demo.home / "summary.json").read_text()) == demo.summary
    assert demo.stderr == ""


def git(home: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=home, check=True, capture_output=True, text=True
    ).stdout


def dvc(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=home, check=True, capture_output=True, text=True).stdout


def test_git_and_dvc_are_clean_and_git_holds_no_image(demo: Demo) -> None:
    assert git(demo.home, "status", "--porcelain") == ""
    assert "up to date" in dvc(demo.home, "status")
    assert git(demo.home, "tag").split() == ["demo-0.1.0"]
    kept = git(demo.home, "grep", "-lE", "[0-9a-f]{64}", "demo-0.1.0").split()
    assert kept == ["demo-0.1.0:release.yaml"]  # the content digest, of no single image
    image_ids = [
        record.image_id for record in read_records(demo.home / "data/work/items.jsonl", DatasetItem)
    ]
    assert all(
        image_id not in git(demo.home, "show", "demo-0.1.0:release.yaml") for image_id in image_ids
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "data").rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


def test_a_clone_pulls_every_byte(demo: Demo, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(demo.home), str(clone))
    dvc(clone, "pull")
    assert contents(clone) == contents(demo.home)
    assert len(contents(clone)) > 15
    assert "up to date" in dvc(clone, "status")
    # A colleague's release starts from the ledger that came with the snapshot.
    command = [str(MIRRORSET), "release", "--home", str(clone), "--json"]
    with started(command) as process:
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["is_new"] is False
    assert contents(clone) == contents(demo.home)
    assert git(clone, "rev-parse", "HEAD") == git(demo.home, "rev-parse", "HEAD")


def test_a_second_run_changes_nothing(demo: Demo) -> None:
    before = git(demo.home, "rev-parse", "HEAD"), contents(demo.home)
    assert run_demo(demo.home).summary == demo.summary
    assert (git(demo.home, "rev-parse", "HEAD"), contents(demo.home)) == before


def rows(home: Path, table: str) -> int:
    file = home / ".mirrorset" / "catalogue.sqlite"
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
    except sqlite3.OperationalError:
        return 0


def some(home: Path, pattern: str) -> bool:
    return next(home.glob(pattern), None) is not None


#: What is seen in the workspace when a step is under way.
UNDER_WAY: dict[str, Callable[[Path], bool]] = {
    "crawl": lambda home: some(home, ".mirrorset/blobs/*/*/*"),
    "prelabel": lambda home: rows(home, "annotations") > 0,
    "annotate": lambda home: some(home, "cvat/outbox/*"),
    "release": lambda home: some(home, "data/releases/demo/*"),
    "parity": lambda home: some(home, "parity/*"),
}


@pytest.mark.timeout(900)
def test_killed_in_every_step_it_ends_the_same(demo: Demo, tmp_path: Path) -> None:
    """SIGKILL in the middle of each step, by turns of the command alone and of all it started."""
    home = tmp_path / "demo"
    interrupted(home, "crawl", UNDER_WAY["crawl"])
    for number, (step, is_under_way) in enumerate(UNDER_WAY.items()):
        with started(demo_command(home)) as process:
            await_step(process, home, step, is_under_way)
            if number % 2:
                with_group(process, signal.SIGKILL)
            else:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
    again = run_demo(home).summary
    places = {"report": again.pop("report"), "pushed_to": again.pop("pushed_to")}
    assert all(place.startswith(str(home)) for place in places.values())
    assert again == {name: value for name, value in demo.summary.items() if name not in places}
    for table in ("images", "sightings", "annotations", "verdicts", "rejected", "ledger"):
        assert rows(home, table) == rows(demo.home, table)
    assert not some(home, "data/**/.*.part")
    assert git(home, "status", "--porcelain") == ""
    assert "up to date" in dvc(home, "status")


def interrupted(home: Path, step: str, is_under_way: Callable[[Path], bool]) -> None:
    """Ctrl-C, which reaches all that was started, ends the command at once, in one sentence."""
    with started(demo_command(home)) as process:
        await_step(process, home, step, is_under_way)
        with_group(process, signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
        assert process.returncode == 130
        assert stderr.strip() == "mirrorset: Stopped; run it again to go on where it was."


def await_step(
    process: subprocess.Popen[str], home: Path, step: str, is_under_way: Callable[[Path], bool]
) -> None:
    until = time.monotonic() + 200
    while not is_under_way(home):
        assert process.poll() is None, f"{step}: ended by itself"
        assert time.monotonic() < until, f"{step}: never seen"
        time.sleep(0.002)
