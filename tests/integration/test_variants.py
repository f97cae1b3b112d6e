"""Quantised variants of the real networks on every kernel, and what their numbers say."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from small_pack import make_pack
from typer.testing import CliRunner

from faces.registry import fetch, load_registry
from faces.yunet import YuNet
from flows.cli import app
from mirrorset.errors import InputError, NotRunnableError, SettingsError
from mirrorset.pixels import decode
from parity.chain import chain_file, load_chain
from parity.kernels import Kernel
from parity.normalise import normalise
from parity.preprocess import pixels, place, tensor, value_table
from parity.quantise import RECIPES, Calibration, QuantisedModel, Recipe, calibration_of, quantise
from parity.runtimes.opening import open_session
from parity.runtimes.probe import probe
from parity.runtimes.tensors import Array

STATIC: Recipe = "static_int8"
NETS = {
    "landmarks": "face_landmark",
    "detector": "face_detection_short_range",
    "segmenter": "selfie_segmentation",
}
KERNELS: tuple[Kernel, ...] = ("reference", "optimised", "xnnpack", "xnnpack_fp16")
# The segmenter has an operation of XNNPACK's own.
LACKING = {("segmenter", "reference"), ("segmenter", "optimised")}
BOTH: tuple[Kernel, ...] = ("reference", "xnnpack")
TESTED, CALIBRATING = 4, 10


@pytest.fixture(scope="module")
def fed(shared_data: Path, model_cache: Path) -> dict[str, list[Array]]:
    """By net its inputs of some London portraits, cut by the Smart Mirror's chain."""
    yunet = YuNet(fetch(load_registry()["yunet"], model_cache))
    chain = load_chain(chain_file("smart_mirror"))
    paths = sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))
    inputs: dict[str, list[Array]] = {name: [] for name in NETS}
    for path in paths[: TESTED + CALIBRATING]:
        rgb = decode(path.read_bytes())
        face = yunet.detect([rgb])[0][0]
        row = np.array([*face.box, face.score, *face.five_points[:2].ravel()])
        for name, own in inputs.items():
            given = chain.nets[name].input
            seen = pixels(rgb, place(given, rgb.shape[1], rgb.shape[0], row), given)
            own.append(tensor(seen, value_table(given), given.layout))
    return inputs


@pytest.fixture(scope="module")
def model(model_cache: Path) -> Callable[[str], Path]:
    return lambda net: fetch(load_registry()[NETS[net]], model_cache)


@pytest.fixture(scope="module")
def variant(
    model: Callable[[str], Path],
    fed: dict[str, list[Array]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Recipe], Path]:
    """The variant of a net by a recipe, made once."""
    pytest.importorskip(
        "ai_edge_quantizer", reason="the extra of requirements-quantise.lock is not installed"
    )
    folder = tmp_path_factory.mktemp("variants")

    @cache
    def made(net: str, recipe: Recipe) -> Path:
        out = folder / f"{net}-{recipe}.tflite"
        quantise(model(net), recipe, out, calibration(fed[net]) if recipe == STATIC else None)
        return out

    return made


def calibration(inputs: list[Array]) -> Calibration:
    """The inputs that are not tested."""
    return Calibration(lambda: iter(inputs[TESTED:]), CALIBRATING, "of photographs")


def asked(path: Path, kernel: Kernel, inputs: list[Array]) -> list[Array]:
    """By output what a model says of the tested inputs (TESTED, …)."""
    session = open_session(path, kernel, 1)
    said = [session.infer([one]) for one in inputs[:TESTED]]
    return [np.concatenate(values) for values in zip(*said, strict=True)]


def deviation(ours: list[Array], theirs: list[Array]) -> float:
    """Root mean square difference of the first output over the spread of its values."""
    return float(np.sqrt(((ours[0] - theirs[0]) ** 2).mean()) / theirs[0].std())


@pytest.mark.parametrize("net", NETS)
def test_normalising_keeps_every_bit(
    model: Callable[[str], Path], fed: dict[str, list[Array]], net: str, tmp_path: Path
) -> None:
    new = tmp_path / "new.tflite"
    new.write_bytes(normalise(model(net)))
    # Weights of half precision became float32.
    assert 1.7 < new.stat().st_size / model(net).stat().st_size < 2
    for kernel in KERNELS:
        if (net, kernel) in LACKING:
            continue
        before, after = (asked(path, kernel, fed[net]) for path in (model(net), new))
        for ours, theirs in zip(before, after, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("net", NETS)
def test_the_same_model_on_the_same_kernel_says_the_same_bits(
    model: Callable[[str], Path], fed: dict[str, list[Array]], net: str
) -> None:
    for kernel in KERNELS:
        if (net, kernel) in LACKING:
            continue
        once, again = (asked(model(net), kernel, fed[net]) for _ in range(2))
        for ours, theirs in zip(once, again, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("net", "most"), [("landmarks", 2e-4), ("detector", 6e-4)])
def test_kernels_agree_as_closely_as_was_measured(
    model: Callable[[str], Path], fed: dict[str, list[Array]], net: str, most: float
) -> None:
    reference = asked(model(net), "reference", fed[net])
    for kernel in ("optimised", "xnnpack"):
        said = asked(model(net), kernel, fed[net])
        apart = max(np.abs(a - b).max() for a, b in zip(said, reference, strict=True))
        assert 0 < apart < most
    # Half precision is another thousand times coarser: it is half precision that ran.
    half = asked(model(net), "xnnpack_fp16", fed[net])
    assert 1e-4 < deviation(half, reference) < 2e-3


@pytest.mark.parametrize("kernel", ["reference", "optimised"])
def test_the_segmenter_runs_on_xnnpack_alone(
    model: Callable[[str], Path], kernel: Kernel, tmp_path: Path
) -> None:
    found = probe(model("segmenter"), kernel, 1)
    assert found is not None
    assert "Convolution2DTransposeBias" in found.reason
    with pytest.raises(NotRunnableError, match="choose other kernels"):
        open_session(model("segmenter"), kernel, 1)


# The most that was measured, three times: root mean square over the spread.
MOST = {
    ("landmarks", "fp16"): 1e-3,
    ("landmarks", "weight_only_int8"): 6e-3,
    ("landmarks", "dynamic_int8"): 0.01,
    ("landmarks", "static_int8"): 0.02,
    ("detector", "fp16"): 2e-3,
    ("detector", "weight_only_int8"): 0.1,
    ("detector", "dynamic_int8"): 0.33,
    ("detector", "static_int8"): 0.3,
    ("segmenter", "fp16"): 0.01,
    ("segmenter", "weight_only_int8"): 0.04,
    ("segmenter", "dynamic_int8"): 0.11,
    ("segmenter", "static_int8"): 0.33,
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("net", NETS)
def test_every_recipe_on_every_kernel(
    model: Callable[[str], Path],
    variant: Callable[[str, Recipe], Path],
    fed: dict[str, list[Array]],
    net: str,
    recipe: Recipe,
) -> None:
    float32 = asked(model(net), "xnnpack", fed[net])
    path = variant(net, recipe)
    for kernel in KERNELS:
        if (net, kernel) in LACKING:
            with pytest.raises(NotRunnableError, match="Convolution2DTransposeBias"):
                open_session(path, kernel, 1)
            continue
        apart = deviation(asked(path, kernel, fed[net]), float32)
        assert apart < MOST[net, recipe]
        # Whole numbers are another model; half precision was the weights' from the start.
        assert apart > 1e-3 or recipe == "fp16"


def test_the_same_file_says_another_thing_on_another_kernel(
    variant: Callable[[str, Recipe], Path], fed: dict[str, list[Array]]
) -> None:
    path = variant("landmarks", "dynamic_int8")
    reference, xnnpack = (asked(path, kernel, fed["landmarks"]) for kernel in BOTH)
    assert deviation(xnnpack, reference) > 1e-3


@pytest.mark.parametrize("net", NETS)
def test_a_bad_calibration_set_shows(
    model: Callable[[str], Path],
    variant: Callable[[str, Recipe], Path],
    fed: dict[str, list[Array]],
    net: str,
    tmp_path: Path,
) -> None:
    """Frames almost without light tell narrower ranges than a face in daylight will ask for."""
    dark = [one.min() + (one - one.min()) * np.float32(0.1) for one in fed[net]]
    bad = tmp_path / "bad.tflite"
    quantise(model(net), STATIC, bad, calibration(dark))
    float32 = asked(model(net), "xnnpack", fed[net])
    good = deviation(asked(variant(net, STATIC), "xnnpack", fed[net]), float32)
    assert deviation(asked(bad, "xnnpack", fed[net]), float32) > 3 * good


def test_a_variant_tells_what_it_was_made_of_and_is_the_same_each_time(
    model: Callable[[str], Path],
    variant: Callable[[str, Recipe], Path],
    fed: dict[str, list[Array]],
    tmp_path: Path,
) -> None:
    first = variant("landmarks", STATIC)
    again = tmp_path / "again.tflite"
    made = quantise(model("landmarks"), STATIC, again, calibration(fed["landmarks"]))
    assert again.read_bytes() == first.read_bytes()
    kept = first.with_name(f"{first.name}.json").read_text()
    assert QuantisedModel.model_validate_json(kept) == made
    assert (made.calibration_pack, made.calibration_count) == ("of photographs", CALIBRATING)
    assert made.bytes == first.stat().st_size < 0.33 * made.float32_bytes
    session = open_session(first, "xnnpack", 1)
    assert {spec.dtype for spec in session.inputs + session.outputs} == {"int8"}
    assert session.delegated_share == 1.0


@pytest.mark.parametrize("recipe", ["fp16", "dynamic_int8", "weight_only_int8"])
def test_where_nothing_shrinks_there_is_no_variant(
    variant: Callable[[str, Recipe], Path], recipe: Recipe, tmp_path: Path
) -> None:
    weightless = tmp_path / "sum.tflite"
    weightless.write_bytes(tiny_models.sum_and_difference())
    for source in (weightless, variant("detector", STATIC)):
        with pytest.raises(InputError, match=r"(left|cannot be made of) .*tflite") as raised:
            quantise(source, recipe, tmp_path / "out.tflite")
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no model", "Flatbuffer"),
        (tiny_models.custom(), "MirrorOp"),
        (tiny_models.deadly(), "the process died of SIG"),
    ],
)
def test_what_does_not_run_is_not_quantised(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(NotRunnableError, match=said):
        quantise(tmp_path / "model.tflite", "fp16", tmp_path / "out.tflite")
    with pytest.raises(InputError, match="does not exist"):
        quantise(tmp_path / "none.tflite", "fp16", tmp_path / "out.tflite")


def test_calibration_is_asked_for_where_it_belongs(
    model: Callable[[str], Path], fed: dict[str, list[Array]], tmp_path: Path
) -> None:
    out = tmp_path / "out.tflite"
    with pytest.raises(SettingsError, match="needs a calibration pack"):
        quantise(model("detector"), STATIC, out)
    with pytest.raises(SettingsError, match="calibrates on nothing"):
        quantise(model("detector"), "fp16", out, calibration(fed["detector"]))
    with pytest.raises(InputError, match="name the net of the pack that this model is"):
        quantise(model("detector"), STATIC, out, calibration(fed["landmarks"]))


def test_a_test_pack_never_calibrates(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", lights=[200, 100])
    with pytest.raises(InputError, match="is a test pack, of the split test"):
        calibration_of(pack, "marker")
    record = pack.record.model_copy(update={"purpose": "calibration", "split": "train"})
    of_train = replace(pack, record=record)
    found = calibration_of(of_train, "marker")
    assert (found.count, found.pack) == (2, record.digest)
    for _ in range(2):  # the quantiser reads it more than once
        assert [one.shape for one in found.tensors()] == [(1, 32, 32, 3)] * 2
    with pytest.raises(SettingsError, match="holds several nets: name one of finder, marker"):
        calibration_of(of_train)
    with pytest.raises(SettingsError, match="has no net 'nose'"):
        calibration_of(of_train, "nose")


def test_without_the_extra_its_lock_file_is_named(
    model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(SettingsError, match=r"install requirements-quantise\.lock"):
        quantise(model("detector"), "fp16", tmp_path / "out.tflite")


def test_the_command_makes_a_variant_and_refuses_in_one_sentence(
    model: Callable[[str], Path], variant: Callable[[str, Recipe], Path], tmp_path: Path
) -> None:
    out = tmp_path / "small.tflite"

    def said(*options: str) -> Any:
        command = ["parity", "quantise", str(model("detector")), "--out", str(out), *options]
        return CliRunner().invoke(app, command)

    done = said("--recipe", "weight_only_int8", "--json")
    assert done.exit_code == 0
    assert out.read_bytes() == variant("detector", "weight_only_int8").read_bytes()
    assert json.loads(done.stdout)["recipe"] == "weight_only_int8"
    assert isinstance(said("--recipe", "int4").exception, SettingsError)
    assert "--recipe int4 is none of fp16" in str(said("--recipe", "int4").exception)
    pack = make_pack(tmp_path / "pack", lights=[200])
    refusal = said("--recipe", STATIC, "--calibration", str(pack.path), "--net", "finder")
    assert isinstance(refusal.exception, InputError)
