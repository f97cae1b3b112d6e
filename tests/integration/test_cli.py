"""The command line as a person meets it: what works, what is refused and how that is said."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from demo_run import MIRRORSET, Demo

import mirrorset
from faces.registry import fetch, load_registry
from mirrorset.files import read_records
from mirrorset.records import Annotation


def run(
    *arguments: str, env: dict[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    import os

    finished = subprocess.run(
        [MIRRORSET, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        timeout=300,
    )
    assert finished.returncode == code, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished


def refused(code: int, *arguments: str, env: dict[str, str] | None = None) -> str:
    """The one sentence that a refused command says."""
    said = run(*arguments, env=env, code=code).stderr.strip()
    assert said.startswith("mirrorset:")
    assert "\n" not in said
    return said


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    run("init", str(tmp_path / "faces"))
    return tmp_path / "faces"


def test_init_makes_a_clean_workspace_and_a_second_init_keeps_it(workspace: Path) -> None:
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


def test_commands_outside_a_workspace_say_how_to_make_one(tmp_path: Path) -> None:
    for command in (["crawl"], ["prelabel"], ["annotate", "push"], ["release"], ["parity"]):
        assert "mirrorset init" in refused(2, *command, "--home", str(tmp_path))


def test_a_crawl_needs_sources(workspace: Path) -> None:
    assert "sources" in refused(2, "crawl", "--home", str(workspace))


def test_doctor_reads_all_of_params(workspace: Path) -> None:
    run("doctor", "--home", str(workspace))
    (workspace / "params.yaml").write_text("selct: {}\n")
    finished = run("doctor", "--home", str(workspace), code=4)
    assert "selct" in finished.stdout
    assert "workspace" in finished.stderr


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


def test_parity_on_the_demo_pack_and_a_gate_that_fails(demo: Demo, tmp_path: Path) -> None:
    pack = str(demo.home / "data/packs/demo/0.1.0")
    out, comparison = str(tmp_path / "run"), str(tmp_path / "comparison.json")
    key = json.loads(run("parity", "run", "--pack", pack, "--out", out, "--json").stdout)["key"]
    assert key["kernel"] == "xnnpack"
    assert key["delegated_share"] == 1
    run("parity", "compare", "--pack", pack, "--candidate", out, "--out", comparison)
    (tmp_path / "gates.yaml").write_text(
        "- {metric: nme_to_reference, limit: 0.0, minimum_count: 1}\n"
    )
    said = refused(
        7, "parity", "compare", "--pack", pack, "--candidate", out, "--out", comparison,
        "--gates", str(tmp_path / "gates.yaml"),
    )  # fmt: skip
    assert "gate failed" in said
    assert "none of" in refused(2, "parity", "run", "--pack", pack, "--out", out, "--kernel", "gpu")


@pytest.fixture
def own_demo(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the finished demo, with a remote of its own."""
    home = tmp_path / "demo"
    shutil.copytree(demo.home, home, symlinks=True)
    run("init", str(home), "--remote", str(home / "remote"))
    return home


def mark_reviewed(task: Path, returned: Path) -> None:
    """What CVAT would export had a person set the tag "reviewed" on every image."""
    tag = b'<tag label="reviewed" source="manual"></tag></image>'
    with zipfile.ZipFile(task) as sent, zipfile.ZipFile(returned, "w") as back:
        for name in sent.namelist():
            content = sent.read(name)
            if name == "annotations.xml":
                content = content.replace(b"</image>", tag)
            back.writestr(name, content)


def test_a_review_becomes_a_new_version_that_keeps_the_image_bytes(own_demo: Path) -> None:
    outbox = sorted((own_demo / "cvat" / "outbox").iterdir())
    for folder in outbox:
        mark_reviewed(folder / "task.zip", own_demo / "cvat" / "inbox" / f"{folder.name}.zip")
    pulled = json.loads(run("annotate", "pull", "--home", str(own_demo), "--json").stdout)
    assert pulled["reviewed"] > 0
    assert pulled["rejected"] == 0
    released = json.loads(run("release", "--home", str(own_demo), "--json").stdout)
    assert released["tag"] == "demo-0.2.0"
    before = mirrorset.load(own_demo / "data/releases/demo/0.1.0")
    after = mirrorset.load(own_demo / "data/releases/demo/0.2.0")
    assert after.card.unreviewed == 0
    assert before.card.unreviewed == before.card.images
    assert {i.image_id: i.split for i in before} == {i.image_id: i.split for i in after}
    shards = {name: sha for name, sha in before.card.files.items() if name.startswith("images/")}
    assert shards.items() <= after.card.files.items()
    assert before.card.digest != after.card.digest
    taken = refused(2, "release", "--home", str(own_demo), "--version", "0.1.0")
    assert "other content" in taken
    assert mirrorset.load(own_demo / "data/releases/demo/0.2.0").card == after.card
