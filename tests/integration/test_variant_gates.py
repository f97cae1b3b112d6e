"""From a release's training split to a quantised variant, and to the gates on its test split."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from portraits import make_release, portraits_in
from typer.testing import CliRunner, Result

from faces.registry import fetch, load_registry
from flows.cli import app
from mirrorset.errors import InputError
from parity.chain import CHAINS, DEFAULT_CHAIN
from parity.compare import compare
from parity.gates import load_gates
from parity.kernels import Kernel
from parity.pack import PackParams, open_pack, seal
from parity.quantise import QuantisedModel, Recipe
from parity.records import Comparison
from parity.run import reference_of, run

TESTED, CALIBRATING = 12, 8


@pytest.fixture(scope="module")
def packs(
    shared_data: Path, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """By split the pack of one release, for the default chain less the tip of the nose."""
    work = tmp_path_factory.mktemp("work")
    folder = shared_data / "photos/frl_london/neutral_front"
    people = portraits_in(folder, TESTED + CALIBRATING)
    people[TESTED:] = [replace(one, split="train") for one in people[TESTED:]]
    release = make_release(people, work, "human")
    values = yaml.safe_load((CHAINS / f"{DEFAULT_CHAIN}.yaml").read_text())
    del values["truth"]["label_points"][30]
    chain = work / "chain.yaml"
    chain.write_text(yaml.safe_dump(values, sort_keys=False))
    return {
        split: seal(
            release,
            work / split,
            PackParams.model_validate({"chain": str(chain), "split": split}),
            model_cache,
        )
        for split in ("test", "train")
    }


@pytest.fixture(scope="module")
def quantised(
    packs: dict[str, Path], model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Recipe, str], tuple[Result, Path]]:
    """The command's result, and the file that it was to write; calibrated on a split's pack."""
    pytest.importorskip(
        "ai_edge_quantizer", reason="the extra of requirements-quantise.lock is not installed"
    )
    folder = tmp_path_factory.mktemp("variants")
    model = fetch(load_registry()["face_landmarks_detector"], model_cache)

    def made(recipe: Recipe, split: str) -> tuple[Result, Path]:
        out = folder / f"{recipe}-{split}.tflite"
        command = ["parity", "quantise", str(model), "--recipe", recipe, "--out", str(out)]
        if recipe == "static_int8":
            command += ["--calibration", str(packs[split])]
        return CliRunner().invoke(app, [*command, "--json"]), out

    return made


def judged(pack: Path, model: Path, kernel: Kernel, out: Path) -> Comparison:
    """By the default gates."""
    opened = open_pack(pack)
    candidate = run(opened, {"landmarks": model}, kernel, 1, out)
    return compare(opened, reference_of(opened), candidate, load_gates())


def test_a_float_variant_passes_and_a_static_one_fails_its_landmark_gate(
    packs: dict[str, Path],
    quantised: Callable[[Recipe, str], tuple[Result, Path]],
    tmp_path: Path,
) -> None:
    done, half = quantised("fp16", "train")
    assert done.exit_code == 0
    assert not judged(packs["test"], half, "xnnpack", tmp_path / "half").has_failed
    done, static = quantised("static_int8", "train")
    made = QuantisedModel.model_validate_json(done.stdout)
    train = open_pack(packs["train"])
    assert (made.calibration_pack, made.calibration_count) == (train.record.digest, CALIBRATING)
    comparison = judged(packs["test"], static, "xnnpack", tmp_path / "static")
    verdicts = {each.gate.metric: each for each in comparison.gates if each.slice == "all"}
    failed = verdicts["nme_to_reference"]
    assert failed.verdict == "fail"
    assert failed.measured is not None
    assert 0.01 < failed.measured.value < 0.1


def test_a_test_pack_is_refused_as_calibration(
    quantised: Callable[[Recipe, str], tuple[Result, Path]],
) -> None:
    refused, out = quantised("static_int8", "test")
    assert isinstance(refused.exception, InputError)
    assert "is a test pack, of the split test" in str(refused.exception)
    assert not out.exists()
