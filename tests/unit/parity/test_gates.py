"""Gates say pass, fail or not enough evidence, and nothing else."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.errors import SettingsError
from parity.gates import exactly, judge, load_gates
from parity.records import Estimate, Gate, SliceRow, TensorDeviation


def row(slice_: str, low: float, high: float, count: int = 50) -> SliceRow:
    value = (low + high) / 2
    return SliceRow(
        slice=slice_,
        count=count,
        is_enough=count >= 10,
        nme_to_reference=Estimate(value=value, low=low, high=high),
    )


def outcomes(gate: Gate, *rows: SliceRow) -> dict[str, str]:
    return {verdict.slice: verdict.verdict for verdict in judge([gate], rows, [], None, [])}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 0.01, "pass"),
        (0.0, 0.02, "pass"),
        (0.01, 0.03, "not_enough_evidence"),
        (0.021, 0.03, "fail"),
        (math.inf, math.inf, "fail"),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, expected: str) -> None:
    gate = Gate(metric="nme_to_reference", limit=0.02)
    assert outcomes(gate, row("all", low, high)) == {"all": expected}


def test_too_few_images_are_no_verdict() -> None:
    gate = Gate(metric="nme_to_reference", limit=0.02, minimum_count=20)
    assert outcomes(gate, row("all", 0.5, 0.6, count=19)) == {"all": "not_enough_evidence"}
    assert outcomes(gate, row("all", 0.5, 0.6, count=20)) == {"all": "fail"}


def test_an_axis_is_judged_cell_by_cell() -> None:
    rows = [row("all", 0, 0.01), row("pose=frontal", 0, 0.01), row("pose=left", 0.03, 0.04)]
    rows.append(row("lighting=left", 0.03, 0.04))
    gate = Gate(metric="nme_to_reference", limit=0.02, slice="pose")
    assert outcomes(gate, *rows) == {"pose=frontal": "pass", "pose=left": "fail"}
    gate = gate.model_copy(update={"slice": "pose=left"})
    assert outcomes(gate, *rows) == {"pose=left": "fail"}


def test_a_slice_that_is_not_there_is_seen_in_the_verdicts() -> None:
    for name in ("lighting", "pose=left"):
        gate = Gate(metric="nme_to_reference", limit=0.02, slice=name)
        assert outcomes(gate, row("all", 0, 0.01)) == {name: "not_enough_evidence"}


def test_tensors_and_time_are_judged_over_all_images() -> None:
    tensors = [TensorDeviation(output="points", max_abs=0.2, mean_abs=0.1, cosine=1.0)]
    rows = [row("all", 0, 0.01)]
    gates = [
        Gate(metric="tensor_max_abs", output="points", limit=0.1),
        Gate(metric="latency_ratio", limit=1.5),
    ]
    said = [verdict.verdict for verdict in judge(gates, rows, tensors, 1.2, ["points"])]
    assert said == ["fail", "pass"]
    assert judge(gates[1:], rows, tensors, None, [])[0].verdict == "not_enough_evidence"


def test_an_output_that_no_run_holds_is_no_evidence() -> None:
    gate = Gate(metric="tensor_max_abs", output="points", limit=0.1)
    (said,) = judge([gate], [row("all", 0, 0.01)], [], None, ["points"])
    assert (said.verdict, said.measured) == ("not_enough_evidence", None)


@pytest.mark.parametrize("output", ["pints", ""])
def test_an_output_that_the_model_lacks_is_refused(output: str) -> None:
    tensors = [TensorDeviation(output="points", max_abs=0.2, mean_abs=0.1, cosine=1.0)]
    gate = Gate(metric="tensor_max_abs", output=output, limit=0.1)
    with pytest.raises(SettingsError, match=f"'{output}'.*name one of points"):
        judge([gate], [row("all", 0, 0.01)], tensors, None, ["points"])


@given(value=st.floats(0, 10), limit=st.floats(0, 10), more=st.floats(0, 10))
def test_a_wider_limit_never_turns_pass_into_fail(value: float, limit: float, more: float) -> None:
    rows = [SliceRow(slice="all", count=50, is_enough=True, displacement_px=exactly(value))]
    narrow, wide = (
        judge([Gate(metric="displacement_px", limit=each)], rows, [], None, [])[0].verdict
        for each in (limit, limit + more)
    )
    assert narrow == ("pass" if value <= limit else "fail")
    assert (narrow, wide) != ("pass", "fail")


def test_the_default_gates_can_be_read() -> None:
    gates = load_gates()
    assert {gate.metric for gate in gates} >= {"tensor_max_abs", "nme_to_reference"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {metric: beauty, limit: 1}", "metric"),
        ("- {metric: nme_increase}", "limit"),
        ("- [", "YAML"),
        ("- {metric: nme_increase, limit: 1, minimum_count: 0}", "minimum_count"),
        ("- {metric: nme_increase, limit: .nan}", "gate 0.limit: Input should be a finite number"),
        ("- {metric: nme_increase, limit: .inf}", "gate 0.limit: Input should be a finite number"),
        ("- {metric: nme_increase, limit: -1}", r"gate 0\.limit: .* greater than or equal to 0"),
        ("- {metric: nme_increase, limit: 1, slice: posse}", r"gate 0\.slice: posse is no slice"),
        ("- {metric: nme_increase, limit: 1, slice: pose=up}", "pose=up is no slice"),
        ("- {metric: nme_increase, limit: 1, slice: pose=}", "pose= is no slice"),
        ("- {metric: nme_increase, limit: 1, slice: all=left}", "all=left is no slice"),
        ("[]", "lists no gates: write"),
        ("{}", "lists no gates"),
        ("", "lists no gates"),
        ("metric: nme_increase", "lists no gates"),
    ],
)
def test_a_wrong_gate_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_gates(path)
    with pytest.raises(SettingsError, match="does not exist"):
        load_gates(tmp_path / "absent.yaml")
