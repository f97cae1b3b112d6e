"""`mirrorset annotate schema`, as a person or a program calls it."""

import json
from pathlib import Path

import pytest
from cvat_annotator import Pictures, make_task
from cvat_labels import label_of
from standin.server import Cvat
from typer.testing import CliRunner, Result

import flows.schema
from annotation.batches import make_batch
from annotation.cvat import project
from annotation.cvat.connection import connect
from annotation.schema import load_label_schema
from flows.cli import app
from mirrorset.errors import SettingsError
from mirrorset.workspace import init


@pytest.fixture
def home(cvat: Cvat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose server is the stand-in: on a real one the project may be somebody's."""
    monkeypatch.setenv("MIRRORSET_CVAT_URL", cvat.stand_in.url)
    monkeypatch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
    init(tmp_path / "faces", None)
    return tmp_path / "faces"


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["annotate", "schema", *words, "--home", str(home)])


def test_a_person_reads_what_would_be_done_and_what_was(home: Path) -> None:
    asked = run(home, "diff")
    assert asked.exit_code == 0
    assert asked.stdout.splitlines()[:2] == [
        "There is no project yet; apply makes one:",
        "  done    face: new rectangle",
    ]
    done = run(home, "apply")
    assert done.stdout.startswith("Project 1 is made.")
    assert done.stdout.splitlines()[-1] == "  done    the guide is uploaded"
    assert run(home, "diff").stdout.splitlines() == [
        "Project 1:",
        "  same    nothing would change",
    ]
    assert run(home, "apply").stdout.splitlines() == ["Project 1 is up to date."]


def test_what_would_break_is_told_and_is_no_success(
    home: Path, cvat: Cvat, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(home, "apply")
    connection = connect(cvat.url, cvat.token)
    schema = load_label_schema("selfie")
    pictures = Pictures.plain(1)
    (image_id,) = pictures
    project_id = project.find(connection, schema)["id"]
    batch = make_batch([image_id], schema.version)
    make_task(connection, project_id, batch, pictures, [label_of(image_id)], schema)
    assert run(home, "diff").exit_code == 0
    without = schema.model_copy(
        update={"labels": tuple(one for one in schema.labels if one.name != "person")}
    )
    monkeypatch.setattr(flows.schema, "label_schema", lambda _: without)
    for options in ([], ["--json"]):
        result = run(home, "diff", *options)
        assert result.exit_code == 1
    assert json.loads(result.stdout)["plan"]["broken"]


def test_an_organisation_that_is_not_there_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRRORSET_CVAT_ORGANISATION", "nope")
    result = run(home, "diff")
    assert isinstance(result.exception, SettingsError)
    assert "has no organisation 'nope'" in str(result.exception)


def test_a_program_reads_json_and_names_the_schema(home: Path) -> None:
    made = json.loads(run(home, "apply", "selfie-parsing", "--json").stdout)
    assert (made["is_new"], made["kept"]) == (True, [])
    assert "hair: new mask" in made["done"]
    asked = json.loads(run(home, "diff", "--json").stdout)
    assert asked["project_id"] is None
    assert {one["how"] for one in asked["plan"]["done"]} == {"add"}


def test_without_a_server_it_says_what_to_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRRORSET_CVAT_URL")
    result = run(home, "diff")
    assert isinstance(result.exception, SettingsError)
    assert "set cvat_url in" in str(result.exception)
