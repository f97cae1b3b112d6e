"""Gates say pass, fail or not enough evidence, and nothing else."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_pack import CHAIN

from mirrorset.errors import SettingsError
from mirrorset.metrics import wilson_interval
from parity.chain import chain_file, load_chain, shipped_chains
from parity.columns import Column
from parity.estimates import Evidence
from parity.gates import gates_file, judge, load_gates
from parity.records import Gate, GateVerdict, Outcome

COUNT = 50


def evidence(
    metric: str,
    values: Sequence[float],
    output: str = "points",
    cells: Mapping[str, Sequence[bool]] | None = None,
) -> Evidence:
    """One measure of each image; cells: which images are in a slice."""
    slices = {"all": np.ones(len(values), dtype=bool)}
    slices |= {name: np.array(chosen) for name, chosen in (cells or {}).items()}
    return Evidence([Column(metric, output, np.array(values, dtype=np.float64))], slices)


def outcomes(gate: Gate, given_: Evidence) -> dict[str, Outcome]:
    return {one.slice: one.verdict for one in judge([gate], given_, CHAIN)}


def only(gate: Gate, given_: Evidence) -> GateVerdict:
    (verdict,) = judge([gate], given_, CHAIN)
    return verdict


# --- means, and facts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("middle", "spread", "expected"),
    [
        (0.005, 0.001, "pass"),
        (0.02, 0.0, "pass"),  # the limit may be reached
        (0.02, 0.01, "not_enough_evidence"),
        (0.03, 0.001, "fail"),
        (math.inf, 0.0, "fail"),
    ],
)
def test_the_whole_interval_decides(middle: float, spread: float, expected: str) -> None:
    values = [middle + spread * (-1) ** place for place in range(COUNT)]
    gate = Gate(metric="nme_to_reference", limit=0.02)
    assert outcomes(gate, evidence("nme_to_reference", values)) == {"all": expected}


def test_too_few_images_are_no_verdict() -> None:
    gate = Gate(metric="nme_to_reference", limit=0.02, minimum_count=20)
    few, enough = ([0.5] * count for count in (19, 20))
    assert outcomes(gate, evidence("nme_to_reference", few)) == {"all": "not_enough_evidence"}
    assert outcomes(gate, evidence("nme_to_reference", enough)) == {"all": "fail"}
    # Images that do not count are none.
    unseen = [*few, math.nan]
    assert outcomes(gate, evidence("nme_to_reference", unseen)) == {"all": "not_enough_evidence"}


def test_an_axis_is_judged_cell_by_cell() -> None:
    values = [0.001] * 25 + [0.035] * 25
    is_left = [False] * 25 + [True] * 25
    cells = {
        "lighting=left": is_left,
        "pose=frontal": [not each for each in is_left],
        "pose=left": is_left,
    }
    given_ = evidence("nme_to_reference", values, cells=cells)
    gate = Gate(metric="nme_to_reference", limit=0.02, slice="pose")
    assert outcomes(gate, given_) == {"pose=frontal": "pass", "pose=left": "fail"}
    gate = gate.model_copy(update={"slice": "pose=left"})
    assert outcomes(gate, given_) == {"pose=left": "fail"}


def test_a_slice_that_is_not_there_is_seen_in_the_verdicts() -> None:
    for name in ("lighting", "pose=left"):
        gate = Gate(metric="nme_to_reference", limit=0.02, slice=name)
        said = only(gate, evidence("nme_to_reference", [0.01] * COUNT))
        assert (said.slice, said.verdict, said.count) == (name, "not_enough_evidence", 0)


def test_where_high_is_good_the_limit_is_a_floor() -> None:
    given_ = evidence("tensor_cosine", [0.99, *[1.0] * 49], "marker/points")
    limits = {0.98: "pass", 0.99: "pass", 0.995: "fail"}
    for limit, expected in limits.items():
        gate = Gate(metric="tensor_cosine", output="marker/points", limit=limit)
        assert only(gate, given_).verdict == expected


def test_time_is_judged_over_all_images() -> None:
    gate = Gate(metric="latency_ratio", limit=1.5)
    measured = evidence("nme_to_reference", [0.0] * COUNT)
    timed = Evidence(measured.columns, measured.slices, latency_ratio=1.2)
    assert (only(gate, timed).verdict, only(gate, timed).count) == ("pass", COUNT)
    assert only(gate, measured).verdict == "not_enough_evidence"


@given(value=st.floats(0, 10), limit=st.floats(0, 10), more=st.floats(0, 10))
def test_a_wider_limit_never_turns_pass_into_fail(value: float, limit: float, more: float) -> None:
    given_ = evidence("worst_displacement_px", [value] * COUNT)
    narrow, wide = (
        only(Gate(metric="worst_displacement_px", limit=each), given_).verdict
        for each in (limit, limit + more)
    )
    assert narrow == ("pass" if value <= limit else "fail")
    assert (narrow, wide) != ("pass", "fail")


# --- rates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flips", "count", "expected"),
    [
        (0, 12, "not_enough_evidence"),  # at most 24 % by Wilson
        (0, 188, "not_enough_evidence"),
        (0, 189, "pass"),
        (1, 12, "not_enough_evidence"),  # at least 1.5 %
        (3, 24, "fail"),  # at least 4.3 %
    ],
)
def test_no_flip_in_a_handful_is_no_pass(flips: int, count: int, expected: str) -> None:
    values = [1.0] * flips + [0.0] * (count - flips)
    gate = Gate(metric="flip_share", output="presence", limit=0.02)
    assert only(gate, evidence("flip_share", values, "presence")).verdict == expected


def test_a_limit_of_zero_is_never_passed_by_a_rate() -> None:
    gate = Gate(metric="flip_share", output="hint", limit=0)
    none, one = [0.0] * 5000, [1.0, *[0.0] * 4999]
    assert only(gate, evidence("flip_share", none, "hint")).verdict == "not_enough_evidence"
    assert only(gate, evidence("flip_share", one, "hint")).verdict == "fail"


@given(successes=st.integers(0, 40), others=st.integers(0, 200), limit=st.floats(0, 1, width=32))
def test_a_rate_is_judged_by_wilsons_interval(successes: int, others: int, limit: float) -> None:
    count = successes + others
    gate = Gate(metric="flip_share", output="hint", limit=limit, minimum_count=1)
    values = [1.0] * successes + [0.0] * others
    said = only(gate, evidence("flip_share", values, "hint")).verdict
    low, high = wilson_interval(successes, count)
    if not count or low <= limit < high:
        assert said == "not_enough_evidence"
    else:
        assert said == ("pass" if high <= limit else "fail")


def test_a_change_of_a_rate_needs_more_than_no_change_among_few() -> None:
    gate = Gate(metric="fr08_increase", limit=0.02)
    assert only(gate, evidence("fr08_increase", [0.0] * 30)).verdict == "not_enough_evidence"
    assert only(gate, evidence("fr08_increase", [0.0] * 500)).verdict == "pass"
    lost = [1.0] * 12 + [0.0] * 18
    assert only(gate, evidence("fr08_increase", lost)).verdict == "fail"


# --- relative to the reference --------------------------------------------------------------------


def both(reference: Sequence[float], candidate: Sequence[float]) -> Evidence:
    columns = [
        Column(f"{run}_nme", "points", np.array(values, dtype=np.float64))
        for run, values in (("reference", reference), ("candidate", candidate))
    ]
    return Evidence(columns, {"all": np.ones(len(reference), dtype=bool)})


def test_times_the_reference_is_paired_by_image() -> None:
    # The images differ far more than the runs do: unpaired, 2 % could not be told.
    reference = [0.01 + 0.002 * place for place in range(COUNT)]
    worse = both(reference, [1.04 * each for each in reference])
    gates = [Gate(metric="candidate_nme", times=times) for times in (1.05, 1.04, 1.03)]
    said = [verdict.verdict for verdict in judge(gates, worse, CHAIN)]
    assert said[0] == "pass"
    assert said[2] == "fail"
    measured = judge(gates, worse, CHAIN)[2].measured
    assert measured is not None
    assert measured.value == pytest.approx(0.01 * np.mean(reference))


def test_a_broken_candidate_is_beyond_any_times() -> None:
    gate = Gate(metric="candidate_nme", times=100)
    assert only(gate, both([0.01] * COUNT, [math.inf] * COUNT)).verdict == "fail"
    assert only(gate, both([math.inf] * COUNT, [math.inf] * COUNT)).verdict == "fail"
    assert only(gate, both([math.nan] * COUNT, [0.01] * COUNT)).verdict == "not_enough_evidence"


# --- what a gate is of ----------------------------------------------------------------------------


def test_an_output_that_no_run_holds_is_no_evidence() -> None:
    gate = Gate(metric="tensor_max_abs", output="marker/points", limit=0.1)
    said = only(gate, evidence("nme_to_reference", [0.0] * COUNT))
    assert (said.verdict, said.measured, said.output) == (
        "not_enough_evidence", None, "marker/points",
    )  # fmt: skip


def test_the_one_output_of_its_kind_need_not_be_named() -> None:
    gate = Gate(metric="nme_to_reference", limit=0.1)
    assert only(gate, evidence("nme_to_reference", [0.0] * COUNT)).output == "points"


@pytest.mark.parametrize(
    ("metric", "output", "said"),
    [
        ("tensor_max_abs", "marker/pints", "'marker/pints'.*name one of finder/regressors, "),
        ("tensor_max_abs", "", "has no output: name one of finder/regressors, "),
        ("flip_share", "pose", "'pose'.*name one of presence, lighting, hint"),
        ("mask_iou_to_reference", "mask", "'mask'.*take the gate out"),
    ],
)
def test_an_output_that_the_chain_lacks_is_refused(metric: str, output: str, said: str) -> None:
    gate = Gate(metric=metric, output=output, limit=0.1)
    with pytest.raises(SettingsError, match=said):
        judge([gate], evidence("nme_to_reference", [0.0] * COUNT), CHAIN)


def test_the_default_gates_can_be_read() -> None:
    assert {gate.metric for gate in load_gates()} >= {"tensor_max_abs", "nme_to_reference"}


@pytest.mark.parametrize("name", shipped_chains())
def test_every_chain_that_ships_has_what_its_gates_look_at(name: str) -> None:
    chain = load_chain(chain_file(name))
    gates = load_gates(gates_file(chain))
    nothing = evidence("nme_to_reference", [math.nan] * COUNT)
    for verdict in judge(gates, nothing, chain):
        assert verdict.output
        assert verdict.verdict == "not_enough_evidence"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {metric: beauty, limit: 1}", "beauty is no measure: give one of tensor_max_abs"),
        ("- {metric: nme_increase, limit: 1, times: 2}", "give a limit, or times"),
        ("- {metric: nme_increase, times: 2}", "times is for means of the candidate"),
        ("- {metric: candidate_fr08, times: 2}", "times is for means .* not for candidate_fr08"),
        ("- {metric: nme_increase}", "limit"),
        ("- [", "YAML"),
        ("- {metric: nme_increase, limit: 1, minimum_count: 0}", "minimum_count"),
        ("- {metric: nme_increase, limit: .nan}", "is no number to measure by"),
        ("- {metric: nme_increase, limit: .inf}", "is no number to measure by"),
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
