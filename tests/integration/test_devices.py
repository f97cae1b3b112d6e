"""From a release to the verdict that stays with it: variants, runs, device table, DVC's stage."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from portraits import make_release, portraits_in
from typer.testing import CliRunner

from faces.registry import fetch, load_registry
from flows.cli import app
from flows.release_state import ReleaseState, write_state
from mirrorset.errors import GateError, InputError
from mirrorset.workspace import Workspace, init
from parity.chain import CHAINS, DEFAULT_CHAIN
from parity.pack import PackParams, seal

TESTED = 12
GATES = [{"metric": "nme_to_reference", "limit": 0.002}]


@pytest.fixture(scope="module")
def room(
    shared_data: Path, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """A workspace with a release of portraits, its pack, and the half-precision variant wanted."""
    pytest.importorskip(
        "ai_edge_quantizer", reason="the extra of requirements-quantise.lock is not installed"
    )
    work = tmp_path_factory.mktemp("work")
    people = portraits_in(shared_data / "photos/frl_london/neutral_front", TESTED)
    workspace = init(work / "home")
    release = workspace.release("faces", "1.0.0")
    release.parent.mkdir(parents=True)
    make_release(people, work, "human").rename(release)
    write_state(workspace, ReleaseState(version="1.0.0"))
    chain = yaml.safe_load((CHAINS / f"{DEFAULT_CHAIN}.yaml").read_text())
    del chain["truth"]["label_points"][30]
    (work / "chain.yaml").write_text(yaml.safe_dump(chain, sort_keys=False))
    params = PackParams(chain=str(work / "chain.yaml"))
    seal(release, workspace.pack("faces", "1.0.0"), params, model_cache)
    set_parity(workspace, {"recipes": ["fp16"], "gates": GATES})
    return workspace


def set_parity(workspace: Workspace, section: dict[str, object]) -> None:
    values = yaml.safe_load(workspace.params_file.read_text())
    values["parity"] = section
    workspace.params_file.write_text(yaml.safe_dump(values))


def command(workspace: Workspace, *words: str | Path) -> Result:
    told = ["parity", *map(str, words), "--home", str(workspace.home)]
    return CliRunner().invoke(app, told)


def test_the_stage_runs_variants_and_keeps_a_verdict_that_goes_stale(
    room: Workspace, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = command(room, "verdict")
    assert isinstance(refused.exception, InputError)
    monkeypatch.chdir(room.home)
    ended = CliRunner().invoke(app, ["stage", "parity"])
    assert ended.exit_code == 0, ended.output
    kept = room.home / "parity/faces-1.0.0"
    rows = json.loads((kept / "devices.json").read_text())["rows"]
    said = {(row["nets"][0]["model_file"], row["nets"][0]["kernel"]): row for row in rows}
    assert {place: row["standing"] for place, row in said.items()} == {
        ("face_landmarks_detector.tflite", "reference"): "not_judged",
        ("face_landmarks_detector.tflite", "xnnpack"): "pass",
        ("landmarks-fp16.tflite", "xnnpack"): "pass",
    }
    fallback = json.loads((kept / "fallback.json").read_text())
    assert fallback["without_any_cpu"] == ""
    assert fallback["entries"][-1]["basis"] == "any_cpu"
    # DVC's clock and ours are two: what the stage wrote is what dvc.yaml says it does.
    stages = yaml.safe_load((room.home / "dvc.yaml").read_text())["stages"]["parity"]
    (verdict_out,) = stages["outs"][0]
    assert verdict_out.replace("${dataset.name}", "faces").replace("${version}", "1.0.0") == (
        "data/verdicts/faces-1.0.0.json"
    )
    assert (room.home / "data/verdicts/faces-1.0.0.json").is_file()
    assert (room.home / "data/metrics/parity.json").is_file()
    holds = command(room, "verdict", "--json")
    assert holds.exit_code == 0, holds.output
    assert [one["standing"] for one in json.loads(holds.stdout)["judged"]] == ["pass"]
    half = command(room, "verdict", "--model", kept / "variants/landmarks-fp16.tflite")
    assert half.exit_code == 0, half.output
    unknown = command(
        room, "verdict", "--model", fetch(load_registry()["face_landmark"], model_cache)
    )
    assert isinstance(unknown.exception, GateError)
    assert "was not judged" in str(unknown.exception)
    set_parity(room, {"recipes": ["fp16"]})
    stale = command(room, "verdict")
    assert isinstance(stale.exception, GateError)
    assert "the gates were changed" in str(stale.exception)


@pytest.mark.usefixtures("prefect")
def test_the_flow_commits_the_verdict_and_tells_an_app_what_to_load(room: Workspace) -> None:
    set_parity(
        room, {"recipes": ["fp16"], "gates": [{"metric": "nme_to_reference", "limit": 0.002}]}
    )
    ran = command(room, "--json")
    assert ran.exit_code == 0, ran.output
    assert set(json.loads(ran.stdout)["verdicts"]) == {"xnnpack", "fp16 xnnpack"}
    log = subprocess.run(
        ["git", "log", "--oneline", "--", "data/verdicts"],
        cwd=room.home, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Parity verdict on faces-1.0.0" in log.stdout
    loads = command(room, "devices", "--at", "Pixel 8, Android 15, Tensor G3", "--json")
    assert loads.exit_code == 0, loads.output
    entries = json.loads(loads.stdout)["entries"]
    assert {entry["basis"] for entry in entries} == {"any_cpu"}
