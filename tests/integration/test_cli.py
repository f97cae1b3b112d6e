"""The command line as a person meets it: what works, what is refused and how that is said."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from demo_run import refused, run
from typer.testing import CliRunner

from faces.registry import fetch, load_registry
from flows.cli import app
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.files import read_records
from mirrorset.records import Annotation
from mirrorset.workspace import init


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return init(tmp_path / "faces").home


def test_init_makes_a_clean_workspace_and_a_second_init_keeps_it(tmp_path: Path) -> None:
    workspace = tmp_path / "faces"
    run("init", str(workspace))
    (workspace / "params.yaml").write_text("dataset: {name: mine}\n")
    run("init", str(workspace), "--remote", "/somewhere")
    assert (workspace / "params.yaml").read_text() == "dataset: {name: mine}\n"
    assert "/somewhere" in (workspace / ".dvc/config").read_text()
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=workspace, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_init_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(3, "init", str(tmp_path / "file"))


@pytest.mark.usefixtures("prefect")
def test_commands_outside_a_workspace_say_how_to_make_one(tmp_path: Path) -> None:
    assert "mirrorset init" in refused(2, "release", "--home", str(tmp_path))
    for command in (["crawl"], ["prelabel"], ["annotate", "push"], ["parity"]):
        # A process takes seconds to start.
        error = CliRunner().invoke(app, [*command, "--home", str(tmp_path)]).exception
        assert isinstance(error, SettingsError)
        assert "mirrorset init" in str(error)


@pytest.mark.usefixtures("prefect")
def test_a_crawl_needs_sources(workspace: Path) -> None:
    assert "sources" in refused(2, "crawl", "--home", str(workspace))


def test_doctor_reads_all_of_params(workspace: Path) -> None:
    run("doctor", "--home", str(workspace))
    (workspace / "params.yaml").write_text("selct: {}\n")
    finished = CliRunner().invoke(app, ["doctor", "--home", str(workspace)])
    assert "selct" in finished.stdout
    assert isinstance(finished.exception, UnavailableError)
    assert "workspace" in str(finished.exception)


@pytest.mark.usefixtures("prefect")
def test_an_empty_catalogue_releases_nothing(workspace: Path) -> None:
    assert "no image to release" in refused(1, "release", "--home", str(workspace))
    tags = subprocess.run(
        ["git", "tag"], cwd=workspace, capture_output=True, text=True, check=True
    ).stdout
    assert tags == ""
    assert not list((workspace / "data").glob("releases/*/*"))


def test_a_plain_folder_is_labelled_line_by_line(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(shared_data / "photos" / "pd_portraits", folder)
    (folder / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "labels.jsonl"
    finished = run("prelabel", "--images", str(folder), "--out", str(out), "--json")
    assert json.loads(finished.stdout)["labelled"] == 2
    assert finished.stderr == ""
    annotations = list(read_records(out, Annotation))
    assert all(note.origin == "model" and note.by == "research" for note in annotations)
    assert all(len(note.faces[0].landmarks["ibug68"].points) == 68 for note in annotations)
    assert all(len(note.faces[0].landmarks["face106"].points) == 106 for note in annotations)
    assert "not_an_image" in (tmp_path / "labels.rejected.jsonl").read_text()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "o.jsonl")
    assert "no folder" in refused(3, "prelabel", "--images", str(tmp_path / "no"), "--out", out)
    assert "go together" in refused(2, "prelabel", "--images", str(tmp_path))
    assert not (tmp_path / "o.jsonl").exists()


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "age-v1.onnx").write_bytes(b"damaged")
    env = {"MIRRORSET_CACHE": str(tmp_path)}
    listed = json.loads(run("models", "list", "--json", env=env).stdout)
    assert listed["age-v1"]["state"] == "damaged"
    assert "age-v1" in refused(5, "models", "verify", env=env)
    assert "no model 'none'" in refused(2, "models", "fetch", "none")


def test_weights_that_cannot_be_had_keep_no_others_back(model_cache: Path, tmp_path: Path) -> None:
    yunet = load_registry()["yunet"]
    cache = tmp_path / "models"
    cache.mkdir()
    (cache / yunet.file).symlink_to(fetch(yunet, model_cache))
    nowhere = "http://127.0.0.1:9/simple"
    env = {"MIRRORSET_CACHE": str(tmp_path), "PIP_INDEX_URL": nowhere, "PIP_RETRIES": "0"}
    said = refused(4, "models", "fetch", "age-v1", "yunet", env=env)
    assert "age-v1 cannot be had" in said
    assert "Needed by: the gates of every profile." in said
    assert "yunet" not in said


@pytest.mark.parametrize("after_s", [0.05, 0.4, 1.0])
def test_ctrl_c_is_answered_from_the_first_moment_on(workspace: Path, after_s: float) -> None:
    """While the command is still imported, too; Python itself takes some hundredths to begin."""
    program = "import flows.entry as e, sys; sys.argv[0] = 'mirrorset'; print(flush=True); e.main()"
    command = [sys.executable, "-c", program, "doctor", "--home", str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.readline()
        time.sleep(after_s)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.decode().strip() == "mirrorset: Stopped; run it again to go on where it was."
