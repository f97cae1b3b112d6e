"""Comparisons of outputs made by hand, where every figure is known."""

import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from small_pack import POINTS, key, make_pack

from mirrorset.errors import InputError
from parity.compare import compare, read_comparison, write_comparison
from parity.pack import Pack
from parity.records import Gate, Latency, NotRunnable, RunNet
from parity.run import RunResult, reference_of
from parity.table import render

COUNT = 24
INTEROCULAR_PX = float(np.linalg.norm(POINTS[45] - POINTS[36]))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Twenty-four pictures; a third of the faces looks to the left."""
    slices = [{"pose": "left" if index % 3 == 0 else "frontal"} for index in range(COUNT)]
    lights = [60 + 5 * index for index in range(COUNT)]
    return make_pack(tmp_path_factory.mktemp("packs") / "pack", lights, slices=slices)


def result(
    pack: Pack, kernel: str, shift_px: float = 0.0, presence: float | None = None
) -> RunResult:
    """A run on the pack's tensors whose points lie `shift_px` original px to the right."""
    known = reference_of(pack)
    outputs = {
        net: {name: values.copy() for name, values in named.items()}
        for net, named in known.outputs.items()
    }
    outputs["marker"]["points"][:, ::2] += shift_px * pack.transforms["marker"][:, :1, 0]
    if presence is not None:
        outputs["marker"]["presence"][:] = presence
    latency = Latency(median_ms=4, mean_ms=4, p95_ms=4)
    nets = {
        net: RunNet(key=key(kernel), model_file="m", latency=latency) for net in known.record.nets
    }
    record = known.record.model_copy(update={"fed": "tensors", "nets": nets})
    return RunResult(record, outputs)


def test_equal_runs_do_not_deviate(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack"), ())
    assert [tensor.output for tensor in comparison.tensors] == [
        "finder/regressors", "finder/scores", "marker/points", "marker/presence",
    ]  # fmt: skip
    assert [tensor.max_abs for tensor in comparison.tensors] == [0] * 4
    assert [tensor.cosine for tensor in comparison.tensors] == pytest.approx([1] * 4)
    assert comparison.slices[0].nme_increase is not None
    assert comparison.slices[0].nme_increase.value == 0
    assert (comparison.chain, comparison.count) == ("small", COUNT)
    assert comparison.latency_ratio is None
    twice = compare(pack, result(pack, "reference"), result(pack, "xnnpack"), ())
    assert twice.latency_ratio == 1


def test_a_shift_is_measured_in_original_pixels_and_interocular_distances(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", shift_px=2.0), ())
    whole = comparison.slices[0]
    assert whole.displacement_px is not None
    assert whole.nme_to_reference is not None
    assert whole.nme_increase is not None
    assert whole.worst_displacement_px is not None
    assert whole.displacement_px.value == pytest.approx(2.0, abs=1e-4)
    assert whole.worst_displacement_px.value == pytest.approx(2.0, abs=1e-4)
    assert whole.nme_to_reference.value == pytest.approx(2 / INTEROCULAR_PX, abs=1e-6)
    assert whole.nme_increase.value == pytest.approx(2 / INTEROCULAR_PX, abs=1e-5)
    scale = pack.transforms["marker"][0, 0, 0]
    assert comparison.tensors[2].max_abs == pytest.approx(2 * scale, abs=1e-4)


def test_small_slices_show_no_figures(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", 2.0), ())
    rows = {row.slice: row for row in comparison.slices}
    assert rows["pose=frontal"].nme_to_reference is not None
    assert (rows["pose=left"].count, rows["pose=left"].is_enough) == (8, False)
    assert rows["pose=left"].nme_to_reference is None


def test_a_lost_face_is_counted(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    candidate.outputs["marker"]["presence"][:6] = -1
    gates = [Gate(metric="presence_flip_share", limit=0.0)]
    comparison = compare(pack, reference_of(pack), candidate, gates)
    assert comparison.slices[0].presence_flip_share is not None
    assert comparison.slices[0].presence_flip_share.value == 0.25
    assert comparison.has_failed


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_values_that_are_no_numbers_fail(pack: Pack, broken: float, tmp_path: Path) -> None:
    candidate = result(pack, "xnnpack")
    candidate.outputs["marker"]["points"][3, 0] = broken
    gates = [
        Gate(metric="tensor_max_abs", output="marker/points", limit=1e6),
        Gate(metric="nme_to_reference", limit=1e6),
        Gate(metric="worst_displacement_px", limit=1e6),
    ]
    comparison = compare(pack, reference_of(pack), candidate, gates)
    assert {verdict.verdict for verdict in comparison.gates} == {"fail"}
    write_comparison(tmp_path / "comparison.json", comparison)
    assert read_comparison(tmp_path / "comparison.json") == comparison


def test_a_presence_that_is_no_number_is_no_answer(pack: Pack) -> None:
    before, candidate = result(pack, "reference", presence=-1), result(pack, "x", presence=-1)
    candidate.outputs["marker"]["presence"][3] = math.nan
    gates = [Gate(metric="presence_flip_share", limit=0)]
    comparison = compare(pack, before, candidate, gates)
    assert [verdict.verdict for verdict in comparison.gates] == ["fail"]


def test_an_output_of_zeros_points_nowhere(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    candidate.outputs["marker"]["points"][0] = 0
    assert compare(pack, reference_of(pack), candidate, ()).tensors[2].cosine == 0


# --- faces that only one of the runs finds -------------------------------------------------------


def blinded(pack: Pack, rows: int) -> RunResult:
    """A run fed pictures that finds no face in the first `rows` of them, and says so."""
    seen = result(pack, "xnnpack")
    seen.outputs["finder"]["scores"][:rows] = -9
    for values in seen.outputs["marker"].values():
        values[:rows] = np.nan
    return replace(seen, record=seen.record.model_copy(update={"fed": "images"}))


def test_a_face_that_one_run_does_not_find_is_a_flip_and_no_infinite_distance(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), blinded(pack, 6), ())
    whole = comparison.slices[0]
    assert whole.presence_flip_share is not None
    assert whole.presence_flip_share.value == 0.25
    assert whole.nme_to_reference is not None
    assert whole.nme_to_reference.high == pytest.approx(0, abs=1e-9)
    tensors = {tensor.output: tensor.max_abs for tensor in comparison.tensors}
    assert tensors["marker/points"] == pytest.approx(0, abs=1e-6)
    assert tensors["finder/scores"] == 14


def test_who_finds_no_face_at_all_passes_no_gate(pack: Pack) -> None:
    gates = [
        Gate(metric="tensor_max_abs", output="marker/points", limit=1e6),
        Gate(metric="nme_to_reference", limit=1e6),
        Gate(metric="presence_flip_share", limit=0.5),
    ]
    comparison = compare(pack, reference_of(pack), blinded(pack, COUNT), gates)
    said = [verdict.verdict for verdict in comparison.gates]
    assert said == ["fail", "not_enough_evidence", "fail"]


# --- runs that hold less, or in another order ----------------------------------------------------


def reordered(run: RunResult, rows: list[int]) -> RunResult:
    def taken(arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: values[rows] for name, values in arrays.items()}

    ids = tuple(run.record.image_ids[row] for row in rows)
    return RunResult(
        run.record.model_copy(update={"image_ids": ids}),
        {net: taken(named) for net, named in run.outputs.items()},
        taken(run.transforms),
        taken(run.rules),
    )


def test_rows_are_found_by_their_image(pack: Pack) -> None:
    candidate = reordered(result(pack, "xnnpack"), list(range(COUNT))[::-1])
    comparison = compare(pack, reference_of(pack), candidate, ())
    assert [tensor.max_abs for tensor in comparison.tensors] == [0] * 4


def test_runs_are_compared_on_what_both_hold(pack: Pack) -> None:
    before = reordered(result(pack, "reference"), list(range(20)))
    candidate = reordered(result(pack, "xnnpack"), list(range(COUNT - 1, 3, -1)))
    candidate.outputs["marker"]["points"][-1] += 5  # item 4
    comparison = compare(pack, before, candidate, ())
    assert comparison.count == 16
    assert comparison.tensors[2].max_abs == pytest.approx(5, abs=1e-5)
    alone = reordered(result(pack, "xnnpack"), [22, 23])
    with pytest.raises(InputError, match="no image or no net in common"):
        compare(pack, before, alone, ())


def test_a_net_that_is_missing_takes_what_follows_from_it_along(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    del candidate.outputs["marker"], candidate.record.nets["marker"]
    gates = [Gate(metric="tensor_max_abs", output="marker/points", limit=1)]
    comparison = compare(pack, reference_of(pack), candidate, gates)
    assert [net.net for net in comparison.nets] == ["finder"]
    assert comparison.slices[0].nme_to_reference is None
    assert [verdict.verdict for verdict in comparison.gates] == ["not_enough_evidence"]
    assert not comparison.has_failed


def test_a_net_that_cannot_run_fails(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    candidate.outputs.clear()
    fault = NotRunnable(model_file="m", key=key("optimised"), reason="an operation is unknown")
    record = candidate.record.model_copy(
        update={"nets": {}, "not_runnable": {"finder": fault, "marker": fault}}
    )
    comparison = compare(pack, reference_of(pack), replace(candidate, record=record), ())
    assert comparison.has_failed
    assert comparison.not_runnable["marker"].reason == "an operation is unknown"
    text = io.StringIO()
    Console(file=text, width=160).print(render(comparison))
    assert "marker cannot run: an operation is unknown" in text.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run.outputs["marker"].pop("presence"), "run lacks presence of marker"),
        (
            lambda run: run.record.__dict__.update(pack_digest="0" * 64),
            "is of another pack than",
        ),
        (
            lambda run: run.record.__dict__.update(image_ids=("ee" * 32,) * COUNT),
            "names an image twice, or one that",
        ),
    ],
)
def test_a_run_that_does_not_fit_is_refused(
    pack: Pack, change: Callable[[RunResult], object], said: str
) -> None:
    candidate = result(pack, "xnnpack")
    change(candidate)
    with pytest.raises(InputError, match=said):
        compare(pack, reference_of(pack), candidate, ())


def test_what_holds_no_face_or_calibrates_is_not_compared(pack: Pack) -> None:
    empty = Pack(pack.path, pack.record, ())
    with pytest.raises(InputError, match="holds no face: label more images of the split test"):
        compare(empty, reference_of(pack), reference_of(pack), ())
    record = pack.record.model_copy(update={"purpose": "calibration", "split": "train"})
    with pytest.raises(InputError, match="is a calibration pack, of the split train: for test"):
        compare(Pack(pack.path, record, pack.items), reference_of(pack), reference_of(pack), ())
    with pytest.raises(InputError, match=r"is a test pack.* for calibration seal one with --split"):
        pack.require_purpose("calibration")


# --- what is told of it ---------------------------------------------------------------------------


def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="no comparison"):
        read_comparison(path)


def test_the_table_says_verdicts_and_the_state_of_the_labels(pack: Pack) -> None:
    gates = [
        Gate(metric="nme_to_reference", limit=0.001, slice="pose"),
        Gate(metric="displacement_px", limit=9.0, slice="pose=frontal"),
    ]
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", 2.0), gates)
    text = io.StringIO()
    Console(file=text, width=160).print(render(comparison))
    lines = text.getvalue().splitlines()
    assert any("marker: aaaaaaaa played xnnpack" in line for line in lines)
    assert any("pose=frontal" in line and "FAIL" in line for line in lines)
    assert any("pose=left" in line and "not enough evidence" in line for line in lines)
    assert any("displacement" in line and "pass" in line for line in lines)
    assert any("labels reviewed" in line for line in lines)
