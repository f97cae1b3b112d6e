"""`mirrorset parity ingest` and `ingest-log`: what they keep, print and end with."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from small_pack import make_pack
from typer.testing import CliRunner

from flows.cli import app
from mirrorset.errors import GateError, InputError
from mirrorset.workspace import init
from parity.ingest import UnusableRunError
from parity.pack import Pack
from parity.run import open_run, reference_of
from parity.seals import checksums

GOOD = """Graph: [/x/a.tflite]
Inference timings in us: Init: 1, First inference: 9, Inference (avg): 5
"""
BAD = "STARTING!\nGraph: [/x/b.tflite]\nERROR: Out of memory.\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init(tmp_path_factory.mktemp("home")).home


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return make_pack(tmp_path_factory.mktemp("made") / "pack", [200, 150, 100])


@pytest.fixture(autouse=True)
def emptied(home: Path) -> None:
    shutil.rmtree(home / "parity", ignore_errors=True)


def command(home: Path, *words: str | Path) -> Result:
    return CliRunner().invoke(app, ["parity", *map(str, words), "--home", str(home)])


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def kept(home: Path) -> list[dict[str, Any]]:
    files = sorted((home / "parity/benchmarks").glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def test_a_log_is_kept_once_with_its_device_and_model(tmp_path: Path, home: Path) -> None:
    log, model = written(tmp_path / "a.log", GOOD), written(tmp_path / "a.tflite", "model")
    words = ("ingest-log", log, "--device", "Pixel 8", "--model", model, "--json")
    first = command(home, *words)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert (told["new"], told["known"], told["failed"]) == (1, 0, 0)
    again = json.loads(command(home, *words).stdout)
    assert (again["new"], again["known"]) == (0, 1)
    (run,) = kept(home)
    assert (run["device"], run["inference"]["mean_ms"]) == ("Pixel 8", 0.005)
    assert len(run["model_sha256"]) == 64


def test_a_run_that_failed_on_its_device_is_a_failure(tmp_path: Path, home: Path) -> None:
    logs = [written(tmp_path / "a.log", GOOD), written(tmp_path / "b.log", BAD)]
    ended = command(home, "ingest-log", *logs)
    assert isinstance(ended.exception, GateError)
    assert str(ended.exception) == "1 of 2 benchmark runs failed on their device: Out of memory."
    assert "FAILED" in ended.stdout
    assert len(kept(home)) == 2


def test_what_is_no_log_stops_none_of_the_others(tmp_path: Path, home: Path) -> None:
    logs = [written(tmp_path / "a.log", GOOD), written(tmp_path / "c.log", "hello"), tmp_path / "d"]
    ended = command(home, "ingest-log", *logs)
    assert isinstance(ended.exception, InputError)
    assert str(ended.exception).startswith(
        "2 of 3 logs cannot be used, the other 1 are kept: "
        f"{tmp_path / 'c.log'} holds no benchmark run"
    )
    assert f"{tmp_path / 'd'} is no file" in str(ended.exception)
    assert len(kept(home)) == 1


def device_run(folder: Path, pack: Pack) -> Path:
    for net, output in pack.chain.outputs:
        (folder / "nets" / net).mkdir(parents=True, exist_ok=True)
        np.save(folder / f"nets/{net}/{output}.npy", pack.reference_outputs[net][output])
    record = reference_of(pack).record.model_copy(
        update={"fed": "tensors", "files": checksums(folder, besides="run.json")}
    )
    (folder / "run.json").write_text(record.model_dump_json())
    return folder


def test_a_run_is_kept_among_those_on_its_pack(tmp_path: Path, home: Path, pack: Pack) -> None:
    run = device_run(tmp_path / "run", pack)
    ended = command(home, "ingest", run, "--pack", pack.path, "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert (told["is_new"], told["images"], told["faults"]) == (True, 3, [])
    place = Path(told["path"])
    assert place.parent == home.resolve() / "parity/faces-1.0.0"
    assert open_run(place).record.pack_digest == pack.record.digest
    again = command(home, "ingest", run, "--pack", pack.path)
    assert again.exit_code == 0
    assert "is new  no" in again.stdout


def test_a_run_of_another_pack_is_refused(tmp_path: Path, home: Path, pack: Pack) -> None:
    other = make_pack(tmp_path / "other", [90, 80])
    ended = command(home, "ingest", device_run(tmp_path / "run", pack), "--pack", other.path)
    assert isinstance(ended.exception, UnusableRunError)
    assert ended.exception.exit_code == 3
    kinds = [fault.kind for fault in ended.exception.faults]
    assert kinds == ["wrong_pack", "unknown_ids"]
    assert not (home / "parity").exists()


def test_what_a_comparison_is_to_judge_is_told(tmp_path: Path, home: Path, pack: Pack) -> None:
    run = device_run(tmp_path / "run", pack)
    shutil.rmtree(run / "nets/finder")
    record = json.loads((run / "run.json").read_text())
    del record["nets"]["finder"]
    record["files"] = checksums(run, besides="run.json")
    (run / "run.json").write_text(json.dumps(record))
    ended = command(home, "ingest", run, "--pack", pack.path)
    assert ended.exit_code == 0
    assert "1 nets of the chain did not run (finder)" in ended.stdout
