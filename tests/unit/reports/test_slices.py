"""The table of pose × lighting tells aggregates and no more."""

from hypothesis import given
from hypothesis import strategies as st

from mirrorset.records import Face, Lighting, Pose
from reports.slices import MINIMUM_COUNT, Slice, Table, coverage, slice_of

CELLS = st.builds(
    Slice,
    st.sampled_from(["left", "frontal", "right", "unknown"]),
    st.sampled_from(["left", "even"]),
)


def words(table: Table) -> dict[tuple[str, str], str]:
    return {
        (pose, side): cell.words
        for pose, cells in table.rows
        for side, cell in zip(table.columns, cells, strict=True)
    }


def a_face(yaw_deg: float | None, side: str = "even") -> Face:
    return Face(
        face_id="0",
        box=(0, 0, 1, 1),
        score=1,
        pose=None if yaw_deg is None else Pose(yaw_deg=yaw_deg, pitch_deg=0, roll_deg=0),
        lighting=Lighting(side=side, level=0.5, evenness=1),
    )


def test_without_images_every_cell_is_a_gap() -> None:
    assert set(words(coverage([])).values()) == {"0"}


def test_yaw_decides_the_pose() -> None:
    poses = [slice_of(a_face(yaw)).pose for yaw in (-15.1, -15, 0, 15, 15.1, None)]
    assert poses == ["left", "frontal", "frontal", "frontal", "right", "unknown"]


def test_a_face_without_measures_is_unknown() -> None:
    assert slice_of(Face(face_id="0", box=(0, 0, 1, 1), score=1)) == Slice("unknown", "unknown")


def test_small_cells_are_suppressed_and_large_ones_counted() -> None:
    table = coverage(
        [Slice("frontal", "even")] * 12 + [Slice("left", "even")] * 9 + [Slice("left", "left")]
    )
    cells = words(table)
    assert cells["frontal", "even"] == "12"
    assert cells["left", "even"] == "<10"
    assert cells["left", "left"] == "<10"
    assert cells["right", "right"] == "0"


def test_a_lone_small_cell_cannot_be_worked_out_from_the_total() -> None:
    cells = words(coverage([Slice("frontal", "even")] * 40 + [Slice("left", "even")] * 3))
    assert cells["left", "even"] == "<10"
    assert cells["frontal", "even"] == "withheld"


@given(st.lists(CELLS, max_size=120))
def test_no_count_between_one_and_nine_is_ever_told(slices: list[Slice]) -> None:
    told = words(coverage(slices)).values()
    assert not {str(count) for count in range(1, MINIMUM_COUNT)} & set(told)
    assert sum(word in ("<10", "withheld") for word in told) != 1 or len(set(slices)) == 1
