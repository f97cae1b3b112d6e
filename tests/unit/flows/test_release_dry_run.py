"""`mirrorset release --dry-run`: all is told, and nothing is touched."""

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.release import dry_run
from flows.snapshot import write_snapshot
from mirrorset.errors import SettingsError
from mirrorset.licences import normalise
from mirrorset.records import (
    Annotation,
    Evidence,
    ImageRecord,
    LedgerEntry,
    Reason,
    Rejected,
    Sighting,
    Verdict,
    utc_now,
)
from mirrorset.spool import write_shard
from mirrorset.workspace import Workspace, init, open_workspace


def records(image_id: str, licence: str) -> list[ImageRecord | Sighting | Annotation | Verdict]:
    stated = normalise(licence)
    assert stated is not None
    return [
        ImageRecord(
            image_id=image_id,
            media_type="image/jpeg",
            size_bytes=1,
            width_px=1,
            height_px=1,
            pixel_hash=image_id,
            phash="0" * 16,
        ),
        Sighting(
            image_id=image_id,
            source="gallery",
            source_item_id=image_id[:4],
            page_url="",
            image_url="",
            licence=stated,
            evidence=Evidence(licence_read_from="rel", licence_text=licence, crawler="test"),
            seen_at=utc_now(),
        ),
        Annotation(
            image_id=image_id,
            faces=(),
            origin="model",
            by="research",
            schema_version="selfie-3",
            made_at=utc_now(),
        ),
        Verdict(image_id=image_id, check="adult", passed=True),
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    init(tmp_path)
    workspace = open_workspace(tmp_path)
    with workspace.catalogue() as catalogue:
        catalogue.upsert([*records("a" * 64, "CC BY 4.0"), *records("b" * 64, "CC BY-ND 4.0")])
    return workspace


def contents(home: Path) -> dict[str, str]:
    """Every file of the workspace by the hash of its bytes."""
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file()
    }


def invoke(workspace: Workspace, *options: str) -> str:
    arguments = ["release", "--dry-run", "--home", str(workspace.home), *options]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_it_tells_all_and_changes_nothing(workspace: Workspace) -> None:
    before = contents(workspace.home)
    shown = json.loads(invoke(workspace, "--json"))
    text = invoke(workspace)
    assert contents(workspace.home) == before
    assert (shown["images"], shown["kept"], shown["note"]) == (2, 0, "")
    gates = {gate["gate"]: gate for gate in shown["gates"]}
    assert (gates["faces"]["refused"], gates["faces"]["alone"]) == (2, 1)
    assert gates["licence"]["reasons"] == {"no_derivatives": 1}
    for limit in shown["limits"]:
        assert limit["param"] in text
    assert "no_derivatives 1" in text
    with workspace.catalogue() as catalogue:
        assert not list(catalogue.read(LedgerEntry))


def test_it_heeds_params(workspace: Workspace) -> None:
    params = workspace.params_file.read_text()
    workspace.params_file.write_text(params.replace("select: {}", "select: {max_faces: 7}"))
    limits = {one.param: one for one in dry_run(workspace.home).limits}
    assert [step.value for step in limits["max_faces"].steps] == [9, 8, 7, 6, 5]
    workspace.params_file.write_text(params.replace("select: {}", "select: {max_face: 7}"))
    with pytest.raises(SettingsError, match="max_face"):
        dry_run(workspace.home)


def test_records_that_wait_are_told_and_left_waiting(workspace: Workspace) -> None:
    shard = write_shard(workspace.spool, records("c" * 64, "CC0"))
    costs = dry_run(workspace.home)
    assert (costs.images, shard.exists()) == (2, True)
    assert "1 file" in costs.note


def test_a_clone_reads_the_snapshot_it_came_with(workspace: Workspace, tmp_path: Path) -> None:
    with workspace.catalogue() as catalogue:
        rejected = Rejected(item_id="d" * 64, step="prelabel", reason=Reason.NO_FACE)
        catalogue.upsert([rejected, records("d" * 64, "CC0")[0]])
        write_snapshot(workspace, catalogue)
    expected = dry_run(workspace.home)
    assert (expected.rejected_before, expected.images) == (1, 3)
    clone = init(tmp_path / "clone")
    (clone.home / "data").mkdir(exist_ok=True)
    workspace.snapshot.rename(clone.snapshot)
    assert dry_run(clone.home) == expected


def test_it_makes_no_version(workspace: Workspace) -> None:
    with pytest.raises(SettingsError, match="leave --version out"):
        invoke(workspace, "--version", "1.2.3")
