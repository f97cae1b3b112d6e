"""What `mirrorset status` says of a workspace."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import run_notes
from flows.certificates import write_order
from flows.cli import app
from flows.overview import Overview, overview
from mirrorset.erasure import Order
from mirrorset.records import AnnotationJob, Rejected, utc_now
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
    rejected = overview(workspace.home).images.rejected
    assert rejected == {"crawl": {"too_small": 2}, "prelabel": {"too_small": 1}}


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


def test_a_later_run_takes_up_what_a_dead_one_left(workspace: Workspace) -> None:
    run_notes.ended(workspace.private, run_notes.begun(workspace.private, "1", "crawl"), "failed")
    run_notes.ended(workspace.private, run_notes.begun(workspace.private, "2", "crawl"), "done")
    now = overview(workspace.home)
    assert not now.stuck
    assert [one.run_id for one in now.runs] == ["2", "1"]
