"""What `mirrorset status` says of a workspace."""

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from s3_server import CREDENTIALS
from typer.testing import CliRunner

from flows import run_notes
from flows.certificates import write_order
from flows.cli import app
from flows.overview import Overview, overview
from mirrorset.blobs import Held
from mirrorset.erasure import Order
from mirrorset.errors import InputError
from mirrorset.records import AnnotationJob, Batch, Rejected, utc_now
from mirrorset.workspace import Workspace, init


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init(tmp_path / "faces")


def test_a_new_workspace_holds_nothing_and_nothing_is_stuck(workspace: Workspace) -> None:
    now = overview(workspace.home)
    assert (now.images.stored, now.release, now.stuck, now.runs) == (0, "", (), ())


def test_json_is_the_record(workspace: Workspace) -> None:
    told = CliRunner().invoke(app, ["status", "--home", str(workspace.home), "--json"])
    assert Overview.model_validate_json(told.stdout).images.stored == 0
    assert set(json.loads(told.stdout)) == set(Overview.model_fields)


def test_rejections_are_counted_by_step_and_reason(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        catalogue.upsert(
            [
                Rejected(item_id=item, step=step, reason="too_small", detail="", image_url="")
                for item, step in (("a:1", "crawl"), ("a:2", "crawl"), ("a:3", "prelabel"))
            ]
        )
    images = overview(workspace.home).images
    assert images.found == 2
    assert images.rejected == {"crawl": {"too_small": 2}, "prelabel": {"too_small": 1}}


def test_what_is_stuck_is_named_with_its_time(workspace: Workspace) -> None:
    code = "import os, sys\nfrom pathlib import Path\nfrom flows import run_notes\n"
    code += "run_notes.begun(Path(sys.argv[1]), '1', 'crawl')\nos.kill(os.getpid(), 9)\n"
    subprocess.run([sys.executable, "-c", code, str(workspace.private)], check=False)
    note = run_notes.begun(workspace.private, "2", "annotate-push")
    run_notes.ended(workspace.private, note, "failed", "The server is away.")
    begun = Order(erasure_id="0123", asked="an image", began_at=utc_now(), image_ids=("ab" * 32,))
    write_order(workspace.private, begun)
    shard = workspace.spool / "x.jsonl"
    shard.parent.mkdir(exist_ok=True)
    shard.write_text("no record\n")
    os.utime(shard, (0, 0))
    job = AnnotationJob(
        batch_id="b", job_id="1", kind="annotation", image_ids=(), stage="validation",
        state="rejected", annotator="", updated_at=utc_now() - timedelta(days=30),
        content_sha256="",
    )  # fmt: skip
    with workspace.catalogue() as catalogue:
        catalogue.upsert([job])
    stuck = overview(workspace.home).stuck
    said = "\n".join(one.what for one in stuck)
    for words in ("crawl died", "server is away", "Erasure 0123", "x.jsonl", "validation rejected"):
        assert words in said
    assert all(one.since for one in stuck)
    assert len(stuck) == 5


def test_a_push_that_was_not_completed_is_stuck_until_one_is_at_it(workspace: Workspace) -> None:
    batch = Batch(
        batch_id="b", image_ids=(), schema_version="1", server="", project="", task="",
        state="planned",
    )  # fmt: skip
    with workspace.catalogue() as catalogue:
        catalogue.upsert([batch])
    (stuck,) = overview(workspace.home).stuck
    assert "1 batches are not with annotators" in stuck.what
    assert stuck.since is None
    note = run_notes.begun(workspace.private, "1", "annotate-push")
    assert not overview(workspace.home).stuck
    run_notes.ended(workspace.private, note, "cancelled")
    (stuck,) = overview(workspace.home).stuck
    assert stuck.since == note.began_at


def test_what_the_store_holds_is_counted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2000):
        workspace.blobs.put(b"%d" % number)
    (workspace.private / "blobs" / ".aside").mkdir(exist_ok=True)
    (workspace.private / "blobs" / ".aside" / "half").write_bytes(b"half")
    size_bytes = sum(len(str(number)) for number in range(2000))
    whole = Held(blobs=2000, size_bytes=size_bytes, is_estimate=False)
    assert overview(workspace.home).blobs == whole
    monkeypatch.setattr("flows.overview._COUNT_BLOBS_S", 0)
    part = overview(workspace.home).blobs
    assert part is not None
    assert part.is_estimate


def test_a_store_that_does_not_answer_is_stuck_and_hides_nothing_else(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in (CREDENTIALS | once).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MIRRORSET_BLOBS_URL", "s3://faces/originals")
    now = overview(workspace.home)
    assert now.blobs is None
    assert now.stuck[0].what == "The blob store s3://faces/originals cannot be used"
    assert "does not answer" in now.stuck[0].remedy
    assert now.images.stored == 0


def test_status_changes_nothing(workspace: Workspace) -> None:
    before = _files(workspace)
    overview(workspace.home)
    assert _files(workspace) == before
    with sqlite3.connect(workspace.private / "catalogue.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '0012'")
    database.close()
    with pytest.raises(InputError, match=r"earlier mirrorset \(0012.*mirrorset init"):
        overview(workspace.home)


def _files(workspace: Workspace) -> dict[Path, int]:
    """When each file was last changed, but for those that SQLite's readers make and remove."""
    return {
        file: file.stat().st_mtime_ns
        for file in workspace.home.rglob("*")
        if file.is_file() and not file.name.endswith(("-wal", "-shm"))
    }


def test_a_later_run_takes_up_what_a_dead_one_left(workspace: Workspace) -> None:
    run_notes.ended(workspace.private, run_notes.begun(workspace.private, "1", "crawl"), "failed")
    run_notes.ended(workspace.private, run_notes.begun(workspace.private, "2", "crawl"), "done")
    now = overview(workspace.home)
    assert not now.stuck
    assert [one.run_id for one in now.runs] == ["2", "1"]


def test_prefects_page_is_named_while_serve_runs(workspace: Workspace) -> None:
    (workspace.private / "serve.json").write_text('{"api_url": "http://127.0.0.1:4711/api"}\n')
    assert overview(workspace.home).ui_url == "", "a killed serve leaves its note"
    with (workspace.private / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert overview(workspace.home).ui_url == "http://127.0.0.1:4711"
