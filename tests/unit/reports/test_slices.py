"""The table of pose × lighting tells aggregates and no more."""

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from faces.slices import SMALLEST_CELL, Slice
from reports.slices import Table, coverage, coverage_chart, gaps, selfies

CELLS = st.builds(
    Slice,
    st.sampled_from(["left", "frontal", "right", "unknown"]),
    st.sampled_from(["left", "front"]),
)


def words(table: Table) -> dict[tuple[str, str], str]:
    return {
        (pose, side): cell.words
        for pose, cells in table.rows
        for side, cell in zip(table.columns, cells, strict=True)
    }


def test_without_images_every_cell_is_a_gap() -> None:
    assert set(words(coverage([])).values()) == {"0"}


def test_small_cells_are_suppressed_and_large_ones_counted() -> None:
    table = coverage(
        [Slice("frontal", "front")] * 12 + [Slice("left", "front")] * 9 + [Slice("left", "left")]
    )
    cells = words(table)
    assert cells["frontal", "front"] == "12"
    assert cells["left", "front"] == "<10"
    assert cells["left", "left"] == "<10"
    assert cells["right", "right"] == "0"


def test_a_lone_small_cell_cannot_be_worked_out_from_the_total() -> None:
    cells = words(coverage([Slice("frontal", "front")] * 40 + [Slice("left", "front")] * 3))
    assert cells["left", "front"] == "<10"
    assert cells["frontal", "front"] == "withheld"


@given(st.lists(CELLS, max_size=120))
def test_no_count_between_one_and_nine_is_ever_told(slices: list[Slice]) -> None:
    told = words(coverage(slices)).values()
    assert not {str(count) for count in range(1, SMALLEST_CELL)} & set(told)
    assert sum(word in ("<10", "withheld") for word in told) != 1 or len(set(slices)) == 1


def test_gaps_are_named() -> None:
    named = list(gaps(coverage([Slice("frontal", "front")] * 12 + [Slice("left", "front")] * 9)))
    assert "nose to the camera, light front: none" not in named
    assert "nose to the left, light front: fewer than 10" in named
    assert "nose to the right, light from the left: none" in named


def test_the_heat_map_tells_no_more_than_the_table() -> None:
    table = coverage([Slice("frontal", "front")] * 40 + [Slice("left", "front")] * 7)
    svg = base64.b64decode(coverage_chart(table).light.partition(",")[2]).decode()
    told = set(re.findall(r">([^<>]+)</text>", svg))
    assert {"withheld", "&lt;10", "0"} <= told
    assert not {"40", "7", "47"} & told


def test_selfies_are_counted_and_unknown_ones_shown_where_there_are_any() -> None:
    told = selfies(["likely"] * 12 + ["possible"] * 9 + ["unlikely"] * 2)
    assert [(name, cell.words) for name, cell in told] == [
        ("likely", "12"),
        ("possible", "<10"),
        ("unlikely", "<10"),
    ]
    assert [name for name, _ in selfies(["unknown"])][-1] == "unknown"
