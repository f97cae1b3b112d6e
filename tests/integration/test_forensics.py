"""Faults planted in real runs on real portraits are found, named, and put where they arise."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from ai_edge_litert import schema_py_generated as schema
from frl_template import read_template
from portraits import Portrait, human_face, make_release
from thorough import thorough
from typer.testing import CliRunner

from flows.cli import app
from mirrorset.errors import InputError
from parity.chain import CHAINS, DEFAULT_CHAIN, Chain
from parity.forensics.departure import first_departure
from parity.forensics.explain import Models, explain, open_models
from parity.forensics.graph import Graph
from parity.forensics.records import Explanation, Finding
from parity.ingest import UnusableRunError, ingest
from parity.kernels import Kernel
from parity.models import model_files
from parity.normalise import normalise, read_model, written
from parity.pack import Pack, PackParams, open_pack, seal
from parity.quantise import Calibration, Recipe, quantise
from parity.run import RunResult, open_run, reference_of, run

SCALE = 0.4
PEOPLE = 10
NETS = ("detector", "landmarks", "segmenter")
# What a converter or an app gets wrong of a net's preprocessing, and its name.
SWAPPED, SHIFTED = {"colour": "bgr"}, {"grid": "asymmetric"}
FROM_MINUS_1 = {"mean": (127.5,) * 3, "scale": (1 / 127.5,) * 3}
FROM_0 = {"mean": (0.0,) * 3, "scale": (1 / 255,) * 3}
SPOILT = [
    ("swapped_channels", "detector", SWAPPED),
    ("swapped_channels", "landmarks", SWAPPED),
    ("swapped_channels", "segmenter", SWAPPED),
    ("half_pixel_shift", "detector", SHIFTED),
    ("half_pixel_shift", "landmarks", SHIFTED),
    ("resize", "segmenter", {"resize": "nearest"}),
    ("mean_or_scale", "detector", FROM_0),
    ("mean_or_scale", "landmarks", FROM_MINUS_1),
    ("mean_or_scale", "segmenter", FROM_MINUS_1),
    ("crop", "landmarks", {"align": "none"}),
    # A factor that nobody guesses is told by the place that the run kept.
    ("crop", "landmarks", {"factor": 1.4}),
    ("crop", "detector", {"fit": "stretch"}),
]
# Where a run kept no inputs, they are worked out anew for every cause that there may be.
UNKEPT = [(*one, False) for one in SPOILT]


def portraits(shared_data: Path, count: int) -> list[Portrait]:
    """Portraits of the London set with their marks, at 540 px, then smaller and smaller.

    Their lowest twelfth is cut away: a square fits any way alike.
    """
    paths = sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))
    found = []
    for number in range(count):
        path, scale = paths[number % len(paths)], SCALE * 0.9 ** (number // len(paths))
        small = cv2.resize(
            cv2.imread(str(path)), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        small = small[: round(len(small) * 11 / 12)]
        content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        found.append(Portrait(content, human_face(read_template(path.with_suffix(".tem")) * scale)))
    return found


def chain_without_nose(name: str, folder: Path) -> str:
    """A shipped chain without the tip of the nose, which the human labels lack."""
    values = yaml.safe_load((CHAINS / f"{name}.yaml").read_text())
    del values["truth"]["label_points"][30]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return str(path)


@pytest.fixture(scope="module")
def pack(shared_data: Path, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("pack")
    release = make_release(portraits(shared_data, PEOPLE), folder, "human")
    params = PackParams(chain=chain_without_nose("smart_mirror", folder))
    return open_pack(seal(release, folder / "pack", params, model_cache))


@pytest.fixture(scope="module")
def files(pack: Pack, model_cache: Path) -> dict[str, Path]:
    return model_files(pack.chain, model_cache)


@pytest.fixture(scope="module")
def fed(pack: Pack, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """XNNPACK's run on the pack's tensors."""
    return run(pack, files, "xnnpack", 1, tmp_path_factory.mktemp("runs") / "fed")


@pytest.fixture(scope="module")
def models(pack: Pack, fed: RunResult, files: dict[str, Path]) -> Models:
    return open_models(pack, fed, files, {})


def spoilt(chain: Chain, net: str, update: dict[str, object]) -> Chain:
    """The chain with a fault in the preprocessing of one net."""
    stages = dict(chain.stages)
    given = chain.nets[net].input.model_copy(update=update)
    stages[net] = chain.nets[net].model_copy(update={"input": given})
    return chain.model_copy(update={"stages": stages})


def with_output(ran: RunResult, name: str, change: Callable[[np.ndarray], np.ndarray]) -> RunResult:
    """The run with one output changed, and with nothing kept that was worked out from it."""
    net, output = name.split("/")
    outputs = {each: dict(values) for each, values in ran.outputs.items()}
    values = outputs[net][output]
    outputs[net][output] = change(values.copy()).reshape(values.shape)
    return replace(ran, outputs=outputs, rules={})


def at_points(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), 468, 3)


def only(explanation: Explanation) -> Finding:
    assert len(explanation.findings) == 1, explanation.findings
    return explanation.findings[0]


# --- without a fault ------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["reference", "xnnpack"])
@pytest.mark.parametrize("shown", ["tensors", "images"])
def test_a_run_without_fault_gives_no_finding(
    pack: Pack, files: dict[str, Path], kernel: str, shown: str, tmp_path: Path
) -> None:
    ran = run(pack, files, kernel, 1, tmp_path / "run", fed=shown, is_input_kept=True)
    explanation = explain(pack, ran, open_models(pack, ran, files, {}))
    assert explanation.findings == ()
    assert explanation.count == PEOPLE
    assert {each.name for each in explanation.deviations} >= {"landmarks/points", "hint", "mask"}
    if kernel == "reference":
        assert all(each.whole == 0 for each in explanation.deviations)
        assert explanation.worst == ()
    for departure in explanation.departures:
        assert departure.tensor is None


def test_the_reference_itself_gives_no_finding(pack: Pack, models: Models) -> None:
    explanation = explain(pack, reference_of(pack), models)
    assert explanation.findings == ()
    assert all(each.whole == 0 for each in explanation.deviations)


# --- in the input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "net", "update", "is_kept"),
    [
        *((*one, True) for one in SPOILT),
        UNKEPT[1],
        UNKEPT[-1],
        *thorough(*UNKEPT[:1], *UNKEPT[2:-1]),
    ],
)
def test_preprocessing_is_named_at_its_net(
    pack: Pack,
    files: dict[str, Path],
    cause: str,
    net: str,
    update: dict[str, object],
    is_kept: bool,
    tmp_path: Path,
) -> None:
    chain = spoilt(pack.chain, net, update)
    ran = run(
        pack, files, "xnnpack", 1, tmp_path / "run",
        fed="images", chain=chain, is_input_kept=is_kept,
    )  # fmt: skip
    explanation = explain(pack, ran, open_models(pack, ran, files, {}))
    finding = only(explanation)
    assert (finding.stages, finding.parts, finding.cause) == ((net,), ("preprocessing",), cause)
    assert finding.explained is not None
    assert finding.explained > 0.97
    assert finding.count > PEOPLE / 2
    if net == "detector":
        # What it does to the landmarks came before them.
        (points,) = (each for each in explanation.deviations if each.name == "landmarks/points")
        assert points.before == pytest.approx(points.whole, rel=0.05)


def test_two_faults_of_one_input_are_both_named(
    pack: Pack, files: dict[str, Path], tmp_path: Path
) -> None:
    chain = spoilt(pack.chain, "landmarks", SWAPPED | FROM_MINUS_1)
    ran = run(
        pack, files, "xnnpack", 1, tmp_path / "run",
        fed="images", chain=chain, is_input_kept=True,
    )  # fmt: skip
    swapped, scaled = explain(pack, ran, open_models(pack, ran, files, {})).findings
    for finding, cause in ((swapped, "swapped_channels"), (scaled, "mean_or_scale")):
        assert (finding.stages, finding.parts) == (("landmarks",), ("preprocessing",))
        assert finding.cause == cause
    assert "mean 127.5 and scale 0.007843" in scaled.detail


def test_what_kernels_round_far_out_is_no_fault_of_theirs(
    pack: Pack, files: dict[str, Path], tmp_path: Path
) -> None:
    chain = spoilt(pack.chain, "detector", {"mean": (0.0,) * 3, "scale": (1.0,) * 3})
    ran = run(
        pack, files, "xnnpack", 1, tmp_path / "run",
        fed="images", chain=chain, is_input_kept=True,
    )  # fmt: skip
    explanation = explain(pack, ran, open_models(pack, ran, files, {}))
    finding = only(explanation)
    assert (finding.stages, finding.cause) == (("detector",), "mean_or_scale")
    (regressors,) = (each for each in explanation.deviations if each.name == "detector/regressors")
    assert regressors.kernel is not None
    assert regressors.kernel > regressors.tolerance


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "not kept"])
@pytest.mark.parametrize("value", [0, np.nan])
def test_what_an_app_misreads_of_the_face_is_not_where_it_looked(
    pack: Pack, files: dict[str, Path], value: float, is_kept: bool, tmp_path: Path
) -> None:
    ran = run(
        pack, files, "xnnpack", 1, tmp_path / "run", fed="images", is_input_kept=is_kept
    )  # fmt: skip

    def misread(rows: np.ndarray) -> np.ndarray:
        rows[3:] = value
        return rows

    broken = with_output(ran, "detector/regressors", misread)
    finding = only(explain(pack, broken, open_models(pack, ran, files, {})))
    assert (finding.output, finding.parts) == ("detector/regressors", ("kernel",))
    assert finding.cause == ("not_a_number" if np.isnan(value) else "zeros")


# --- in the file ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated(
    pack: Pack, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """static_int8 of the landmark model, calibrated well or badly."""
    pytest.importorskip(
        "ai_edge_quantizer", reason="the extra of requirements-quantise.lock is not installed"
    )
    folder = tmp_path_factory.mktemp("int8")
    rng = np.random.default_rng(0)
    shape = (1, *pack.chain.nets["landmarks"].input.shape)
    sets = {
        "portraits": list(pack.tensors("landmarks")),
        "nearly black": [each * np.float32(0.05) for each in pack.tensors("landmarks")],
        "noise": [rng.uniform(0, 1, shape).astype(np.float32) for _ in range(PEOPLE)],
    }

    def made(name: str) -> Path:
        out = folder / f"{name.replace(' ', '-')}.tflite"
        inputs = sets[name]
        samples = Calibration(lambda: iter(inputs), len(inputs), name)
        quantise(files["landmarks"], "static_int8", out, samples)
        return out

    return made


@pytest.mark.parametrize(
    ("images", "cause"),
    [
        ("portraits", "quantisation"),
        ("nearly black", "calibration"),
        *thorough(("noise", "calibration")),
    ],
)
def test_a_bad_calibration_is_told_from_a_good_one(
    pack: Pack,
    files: dict[str, Path],
    calibrated: Callable[[str], Path],
    images: str,
    cause: str,
    tmp_path: Path,
) -> None:
    own = calibrated(images)
    ran = run(pack, files | {"landmarks": own}, "xnnpack", 1, tmp_path / "run", is_input_kept=True)
    explanation = explain(pack, ran, open_models(pack, ran, files, {"landmarks": own}))
    (finding,) = (each for each in explanation.findings if "model" in each.parts)
    assert (finding.stages, finding.parts, finding.cause) == (("landmarks",), ("model",), cause)
    # Kernels of whole numbers may differ by a step, which is said of them, not of the file.
    assert {each.stages for each in explanation.findings} == {("landmarks",)}
    assert any(each.net == "landmarks" and each.tensor for each in explanation.departures)


@pytest.fixture(scope="module")
def of_int8_weights(
    pack: Pack, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Recipe], tuple[RunResult, Models]]:
    """XNNPACK's run of the landmark net by a recipe that leaves activations as floats."""
    pytest.importorskip(
        "ai_edge_quantizer", reason="the extra of requirements-quantise.lock is not installed"
    )

    @cache
    def made(recipe: Recipe) -> tuple[RunResult, Models]:
        folder = tmp_path_factory.mktemp(recipe)
        own = folder / f"{recipe}.tflite"
        quantise(files["landmarks"], recipe, own)
        ran = run(pack, files | {"landmarks": own}, "xnnpack", 1, folder / "run", fed="images")
        return ran, open_models(pack, ran, files, {"landmarks": own})

    return made


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [("dynamic_int8", [("model",), ("kernel",)]), ("weight_only_int8", [("model",)])],
)
def test_int8_weights_are_named_once_for_the_file_and_once_for_kernels_that_quantise(
    pack: Pack,
    of_int8_weights: Callable[[Recipe], tuple[RunResult, Models]],
    recipe: Recipe,
    parts: list[tuple[str, ...]],
) -> None:
    explanation = explain(pack, *of_int8_weights(recipe))
    assert [each.parts for each in explanation.findings] == parts
    for finding in explanation.findings:
        assert (finding.stages, finding.cause) == (("landmarks",), "quantisation")
    # 25 convolutions and 20 depthwise; what widens weights is not counted.
    assert explanation.findings[0].detail == "its weights are int8, 45 of 97 operations"


def test_int8_weights_hide_no_other_fault(
    pack: Pack, of_int8_weights: Callable[[Recipe], tuple[RunResult, Models]]
) -> None:
    ran, models = of_int8_weights("dynamic_int8")
    noise = np.random.default_rng(0).normal(0, 20, (PEOPLE, 468 * 3)).astype(np.float32)
    noisy = with_output(ran, "landmarks/points", lambda rows: rows + noise.reshape(rows.shape))
    zero = with_output(ran, "landmarks/points", np.zeros_like)
    for faulty, cause in ((noisy, "unexplained"), (zero, "zeros")):
        causes = {each.output: each.cause for each in explain(pack, faulty, models).findings}
        assert causes[None] == "quantisation"  # of the file
        assert causes["landmarks/points"] == cause


def test_another_file_than_the_runs_is_refused(
    pack: Pack, fed: RunResult, files: dict[str, Path]
) -> None:
    with pytest.raises(InputError, match="is not the file that the pack's reference"):
        open_models(pack, fed, files | {"landmarks": files["detector"]}, {})


# --- in what computes it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "cause", "change"),
    [
        ("landmarks/points", "zeros", np.zeros_like),
        ("segmenter/probability", "zeros", np.zeros_like),
        (
            "landmarks/points",
            "transposed",
            lambda rows: at_points(rows).transpose(0, 2, 1),
        ),
        (
            "detector/regressors",
            "transposed",
            lambda rows: rows.transpose(0, 2, 1).reshape(rows.shape),
        ),
        (
            "segmenter/probability",
            "transposed",
            lambda rows: rows.transpose(0, 2, 1, 3),
        ),
        ("landmarks/points", "constant", lambda rows: np.repeat(rows[:1], len(rows), axis=0)),
        ("detector/scores", "sigmoid", lambda rows: 1 / (1 + np.exp(-np.clip(rows, -80, 80)))),
        ("landmarks/presence", "sigmoid", lambda rows: 1 / (1 + np.exp(-rows))),
        ("landmarks/points", "scale_or_offset", lambda rows: rows / 192),
        ("landmarks/points", "swapped_axes", lambda rows: at_points(rows)[..., [1, 0, 2]]),
        (
            "landmarks/points",
            "mirrored",
            lambda rows: at_points(rows) * np.float32([-1, 1, 1]) + np.float32([192, 0, 0]),
        ),
        ("segmenter/probability", "inverted", lambda rows: 1 - rows),
        # Nothing explains it; it is no fault of the preprocessing where tensors were fed.
        ("landmarks/points", "unexplained", lambda rows: np.roll(at_points(rows), 1, 1)),
    ],
)
@pytest.mark.parametrize("is_file_known", [True, False], ids=["its file", "another file"])
def test_outputs_are_named_at_their_net(
    pack: Pack,
    fed: RunResult,
    models: Models,
    output: str,
    cause: str,
    change: Callable[[np.ndarray], np.ndarray],
    is_file_known: bool,
) -> None:
    if not is_file_known:
        models = Models(models.reference, {})
    finding = only(explain(pack, with_output(fed, output, change), models))
    assert (finding.output, finding.cause) == (output, cause)
    assert finding.stages == (output.split("/", maxsplit=1)[0],)
    assert finding.parts == (("kernel",) if is_file_known else ("model", "kernel"))


def test_half_precision_is_named(pack: Pack, files: dict[str, Path], tmp_path: Path) -> None:
    ran = run(pack, files, "xnnpack_fp16", 1, tmp_path / "run", is_input_kept=True)
    explanation = explain(pack, ran, open_models(pack, ran, files, {}))
    assert explanation.findings
    for finding in explanation.findings:
        assert (finding.parts, finding.cause) == (("kernel",), "half_precision")


@pytest.mark.parametrize("many", [45, *thorough(100)])
def test_no_numbers_on_one_image_of_many(
    shared_data: Path, model_cache: Path, tmp_path: Path, many: int
) -> None:
    people = portraits(shared_data, many)
    release = make_release(people, tmp_path, "human")
    params = PackParams(chain=chain_without_nose(DEFAULT_CHAIN, tmp_path))
    pack = open_pack(seal(release, tmp_path / "pack", params, model_cache))
    files = model_files(pack.chain, model_cache)
    ran = run(pack, files, "xnnpack", 1, tmp_path / "run")
    models = open_models(pack, ran, files, {})
    assert explain(pack, ran, models).findings == ()

    def broken(rows: np.ndarray) -> np.ndarray:
        rows[41].flat[7] = np.nan
        return rows

    finding = only(explain(pack, with_output(ran, "landmarks/points", broken), models))
    assert (finding.stages, finding.parts, finding.cause) == (
        ("landmarks",), ("kernel",), "not_a_number",
    )  # fmt: skip
    assert (finding.count, finding.image_ids) == (1, (ran.record.image_ids[41],))


# --- rows and packs -------------------------------------------------------------------------------


def test_another_order_of_images_is_named_and_put_right(
    pack: Pack, fed: RunResult, models: Models
) -> None:
    record = fed.record.model_copy(update={"image_ids": fed.record.image_ids[::-1]})
    finding = only(explain(pack, replace(fed, record=record), models))
    assert (finding.stages, finding.parts, finding.cause) == (NETS, ("order",), "image_order")
    assert finding.count == PEOPLE
    assert finding.explained is not None
    assert finding.explained > 0.999


def test_one_nets_rows_in_another_order_are_told_from_all(
    pack: Pack, fed: RunResult, models: Models
) -> None:
    moved = replace(
        fed,
        outputs=fed.outputs
        | {
            "landmarks": {
                name: np.roll(rows, 3, 0) for name, rows in fed.outputs["landmarks"].items()
            }
        },
        rules={},
    )
    finding = only(explain(pack, moved, models))
    assert (finding.stages, finding.cause) == (("landmarks",), "image_order")


def lagged(rows: np.ndarray) -> np.ndarray:
    """Each row where the next belongs, as of a reader that does not wait."""
    late = np.roll(rows, 1, 0)
    late[0] = 0
    return late


def test_a_reader_that_lags_is_told_from_an_order(
    pack: Pack, fed: RunResult, models: Models
) -> None:
    late = {
        net: {name: lagged(rows) for name, rows in named.items()}
        for net, named in fed.outputs.items()
    }
    order, *others = explain(pack, replace(fed, outputs=late, rules={}), models).findings
    assert (order.stages, order.parts, order.cause) == (NETS, ("order",), "image_order")
    assert (order.output, order.count) == (None, PEOPLE - 1)
    assert order.detail == "row 1 holds what belongs to row 0, and so on"
    # Nothing had been read yet for the first image.
    assert {each.cause for each in others} == {"zeros"}
    assert {each.image_ids for each in others} == {fed.record.image_ids[:1]}


def test_inputs_and_places_that_lag_with_the_outputs_are_no_faults(
    pack: Pack, files: dict[str, Path], tmp_path: Path
) -> None:
    ran = run(
        pack, files, "xnnpack", 1, tmp_path / "run", fed="images", is_input_kept=True
    )  # fmt: skip
    late = {
        net: {name: lagged(rows) for name, rows in named.items()}
        for net, named in ran.outputs.items()
    }
    inputs, transforms, rules = (
        {name: lagged(np.asarray(rows)) for name, rows in kept.items()}
        for kept in (ran.inputs, ran.transforms, ran.rules)
    )
    whole = replace(ran, outputs=late, inputs=inputs, transforms=transforms, rules=rules)
    order, *others = explain(pack, whole, open_models(pack, ran, files, {})).findings
    assert (order.stages, order.cause, order.count) == (NETS, "image_order", PEOPLE - 1)
    assert {(each.parts, each.cause) for each in others} == {(("kernel",), "zeros")}


def test_a_row_that_was_read_twice_is_told(pack: Pack, fed: RunResult, models: Models) -> None:
    def twice(rows: np.ndarray) -> np.ndarray:
        rows[5] = rows[6]
        return rows

    finding = only(explain(pack, with_output(fed, "landmarks/points", twice), models))
    assert (finding.output, finding.cause) == ("landmarks/points", "image_order")
    assert finding.detail == "row 5 holds what belongs to row 6"


def test_two_faults_are_both_found(pack: Pack, fed: RunResult, models: Models) -> None:
    both = with_output(fed, "landmarks/points", np.zeros_like)
    both = with_output(both, "detector/scores", lambda rows: rows * 2 + 1)
    found = {each.output: each.cause for each in explain(pack, both, models).findings}
    assert found == {"detector/scores": "scale_or_offset", "landmarks/points": "zeros"}


def test_a_rule_that_a_device_works_out_its_own_way(
    pack: Pack, fed: RunResult, models: Models
) -> None:
    rules = {name: values.copy() for name, values in fed.rules.items()}
    rules["pose"][:, 0] *= -1  # yaw the other way round
    finding = only(explain(pack, replace(fed, rules={"pose": rules["pose"]}), models))
    assert (finding.stages, finding.parts) == (("pose",), ("rule",))


def test_results_of_another_pack_are_refused(
    pack: Pack, fed: RunResult, models: Models, files: dict[str, Path], tmp_path: Path
) -> None:
    ran = run(pack, files, "xnnpack", 1, tmp_path / "run")
    values = json.loads((tmp_path / "run/run.json").read_text())
    values["pack_digest"] = "0" * 64
    (tmp_path / "run/run.json").write_text(json.dumps(values))
    with pytest.raises(UnusableRunError, match="it is of the pack 000000000000, not of"):
        ingest(tmp_path / "run", pack, tmp_path / "runs")
    other = replace(ran, record=ran.record.model_copy(update={"pack_digest": "0" * 64}))
    with pytest.raises(InputError, match="is of another pack than"):
        explain(pack, other, models)


# --- the first tensor, pictures, the command ------------------------------------------------------


@pytest.fixture(scope="module")
def broken(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The landmark model whose middle convolution gives zeros, and that operation's place."""
    model = read_model(normalise(files["landmarks"]), "landmarks")
    graph = model.subgraphs[0]
    convolutions = [
        place
        for place, operator in enumerate(graph.operators)
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D
    ]
    place = convolutions[len(convolutions) // 2]
    for index in graph.operators[place].inputs[1:]:
        buffer = model.buffers[graph.tensors[index].buffer]
        buffer.data = np.zeros_like(buffer.data)
    path = tmp_path_factory.mktemp("broken") / "broken.tflite"
    path.write_bytes(written(model))
    return path, place


@pytest.mark.parametrize(
    ("before", "after"),
    [("reference", "reference"), ("reference", "optimised"), ("reference", "xnnpack"),
     ("xnnpack", "xnnpack"), ("xnnpack", "xnnpack_fp16")],
)  # fmt: skip
def test_the_first_tensor_that_departs_is_the_broken_operations(
    pack: Pack,
    files: dict[str, Path],
    broken: tuple[Path, int],
    before: Kernel,
    after: Kernel,
) -> None:
    given = next(pack.tensors("landmarks"))
    path, place = broken
    whole, other = Graph(files["landmarks"], before), Graph(path, after)
    tolerance = 0.05  # half precision is apart by less
    found = first_departure("landmarks", whole, other, given, tolerance)
    assert (found.place, found.operation) == (place, "CONV_2D")
    assert found.deviation is not None
    assert found.deviation > tolerance
    same = first_departure("landmarks", whole, Graph(files["landmarks"], after), given, tolerance)
    assert (same.tensor, same.place, same.deviation) == (None, None, None)


def test_kernels_of_one_dynamic_file_depart_where_they_quantise(
    pack: Pack, files: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip(
        "ai_edge_quantizer", reason="the extra of requirements-quantise.lock is not installed"
    )
    own = tmp_path / "dynamic.tflite"
    quantise(files["landmarks"], "dynamic_int8", own)
    ran = run(pack, files | {"landmarks": own}, "xnnpack", 1, tmp_path / "run", is_input_kept=True)
    explanation = explain(pack, ran, open_models(pack, ran, files, {"landmarks": own}))
    by_file, by_kernel = explanation.departures
    assert (by_file.reference, by_file.candidate) == (
        "face_landmark.tflite on reference", "dynamic.tflite on reference",
    )  # fmt: skip
    assert (by_kernel.reference, by_kernel.candidate) == (
        "dynamic.tflite on reference", "dynamic.tflite on xnnpack",
    )  # fmt: skip
    for departure in explanation.departures:
        assert departure.place is not None
        assert departure.place < departure.operation_count / 2


def test_the_command_prints_and_draws(pack: Pack, files: dict[str, Path], tmp_path: Path) -> None:
    ran = run(
        pack, files, "xnnpack", 1, tmp_path / "run",
        fed="images", chain=spoilt(pack.chain, "landmarks", SWAPPED),
    )  # fmt: skip
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_text("dataset: {name: faces}\n")
    asked = ["parity", "explain", "--pack", str(pack.path), "--candidate", str(tmp_path / "run")]
    asked += ["--home", str(tmp_path), "--out", str(tmp_path / "why")]
    printed = CliRunner().invoke(app, asked)
    assert printed.exit_code == 0, printed.output
    assert "swapped channels" in printed.output
    kept = Explanation.model_validate_json((tmp_path / "why/explanation.json").read_text())
    assert only(kept).cause == "swapped_channels"
    times = [each.times_tolerance for each in kept.worst]
    assert times == sorted(times, reverse=True)
    assert times[0] > 1
    for worst in kept.worst:
        assert worst.picture is not None
        drawn = cv2.imread(str(tmp_path / "why" / worst.picture))
        assert drawn.shape[1] > 800
    said = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(said.stdout)["findings"][0]["cause"] == "swapped_channels"
    assert open_run(tmp_path / "run").record == ran.record
