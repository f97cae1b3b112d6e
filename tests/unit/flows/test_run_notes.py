"""What runs leave for `mirrorset status` to read."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import run_notes
from mirrorset.erasure import Gone
from mirrorset.records import Record


def test_a_run_is_noted_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    note = run_notes.begun(tmp_path, "1", "crawl", "faces")
    assert [(one.state, one.is_alive) for one in run_notes.read_notes(tmp_path)] == [
        ("running", True)
    ]
    run_notes.ended(tmp_path, note, "done", counts={"stored": 3})
    (kept,) = run_notes.read_notes(tmp_path)
    assert (kept.state, kept.deployment, kept.counts) == ("done", "faces", {"stored": 3})
    assert kept.ended_at is not None
    assert kept.ended_at >= kept.began_at


def test_a_killed_run_is_told_from_one_at_work(tmp_path: Path) -> None:
    code = "import os, sys\nfrom pathlib import Path\nfrom flows import run_notes\n"
    code += "run_notes.begun(Path(sys.argv[1]), '1', 'crawl')\nos.kill(os.getpid(), 9)\n"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (note,) = run_notes.read_notes(tmp_path)
    assert note.state == "running"
    assert not note.is_alive


def test_a_later_process_with_the_same_id_is_another(tmp_path: Path) -> None:
    note = run_notes.begun(tmp_path, "1", "crawl")
    earlier = note.model_copy(update={"process_began_at": note.process_began_at - 60})
    assert not earlier.is_alive


def test_a_run_of_another_host_lives_while_it_touches_its_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = run_notes.begun(tmp_path, "1", "crawl")
    monkeypatch.setattr(run_notes.socket, "gethostname", lambda: "another")
    monkeypatch.setattr(run_notes, "_TOUCH_EVERY_S", 0.01)
    (file,) = (tmp_path / "runs").iterdir()
    os.utime(file, (0, 0))

    def is_alive() -> bool:
        return next(run_notes.read_notes(tmp_path)).is_alive

    assert not is_alive()
    with run_notes.touching(tmp_path, note):
        ends_at = time.monotonic() + 10
        while not is_alive():
            assert time.monotonic() < ends_at
            time.sleep(0.01)


def test_a_run_that_goes_on_has_one_note(tmp_path: Path) -> None:
    first = run_notes.begun(tmp_path, "1", "release")
    run_notes.ended(tmp_path, first, "waiting", "It waits for a person's approval.")
    run_notes.ended(tmp_path, run_notes.begun(tmp_path, "1", "release"), "done")
    (kept,) = run_notes.read_notes(tmp_path)
    assert (kept.state, kept.began_at) == ("done", first.began_at)


def test_the_latest_run_comes_first(tmp_path: Path) -> None:
    for number in range(3):
        run_notes.begun(tmp_path, str(number), "crawl")
    assert [one.run_id for one in run_notes.read_notes(tmp_path)] == ["2", "1", "0"]


def test_an_erasure_reaches_notes(tmp_path: Path) -> None:
    image_id = "ab" * 32
    for run_id, fault in (("1", f"Image {image_id} is broken."), ("2", "The disk is full.")):
        run_notes.ended(tmp_path, run_notes.begun(tmp_path, run_id, "crawl"), "failed", fault)
    gone = Gone(image_ids=frozenset({image_id}))
    assert [one.count for one in run_notes.erase(tmp_path, gone, is_dry_run=True)] == [1]
    run_notes.erase(tmp_path, gone)
    assert [one.run_id for one in run_notes.read_notes(tmp_path)] == ["2"]


def test_counts_are_a_summarys_numbers() -> None:
    class Summary(Record):
        stored: int
        rejected: dict[str, int]
        fault: str

    summary = Summary(stored=2, rejected={"too_small": 1}, fault="none")
    assert run_notes.counts_of({"commons": summary}) == {
        "commons.stored": 2,
        "commons.rejected.too_small": 1,
    }
