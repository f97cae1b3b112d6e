"""`mirrorset annotate schema`, as a person or a program calls it."""

import json
from pathlib import Path

import pytest
from standin.server import Cvat
from typer.testing import CliRunner, Result

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
