"""Comparisons of outputs made by hand, where every figure is known."""

import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from small_pack import POINTS, key, make_pack

from mirrorset.errors import InputError
from parity.aggregates import write_aggregates
from parity.compare import compare, read_comparison, write_comparison
from parity.markdown import write_markdown
from parity.pack import Pack, open_pack
from parity.records import Comparison, Gate, Latency, NotRunnable, RunNet
from parity.run import RunResult, open_run, reference_of
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


def value(comparison: Comparison, metric: str, output: str = "") -> float:
    """What was measured of all images."""
    estimate = comparison.estimate(metric, output)
    assert estimate is not None
    return estimate.value


def shown(comparison: Comparison) -> str:
    """What the terminal shows."""
    text = io.StringIO()
    Console(file=text, width=200).print(render(comparison))
    return text.getvalue()


def deviations(comparison: Comparison) -> dict[str, float]:
    """The largest deviation of each output."""
    return {
        figure.output: figure.estimate.value
        for figure in comparison.figures
        if figure.metric == "tensor_max_abs" and figure.slice == "all" and figure.estimate
    }


def test_equal_runs_do_not_deviate(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack"), ())
    assert deviations(comparison) == {
        "finder/regressors": 0, "finder/scores": 0, "marker/points": 0, "marker/presence": 0,
    }  # fmt: skip
    for output in deviations(comparison):
        assert value(comparison, "tensor_cosine", output) == pytest.approx(1)
        assert value(comparison, "tensor_snr_db", output) == math.inf
    assert value(comparison, "nme_increase") == 0
    assert (comparison.chain, comparison.count) == ("small", COUNT)
    assert comparison.estimate("latency_ratio") is None
    twice = compare(pack, result(pack, "reference"), result(pack, "xnnpack"), ())
    assert value(twice, "latency_ratio") == 1


def test_a_shift_is_measured_in_original_pixels_and_interocular_distances(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", shift_px=2.0), ())
    share = 2 / INTEROCULAR_PX
    assert value(comparison, "displacement_px") == pytest.approx(2.0, abs=1e-4)
    assert value(comparison, "worst_displacement_px") == pytest.approx(2.0, abs=1e-4)
    assert value(comparison, "nme_to_reference") == pytest.approx(share, abs=1e-6)
    assert value(comparison, "nme_increase") == pytest.approx(share, abs=1e-5)
    scale = pack.transforms["marker"][0, 0, 0]
    assert deviations(comparison)["marker/points"] == pytest.approx(2 * scale, abs=1e-4)


def test_small_slices_show_no_figures(pack: Pack) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", 2.0), ())
    rows = {row.slice: row for row in comparison.slices}
    assert comparison.estimate("nme_to_reference", slice_="pose=frontal") is not None
    assert (rows["pose=left"].count, rows["pose=left"].is_enough) == (8, False)
    assert {figure.slice for figure in comparison.figures} == {"all", "pose=frontal"}


def test_a_lost_face_is_counted(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    candidate.outputs["marker"]["presence"][:6] = -1
    gates = [Gate(metric="flip_share", output="presence", limit=0.0)]
    comparison = compare(pack, reference_of(pack), candidate, gates)
    assert value(comparison, "flip_share", "presence") == 0.25
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
    gates = [Gate(metric="flip_share", output="presence", limit=0)]
    comparison = compare(pack, before, candidate, gates)
    assert [verdict.verdict for verdict in comparison.gates] == ["fail"]


def test_an_output_of_zeros_points_nowhere(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    candidate.outputs["marker"]["points"][0] = 0
    comparison = compare(pack, reference_of(pack), candidate, ())
    assert value(comparison, "tensor_cosine", "marker/points") == 0
    assert value(comparison, "tensor_snr_db", "marker/points") == 0


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
    assert value(comparison, "flip_share", "presence") == 0.25
    nme = comparison.estimate("nme_to_reference")
    assert nme is not None
    assert nme.high == pytest.approx(0, abs=1e-9)
    assert deviations(comparison)["marker/points"] == pytest.approx(0, abs=1e-6)
    assert deviations(comparison)["finder/scores"] == 14
    counts = {one.metric: one.count for one in comparison.figures if one.slice == "all"}
    assert counts["nme_to_reference"] == COUNT - 6


def test_who_finds_no_face_at_all_passes_no_gate(pack: Pack) -> None:
    gates = [
        Gate(metric="tensor_max_abs", output="marker/points", limit=1e6),
        Gate(metric="nme_to_reference", limit=1e6),
        Gate(metric="flip_share", output="presence", limit=0.5),
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
    assert set(deviations(comparison).values()) == {0}


def test_runs_are_compared_on_what_both_hold(pack: Pack) -> None:
    before = reordered(result(pack, "reference"), list(range(20)))
    candidate = reordered(result(pack, "xnnpack"), list(range(COUNT - 1, 3, -1)))
    candidate.outputs["marker"]["points"][-1] += 5  # item 4
    comparison = compare(pack, before, candidate, ())
    assert comparison.count == 16
    assert (comparison.reference_count, comparison.candidate_count) == (20, 20)
    assert deviations(comparison)["marker/points"] == pytest.approx(5, abs=1e-5)
    alone = reordered(result(pack, "xnnpack"), [22, 23])
    with pytest.raises(InputError, match="no image or no net in common"):
        compare(pack, before, alone, ())


def test_a_net_that_is_missing_takes_what_follows_from_it_along(pack: Pack) -> None:
    candidate = result(pack, "xnnpack")
    del candidate.outputs["marker"], candidate.record.nets["marker"]
    gates = [Gate(metric="tensor_max_abs", output="marker/points", limit=1)]
    comparison = compare(pack, reference_of(pack), candidate, gates)
    assert [net.net for net in comparison.nets] == ["finder"]
    assert comparison.estimate("nme_to_reference") is None
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
    assert "marker cannot run: an operation is unknown" in shown(comparison)


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


# --- runs of different packs ----------------------------------------------------------------------


def test_runs_of_two_packs_are_compared_on_the_images_of_both(pack: Pack, tmp_path: Path) -> None:
    # The other one has the same pictures under the same names, but for the first four and six more.
    longer = make_pack(tmp_path / "pack", [60 + 5 * index for index in range(30)])
    kept = reordered(result(longer, "xnnpack"), list(range(29, 3, -1)))
    kept.outputs["marker"]["points"][-1] += 5  # item 4
    gates = [Gate(metric="tensor_max_abs", output="marker/points", limit=1)]
    comparison = compare(pack, reference_of(pack), kept, gates, longer)
    assert comparison.count == 20
    assert (comparison.reference_count, comparison.candidate_count) == (24, 26)
    assert comparison.has_failed
    assert deviations(comparison)["marker/points"] == pytest.approx(5, abs=1e-5)
    assert deviations(comparison)["finder/scores"] == 0
    other = comparison.other_pack
    assert other is not None
    assert (other.pack_digest, other.count, other.left_out) == (longer.record.digest, 30, {})
    said = shown(comparison)
    assert "20 images that both runs hold, of 24 and 26" in said
    digests = f"{longer.record.digest[:8]}, not {pack.record.digest[:8]}"
    assert f"another pack ({digests}), of faces 1.0.0 with 30 images" in said
    with pytest.raises(InputError, match="is of another pack than"):
        compare(pack, reference_of(pack), kept, gates)
    assert compare(pack, reference_of(pack), result(pack, "x"), (), pack).other_pack is None


def test_stages_that_mean_something_else_are_left_out_and_named(pack: Pack) -> None:
    stages = dict(pack.chain.stages)
    finder = pack.chain.nets["finder"]
    stages["finder"] = finder.model_copy(
        update={"input": finder.input.model_copy(update={"colour": "bgr"})}
    )
    del stages["lighting"]
    record = pack.record.model_copy(
        update={
            "chain": pack.chain.model_copy(update={"stages": stages}),
            "best_image_id": pack.items[1].image_id,
            "digest": "e" * 64,
        }
    )
    other = Pack(pack.path, record, pack.items)
    candidate = replace(reference_of(pack), record=reference_of(other).record)
    comparison = compare(pack, reference_of(pack), candidate, (), other)
    assert comparison.other_pack is not None
    assert comparison.other_pack.left_out == {
        "finder": "the packs' chains describe it differently",
        "lighting": "only one of the packs' chains has it",
        "from_best": "the packs have different best photos",
        "hint": "the packs have different best photos",
    }
    outputs = {figure.output for figure in comparison.figures}
    assert outputs == {
        "marker/points", "marker/presence", "points", "presence", "pose", "expression", "face",
    }  # fmt: skip
    assert "hint is not compared: the packs have different best photos" in shown(comparison)


# --- what is told of it ---------------------------------------------------------------------------


def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    for content in (b"{}", b"\xff\xfe\x80"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no comparison"):
            read_comparison(path)


def test_bytes_that_are_no_text_are_no_pack_and_no_run(tmp_path: Path) -> None:
    for name in ("pack.json", "run.json"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x80")
    with pytest.raises(InputError, match="is no pack of this version"):
        open_pack(tmp_path)
    with pytest.raises(InputError, match="is no run of this version"):
        open_run(tmp_path)


def test_the_table_says_verdicts_and_the_state_of_the_labels(pack: Pack) -> None:
    gates = [
        Gate(metric="nme_to_reference", limit=0.001, slice="pose"),
        Gate(metric="displacement_px", limit=9.0, slice="pose=frontal"),
    ]
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", 2.0), gates)
    lines = shown(comparison).splitlines()
    assert any("marker: aaaaaaaa played xnnpack" in line for line in lines)
    assert any("pose=frontal" in line and "FAIL" in line for line in lines)
    assert any("pose=left" in line and "open" in line for line in lines)
    place = next(row for row, line in enumerate(lines) if line.startswith("displacement"))
    assert lines[place + 1].split()[:2] == ["pass", "pose=frontal"]
    assert any("labels reviewed" in line for line in lines)
    assert lines[-1].startswith("Gates: 1 pass, 1 FAIL, ")
    assert lines[-1].endswith("(open: not enough evidence)")


def test_markdown_has_all_figures_and_no_markup_of_others(pack: Pack, tmp_path: Path) -> None:
    gates = [
        Gate(metric="candidate_nme", times=1.05),
        Gate(metric="box_iou_to_reference", limit=0.9, slice="pose"),
    ]
    candidate = result(pack, "x|<b>")
    candidate.outputs["marker"]["presence"][:6] = -1
    comparison = compare(pack, reference_of(pack), candidate, gates)
    write_markdown(tmp_path / "parity.md", comparison)
    text = (tmp_path / "parity.md").read_text()
    assert "x\\|\\<b\\>" in text
    assert "<b>" not in text
    assert "| NME of the candidate to the labels (points), beyond 1.05 × the reference's |" in text
    assert "| IoU of boxes (face) | pose=frontal | 16 | 1 |  | ≥ 0.9 | pass |" in text
    assert "| lowest signal-to-noise ratio (finder/scores), dB | all | 24 | inf |" in text
    assert "## presence: reference to candidate" in text
    assert "| yes | 6 | 18 |" in text
    # Every row of the table has as many cells.
    rows = [line for line in text.split("##")[0].splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}


def test_aggregates_are_numbers_within_names(pack: Pack, tmp_path: Path) -> None:
    candidate = result(pack, "xnnpack", 2.0)
    candidate.outputs["marker"]["points"][3, 0] = math.nan
    gates = [
        Gate(metric="nme_to_reference", limit=0.001),
        Gate(metric="flip_share", output="hint", limit=0),
    ]
    comparison = compare(pack, result(pack, "reference"), candidate, gates)
    write_aggregates(tmp_path / "metrics.json", comparison)
    # As JSON has it: no NaN, no Infinity.
    told = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert told["count"] == COUNT
    assert told["has_failed"] == 1
    # One expression cannot be told, so one hint flips.
    assert told["verdicts"] == {"pass": 0, "fail": 2, "not_enough_evidence": 0}
    assert told["measured"]["points"]["nme_to_reference"] == "Infinity"
    assert told["measured"]["finder/scores"]["tensor_max_abs"] == 0
    assert told["measured"]["chain"] == {"latency_ratio": 1.0}


def test_dvc_reads_the_aggregates(pack: Pack, tmp_path: Path) -> None:
    comparison = compare(pack, reference_of(pack), result(pack, "xnnpack", 2.0), ())
    write_aggregates(tmp_path / "metrics.json", comparison)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text("metrics: [metrics.json]\n")
    shown_ = subprocess.run(
        [*dvc, "metrics", "show", "--json"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    told = json.loads(shown_.stdout)[""]["data"]["metrics.json"]["data"]
    displacement = value(comparison, "displacement_px")
    assert told["measured"]["points"]["displacement_px"] == pytest.approx(displacement, rel=1e-5)
