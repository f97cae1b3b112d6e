"""Guesses at what went wrong, on arrays and on a chain that numpy plays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_pack import make_pack, sessions

from mirrorset.errors import InputError
from parity.erase import erase_run
from parity.forensics.copies import copied_rows
from parity.forensics.explain import Models, explain, keep
from parity.forensics.graph import departs_by
from parity.forensics.order import order_of
from parity.forensics.outputs import PointsAs, best_guess, seen_in, told_of
from parity.forensics.spread import apart, explained, spread_of
from parity.pack import Pack
from parity.run import RunResult, reference_of

LIGHTS = (200, 180, 160, 140, 120, 100, 90, 80, 70, 60, 50, 40)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return make_pack(tmp_path_factory.mktemp("packs") / "pack", LIGHTS)


@pytest.fixture
def models() -> Models:
    played = sessions()
    return Models(played, played)


def spoilt(run: RunResult, net: str, output: str, values: np.ndarray) -> RunResult:
    """The run with one output in place of its own, and no more of what followed from that."""
    outputs = run.outputs | {net: run.outputs[net] | {output: values}}
    return replace(run, outputs=outputs, transforms={}, rules={})


# --- arrays ---------------------------------------------------------------------------------------


def test_no_numbers_are_alike_where_both_are() -> None:
    nan, inf = np.nan, np.inf
    assert apart([], []) == 0
    assert apart([1, nan, inf], [1, nan, inf]) == 0
    assert apart([1, nan], [1, 2]) == inf
    assert apart([inf], [-inf]) == inf
    assert apart([[1, 2], [3, 4]], [[1, 2], [3, 6.5]]) == 2.5


def test_a_right_guess_explains_all_and_none_explains_nothing() -> None:
    found, expected = np.array([2.0, 4.0]), np.array([1.0, 1.0])
    assert explained(found, expected, found) == 1
    assert explained(found, expected, expected) == 0
    assert explained(found, expected, [2.0, 1.0]) == pytest.approx(0.1)
    assert explained(found, found, expected) == 0
    assert explained([np.nan], [1.0], [1.0]) == 0
    assert spread_of([np.nan, 3.0, 3.0]) == 1


@given(st.permutations(range(9)))
def test_any_order_is_found(order: list[int]) -> None:
    sealed = [np.float32(np.random.default_rng(1).normal(size=(9, 40)))]
    found, share = order_of([sealed[0][order] + np.float32(1e-4)], sealed)
    np.testing.assert_array_equal(found, order)
    assert share == (0 if order == sorted(order) else pytest.approx(1, abs=1e-4))


def test_rows_without_numbers_stay_and_nothing_has_no_order() -> None:
    sealed = np.float32(RNG.normal(size=(5, 8)))
    said = sealed[[1, 0, 2, 3, 4]]
    said[3] = np.nan
    assert order_of([said], [sealed])[0].tolist() == [1, 0, 2, 3, 4]
    assert order_of([np.zeros_like(sealed)], [sealed])[1] == pytest.approx(0, abs=1e-9)
    assert order_of([sealed[:1]], [sealed[:1]])[1] == 0


def test_rows_of_other_images_are_told_from_what_is_merely_near() -> None:
    sealed = np.float32(RNG.normal(size=(7, 100)))
    said = sealed + np.float32(1e-5) * np.float32(RNG.normal(size=sealed.shape))
    assert copied_rows(said, sealed) is None
    said[2], said[4] = said[3], np.nan
    assert copied_rows(said, sealed) == ((2,), (3,))
    said[2] += np.float32(0.1)
    assert copied_rows(said, sealed) is None
    # Of two sealed rows that are alike, either may be the row's own.
    twins = sealed[[0, 0, 1, 2, 3, 4, 5]]
    assert copied_rows(twins[[1, 0, 2, 3, 4, 5, 6]], twins) is None
    # One answer to all is no order, and a single score is always near some other.
    assert copied_rows(sealed[:1].repeat(7, 0), sealed) is None
    assert copied_rows(sealed[[1, 0, 2, 3, 4, 5, 6], :1], sealed[:, :1]) is None


@pytest.mark.parametrize("shape", [(4, 30), (4, 6, 5), (4, 3, 5, 2), (4, 60)])
def test_outputs_in_another_order_of_axes_are_told(shape: tuple[int, ...]) -> None:
    expected = RNG.normal(size=shape)
    flat = expected.reshape(4, 5, -1) if len(shape) == 2 else expected
    axes = (0, *range(flat.ndim - 1, 0, -1))
    found = flat.transpose(axes).reshape(shape)
    guess = best_guess("points", found, {"points": expected})
    assert (guess.cause, guess.share) == ("transposed", 1)


@pytest.mark.parametrize("repeats", [1, 2])
def test_more_rows_than_are_assigned_at_once_find_their_order(repeats: int) -> None:
    rng = np.random.default_rng(2)
    sealed = np.float32(rng.normal(size=(2400 // repeats, 6))).repeat(repeats, axis=0)
    order = rng.permutation(len(sealed))
    said = sealed[order] + np.float32(1e-3) * np.float32(rng.normal(size=sealed.shape))
    found, share = order_of([said], [sealed])
    assert share > 0.999
    assert sorted(found.tolist()) == list(range(len(sealed)))
    np.testing.assert_array_equal(sealed[found], sealed[order])
    # One answer to all images is in no order, which is seen without an assignment.
    assert order_of([sealed[:1].repeat(len(sealed), axis=0)], [sealed])[1] == 0


def test_a_single_value_is_held_against_its_size() -> None:
    one = np.float32([[24.640137]])
    assert departs_by(one, one + np.float32(2e-6)) < 1e-6
    assert departs_by(one, one * 0) == 1
    assert departs_by(one * 0, one) == np.inf
    assert departs_by(one, one * np.nan) == np.inf
    assert departs_by(np.array([99.0, 101.0]), np.array([100.0, 100.0])) == 1


def test_what_is_nothing_is_seen() -> None:
    rows = RNG.normal(size=(3, 70))
    said = [seen_in(each) for each in (rows, rows * 0, np.repeat(rows[:1], 3, axis=0))]
    assert [each and each.cause for each in said] == [None, "zeros", "constant"]


def test_simple_changes_are_named_and_noise_is_not() -> None:
    a, b = RNG.normal(size=(2, 4, 90))
    expected = {"a": a, "b": b}
    said = {
        "scale_or_offset": 3 * a - 1,
        "swapped_outputs": b,
        "clipped": np.clip(a, -0.4, 0.4),
        "sigmoid": 1 / (1 + np.exp(-a)),
    }
    for cause, found in said.items():
        guess = best_guess("a", found, expected)
        assert (guess.cause, round(guess.share, 6)) == (cause, 1), cause
    assert best_guess("a", a + RNG.normal(size=a.shape), expected).share < 0.6
    # Two numbers fitted to a handful of values explain nothing.
    few = best_guess("c", a[:, :1] * 2, {"c": a[:, :1]})
    assert (few.cause, few.share) == ("unexplained", 0)


def test_values_in_another_unit_are_scaled_and_not_clipped() -> None:
    px = RNG.uniform(-20, 190, size=(4, 90))
    guess = best_guess("points", px / 192, {"points": px})
    assert (guess.cause, round(guess.share, 6)) == ("scale_or_offset", 1)
    # Saturated values lie at both ends of their own.
    mask = RNG.uniform(-1, 2, size=(4, 90)).clip(0, 1)
    assert best_guess("mask", mask / 255, {"mask": mask}).cause == "scale_or_offset"
    assert best_guess("mask", 1 - mask, {"mask": mask}).cause == "inverted"


@pytest.mark.parametrize("values", [2, 3])
def test_points_the_other_way_round_are_told(values: int) -> None:
    points = RNG.uniform(20, 60, size=(4, 30, values))
    swapped, mirrored = points.copy(), points.copy()
    swapped[..., 0], swapped[..., 1] = points[..., 1], points[..., 0]
    mirrored[..., 0] = 192 - points[..., 0]
    for cause, found in (("swapped_axes", swapped), ("mirrored", mirrored)):
        flat, own = found.reshape(4, -1), {"points": points.reshape(4, -1)}
        guess = best_guess("points", flat, own, PointsAs(30, values, 192.0))
        assert (guess.cause, guess.share) == (cause, 1)


def test_a_constant_that_rounding_leaves_is_what_it_was_rounded_by() -> None:
    logits = {"presence": np.array([[36.1], [35.2], [36.9]])}
    for value, cause in ((1.0, "sigmoid"), (0.9, "constant"), (36.1, "constant")):
        found = np.full((3, 1), value)
        assert told_of(seen_in(found), "presence", found, logits).cause == cause


# --- a played chain -------------------------------------------------------------------------------


def test_the_sealed_run_has_no_finding_and_no_worst_image(pack: Pack, models: Models) -> None:
    explanation = explain(pack, reference_of(pack), models)
    assert (explanation.findings, explanation.worst) == ((), ())
    assert [each.name for each in explanation.deviations][:4] == [
        "finder/regressors", "finder/scores", "face", "marker/points",
    ]  # fmt: skip


def test_what_a_stage_adds_is_told_from_what_came_before(pack: Pack, models: Models) -> None:
    known = reference_of(pack)
    moved = known.outputs["finder"]["regressors"].copy()
    moved[..., [0, 2]] += 2  # another box; the marker was fed the sealed crop all the same
    run = spoilt(known, "finder", "regressors", moved)
    fed = replace(run, record=run.record.model_copy(update={"fed": "tensors"}))
    explanation = explain(pack, fed, models)
    assert [each.stages for each in explanation.findings] == [("finder",)]
    found = {each.name: each for each in explanation.deviations}
    assert found["finder/regressors"].kernel == pytest.approx(2, abs=1e-5)
    assert found["face"].before == found["face"].whole > 0
    assert found["face"].rule == 0


def test_no_numbers_are_counted_with_their_images(pack: Pack, models: Models) -> None:
    known = reference_of(pack)
    points = known.outputs["marker"]["points"].copy()
    points[[2, 7], 5] = np.nan
    (finding,) = explain(pack, spoilt(known, "marker", "points", points), models).findings
    assert (finding.cause, finding.count) == ("not_a_number", 2)
    assert set(finding.image_ids) == {known.record.image_ids[row] for row in (2, 7)}


def test_a_run_of_some_images_in_its_own_order_is_explained(pack: Pack, models: Models) -> None:
    known, rows = reference_of(pack), [5, 2, 8]
    part = RunResult(
        known.record.model_copy(
            update={"image_ids": tuple(known.record.image_ids[r] for r in rows)}
        ),
        {net: {n: v[rows] for n, v in named.items()} for net, named in known.outputs.items()},
    )
    assert explain(pack, part, models).findings == ()
    assert explain(pack, part, models).count == 3


@pytest.mark.parametrize("is_input_moved", [True, False])
def test_rows_move_with_their_inputs_or_without(
    pack: Pack, models: Models, is_input_moved: bool
) -> None:
    known, order = reference_of(pack), np.roll(np.arange(len(LIGHTS)), 1)
    inputs = {net: np.concatenate(list(pack.tensors(net))) for net in pack.chain.nets}
    outputs = {
        net: {name: rows[order] for name, rows in named.items()}
        for net, named in known.outputs.items()
    }
    if is_input_moved:
        inputs = {net: rows[order] for net, rows in inputs.items()}
    run = RunResult(known.record, outputs, inputs=inputs)
    explanation = explain(pack, run, models)
    assert [each.cause for each in explanation.findings] == ["image_order"]


def test_a_run_without_anything_is_refused(pack: Pack, models: Models) -> None:
    known = reference_of(pack)
    with pytest.raises(InputError, match="holds no image or no net"):
        explain(pack, RunResult(known.record, {}), models)


def test_what_was_drawn_goes_with_an_erasure(pack: Pack, models: Models, tmp_path: Path) -> None:
    known = reference_of(pack)
    run = spoilt(known, "marker", "points", known.outputs["marker"]["points"] + 3)
    kept = keep(pack, run, explain(pack, run, models), tmp_path / "why")
    assert len(kept.worst) == len(LIGHTS)
    assert {each.picture for each in kept.worst} == {
        path.name for path in (tmp_path / "why").glob("*.png")
    }
    with pytest.raises(InputError, match="holds no explanation"):
        keep(pack, run, kept, tmp_path)
    assert erase_run(tmp_path / "why", {("faces", "2.0.0")}, is_dry_run=False) == []
    (removed,) = erase_run(tmp_path / "why", {("faces", "1.0.0")}, is_dry_run=False)
    assert removed.place == "parity runs"
    assert not (tmp_path / "why").exists()
