"""litert-benchmark as it is installed here: its text and JSON, with and without an accelerator."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ai_edge_litert.tools import benchmark_litert_model

from faces.carriers import member
from faces.registry import fetch, load_registry
from parity.logs.read import read_log, united
from parity.logs.records import BenchmarkRun


@pytest.fixture(scope="module")
def model(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = fetch(load_registry()["face_landmarker"], model_cache)
    path = tmp_path_factory.mktemp("model") / "face.tflite"
    path.write_bytes(member(archive, "face_landmarks_detector.tflite"))
    return path


def benchmarked(folder: Path, model: Path, *options: str) -> tuple[Path, Path]:
    """What the tool printed, and the JSON that it wrote, if it did."""
    answer, printed = folder / "answer.json", folder / "printed.txt"
    command = [sys.executable, benchmark_litert_model.__file__, "--model", str(model)]
    command += ["--num_runs", "4", "--warmup_runs", "2", "--result_json", str(answer), *options]
    with printed.open("wb") as out:
        subprocess.run(
            command, stdout=out, stderr=subprocess.STDOUT, check=False, timeout=120,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    return printed, answer


def only(path: Path) -> BenchmarkRun:
    (run,) = read_log(path)
    return run


def test_text_and_json_of_a_run_here_are_one_run(tmp_path: Path, model: Path) -> None:
    printed, answer = map(only, benchmarked(tmp_path, model))
    assert (printed.failure, printed.delegation.runs_on) == ("", "CPU")
    assert printed.model_mb == pytest.approx(model.stat().st_size / 1e6, abs=0.006)
    assert printed.inference == answer.inference
    (run,) = united([printed, answer])
    assert run.inference is not None
    assert run.inference.count == 4


def test_an_accelerator_that_is_not_there_is_called_cpu(tmp_path: Path, model: Path) -> None:
    text, answer = benchmarked(tmp_path, model, "--use_npu")
    assert '"fully_accelerated": true' in answer.read_text()
    printed, wrote = only(text), only(answer)
    assert (printed.delegation.delegate, printed.delegation.nodes) == ("NPU", 0)
    assert printed.delegation.runs_on == "CPU"
    assert wrote.delegation.runs_on == ""
    # A machine with other work may have taken times, too, that are doubted.
    assert "unproven" in {doubt.kind for doubt in wrote.doubts}


def test_a_model_that_cannot_be_read_has_failed(tmp_path: Path, model: Path) -> None:
    text, _ = benchmarked(tmp_path, tmp_path / "absent.tflite")
    assert "Model file not found" in only(text).failure
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(model.read_bytes()[:5000])
    text, _ = benchmarked(tmp_path, broken)
    assert only(text).failure != ""
