"""What is measured of each kind of stage, on values whose figures are worked out by hand."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from small_pack import FACE, POINTS, make_pack

from parity.both import Both
from parity.columns import Column, counted
from parity.measures import MEASURES
from parity.pack import Pack
from parity.rules.rule import NO_LABEL
from parity.run import RunResult, reference_of
from parity.tasks import labels, masks, tensors
from parity.tasks.by_kind import confused, measured

COUNT = 4
INTEROCULAR_PX = float(np.linalg.norm(POINTS[45] - POINTS[36]))
NAN, INF = np.nan, np.inf
STAY, LEFT, RIGHT = 0, 1, 2


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Four pictures, labelled with light from the front and a pitch of 0, 1, 2 and 3 degrees."""
    return make_pack(tmp_path_factory.mktemp("packs") / "pack", [60, 90, 120, 150])


def saying(pack: Pack, rule: str, values: Any) -> RunResult:
    """The reference's run, but that it says `values` of the rule."""
    known = reference_of(pack)
    rules = {**known.rules, rule: np.array(values, dtype=known.rules[rule].dtype)}
    return RunResult(known.record, known.outputs, known.transforms, rules)


def told(pack: Pack, rule: str, before: Any, after: Any) -> dict[str, list[float]]:
    """What is measured of the rule, by metric."""
    both = Both(pack, saying(pack, rule, before), saying(pack, rule, after), pack)
    with np.errstate(invalid="ignore"):
        columns = [column for column in measured(both) if column.output == rule]
    return {one.metric: one.values.tolist() for one in columns}


def test_every_measure_stands_in_the_table_and_comes_once(pack: Pack) -> None:
    columns = list(measured(Both(pack, reference_of(pack), reference_of(pack), pack)))
    names = [(column.metric, column.output) for column in columns]
    assert len(set(names)) == len(names)
    assert {metric for metric, _ in names} == set(MEASURES) - {
        "mask_iou_to_reference", "latency_ratio",
    }  # fmt: skip
    assert {column.values.shape for column in columns} == {(COUNT,)}
    better = {column.metric for column in columns if MEASURES[column.metric].is_high_good}
    for column in columns:
        if column.metric.endswith(("_to_reference", "_increase", "_loss", "_share", "_abs")):
            wanted = 1.0 if column.metric in better else 0.0
            if not column.metric.startswith(("reference_", "candidate_")):
                assert column.values == pytest.approx(wanted, abs=1e-9), column


# --- landmarks ------------------------------------------------------------------------------------


def shifted(shares: list[float]) -> NDArray[np.float64]:
    """The drawn points, each picture's moved right by a share of the interocular distance."""
    return np.stack([POINTS + np.array([share * INTEROCULAR_PX, 0]) for share in shares])


def test_landmarks_fail_beyond_their_limits_and_fill_an_area(pack: Pack) -> None:
    found = told(pack, "points", shifted([0, 0.02, 0.04, 0.09]), shifted([0.04, 0.02, 0.09, 0.2]))
    assert found["reference_nme"] == pytest.approx([0, 0.02, 0.04, 0.09])
    assert found["candidate_nme"] == pytest.approx([0.04, 0.02, 0.09, 0.2])
    assert found["nme_increase"] == pytest.approx([0.04, 0, 0.05, 0.11])
    assert found["nme_to_reference"] == pytest.approx([0.04, 0, 0.05, 0.11])
    assert found["displacement_px"][3] == pytest.approx(0.11 * INTEROCULAR_PX)
    assert found["reference_fr08"] == [0, 0, 0, 1]
    assert found["candidate_fr08"] == [0, 0, 1, 1]
    assert found["fr08_increase"] == [0, 0, 1, 0]
    assert found["reference_fr10"] == [0, 0, 0, 0]
    assert found["fr10_increase"] == [0, 0, 0, 1]
    assert found["reference_auc08"] == pytest.approx([1, 0.75, 0.5, 0])
    assert found["candidate_auc10"] == pytest.approx([0.6, 0.8, 0.1, 0])
    assert found["auc08_loss"] == pytest.approx([0.5, 0, 0.5, 0])


@given(errors=arrays(np.float64, 30, elements=st.floats(0, 0.3)), limit=st.sampled_from([8, 10]))
def test_the_area_is_that_under_the_curve_of_errors(
    errors: NDArray[np.float64], limit: int
) -> None:
    """Against the integral of the step curve, x by x."""
    from parity.tasks.landmarks import _areas

    end = limit / 100
    steps = np.sort(np.minimum(errors, end))
    integral = sum(
        (b - a) * (np.searchsorted(steps, a, side="right") / errors.size)
        for a, b in zip([0.0, *steps], [*steps, end], strict=True)
    )
    assert _areas(errors, end).mean() == pytest.approx(integral / end, abs=1e-9)


def test_a_broken_point_is_a_failure_infinitely_far(pack: Pack) -> None:
    broken = shifted([0, 0, 0, 0])
    broken[1, 36] = NAN
    found = told(pack, "points", shifted([0, 0, 0, 0]), broken)
    assert found["candidate_nme"] == [0, INF, 0, 0]
    assert found["candidate_fr08"] == [0, 1, 0, 0]
    assert found["candidate_auc08"] == [1, 0, 1, 1]
    assert found["nme_increase"][1] == INF


# --- pose, expression, boxes, masks ---------------------------------------------------------------


def test_angles_are_apart_the_short_way_round(pack: Pack) -> None:
    before = [[0, 0, 179], [0, 1, 0], [5, 2, 0], [NAN] * 3]
    after = [[3, 0, -179], [-4, 1, 0], [NAN] * 3, [NAN] * 3]
    found = told(pack, "pose", before, after)
    assert found["yaw_to_reference"][:3] == [3, 4, INF]
    assert found["roll_to_reference"][:2] == [2, 0]
    # Neither can tell: nothing has changed; but the labels know.
    assert np.isnan(found["yaw_to_reference"][3])
    assert found["reference_yaw_mae"] == [0, 0, 5, INF]
    assert found["candidate_yaw_mae"] == [3, 4, INF, INF]
    assert found["yaw_mae_increase"] == [3, 4, INF, INF]
    assert found["candidate_pitch_mae"][:2] == [0, 0]


def test_an_expression_is_as_far_as_its_most_changed_part(pack: Pack) -> None:
    still = np.zeros((COUNT, 68, 2))
    moved = still.copy()
    moved[0, 48:68] = (0.03, 0.04)  # the lips, by 0.05
    moved[1, 17:27, 1] = 0.3  # the brows, which count for half
    moved[2, 0:17] = 7  # the jaw, which does not count
    moved[3] = NAN
    found = told(pack, "expression", still, moved)["expression_to_reference"]
    assert found == pytest.approx([0.05, 0.15, 0, INF])


def test_boxes_cover_each_other_or_are_not_found(pack: Pack) -> None:
    right = np.tile(FACE, (COUNT, 1))
    other = right.copy()
    other[0, [0, 2]] += (FACE[2] - FACE[0]) / 3  # two thirds of it remain
    other[1] = NAN
    right[2:] = other[2:] = NAN
    found = told(pack, "face", right, other)
    assert found["box_iou_to_reference"][:2] == pytest.approx([0.5, 0])
    assert np.isnan(found["box_iou_to_reference"][2:]).all()
    assert found["reference_box_iou"] == pytest.approx([1, 1, 0, 0])
    assert found["box_iou_loss"] == pytest.approx([0.5, 1, 0, 0])


def test_masks_cover_each_other() -> None:
    before, after = np.zeros((3, 2, 2), np.uint8), np.zeros((3, 2, 2), np.uint8)
    before[0, 0], after[0, :, 0] = 1, 1  # one of three pixels
    before[1] = 1
    seen = SimpleNamespace(
        values=lambda _: (before, after), has_seen=lambda _: np.ones(3, dtype=bool)
    )
    (column,) = masks.columns(cast(Both, seen), "mask")
    assert column.values == pytest.approx([1 / 3, 0, 1])


# --- labels ---------------------------------------------------------------------------------------


def test_flips_tell_which_label_became_which(pack: Pack) -> None:
    before, after = [STAY, STAY, LEFT, NO_LABEL], [STAY, RIGHT, NO_LABEL, NO_LABEL]
    assert told(pack, "hint", before, after)["flip_share"] == [0, 1, 1, 0]
    both = Both(pack, saying(pack, "hint", before), saying(pack, "hint", after), pack)
    (table,) = [one for one in confused(both) if one.output == "hint"]
    assert (table.rows, table.columns) == ("reference", "candidate")
    assert table.used == ["stay", "turn left", "turn right", "none"]
    assert table.table == {
        "stay": [1, 0, 1, 0],
        "turn left": [0, 0, 0, 1],
        "turn right": [0, 0, 0, 0],
        "none": [0, 0, 0, 1],
    }
    assert table.has_flips


def test_labels_are_right_where_people_say_so(pack: Pack) -> None:
    words = pack.chain.rules["lighting"].labels
    front, left = words.index("front"), words.index("left")
    before, after = [front, front, left, left], [front, left, front, NO_LABEL]
    found = told(pack, "lighting", before, after)
    assert found["reference_error_share"] == [0, 0, 1, 1]
    assert found["candidate_error_share"] == [0, 1, 0, 1]
    assert found["error_share_increase"] == [0, 1, -1, 0]
    both = Both(pack, saying(pack, "lighting", before), saying(pack, "lighting", after), pack)
    tables = {
        (one.rows, one.columns): one.table for one in confused(both) if one.output == "lighting"
    }
    assert tables["labels", "reference"]["front"] == [2, 2]  # left, front
    assert sum(tables["labels", "candidate"]["front"]) == COUNT
    assert set(tables) == {
        ("reference", "candidate"), ("labels", "reference"), ("labels", "candidate"),
    }  # fmt: skip


def test_a_face_that_is_not_seen_is_an_error_of_presence(pack: Pack) -> None:
    found = told(pack, "presence", [1, 1, 0, NO_LABEL], [1, 0, 0, NO_LABEL])
    assert found["reference_error_share"] == [0, 0, 1, 1]
    assert found["candidate_error_share"] == [0, 1, 1, 1]
    # No number twice is no answer twice.
    assert found["flip_share"] == [0, 1, 0, 1]


@given(
    before=arrays(np.int64, 40, elements=st.integers(-1, 10)),
    after=arrays(np.int64, 40, elements=st.integers(-1, 10)),
)
def test_tables_and_shares_agree(
    before: NDArray[np.int64], after: NDArray[np.int64], pack: Pack
) -> None:
    both = SimpleNamespace(pack=pack, values=lambda _: (before, after), items=range(40))
    (column,) = labels.columns(cast(Both, both), "hint")
    (table,) = labels.confusions(cast(Both, both), "hint")
    counts = np.array(table.counts)
    assert counts.sum() == 40
    assert column.values.sum() == counts.sum() - np.trace(counts)
    assert table.has_flips == bool(column.values.any())
    for place, word in enumerate(table.words[:-1]):
        assert counts[place].sum() == (before == place).sum(), word
    assert counts[:, -1].sum() == (after == NO_LABEL).sum()


# --- tensors --------------------------------------------------------------------------------------


def test_deviations_of_a_tensor(pack: Pack) -> None:
    before, after = (reference_of(pack) for _ in range(2))
    values: dict[str, dict[str, NDArray[Any]]] = {
        net: {name: rows.copy() for name, rows in named.items()}
        for net, named in after.outputs.items()
    }
    rows = before.outputs["marker"]["points"]
    values["marker"]["points"][0] *= 1.1  # a tenth of the signal: 20 dB
    values["marker"]["points"][1] *= -1
    values["marker"]["points"][2, 5] += 3
    values["marker"]["points"][3, 7] = NAN
    candidate = RunResult(after.record, values, after.transforms, after.rules)
    both = Both(pack, before, candidate, pack)
    found = {one.metric: one.values for one in measured(both) if one.output == "marker/points"}
    assert found["tensor_snr_db"][:2] == pytest.approx([20, 20 * np.log10(0.5)], abs=1e-3)
    assert found["tensor_cosine"] == pytest.approx([1, -1, found["tensor_cosine"][2], -1])
    assert found["tensor_max_abs"][2] == pytest.approx(3, abs=1e-4)
    assert found["tensor_mean_abs"][2] == pytest.approx(3 / rows[2].size, abs=1e-5)
    assert found["tensor_max_abs"][3] == INF
    assert found["tensor_snr_db"][3] == -INF


def test_deviations_do_not_hang_on_which_images_are_looked_at_together() -> None:
    """70 images of 1,000 values, more than a block holds, against the definitions one by one."""
    drawn = np.random.default_rng(0)
    before = drawn.normal(size=(70, 10, 100)).astype(np.float32)
    after = (before + drawn.normal(0, 0.1, size=before.shape)).astype(np.float32)
    both = SimpleNamespace(
        pack=SimpleNamespace(chain=SimpleNamespace(nets={"net": SimpleNamespace(outputs=["out"])})),
        outputs=lambda *_: (before, after),
        has_seen=lambda _: np.ones(70, dtype=bool),
    )
    found = {one.metric: one.values for one in tensors.columns(cast(Both, both), "net")}
    pairs = [
        (a.ravel().astype(float), b.ravel().astype(float))
        for a, b in zip(before, after, strict=True)
    ]
    wanted = {
        "tensor_max_abs": [np.abs(b - a).max() for a, b in pairs],
        "tensor_mean_abs": [np.abs(b - a).mean() for a, b in pairs],
        "tensor_cosine": [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs],
        "tensor_snr_db": [
            20 * np.log10(np.linalg.norm(a) / np.linalg.norm(b - a)) for a, b in pairs
        ],
    }
    for metric, values in wanted.items():
        assert found[metric] == pytest.approx(values, rel=1e-12), metric


# --- columns --------------------------------------------------------------------------------------


@given(
    values=arrays(np.float64, 10, elements=st.floats(allow_nan=True)),
    is_counted=arrays(np.bool_, 10),
)
def test_what_is_no_number_is_infinitely_far(
    values: NDArray[np.float64], is_counted: NDArray[np.bool_]
) -> None:
    found = Column("nme", "points", counted(values, is_counted)).values
    assert (np.isnan(found) == ~is_counted).all()
    is_finite = is_counted & np.isfinite(values)
    assert (found[is_finite] == values[is_finite]).all()
    assert (found[is_counted & ~np.isfinite(values)] == INF).all()
