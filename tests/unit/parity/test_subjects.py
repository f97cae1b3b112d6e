"""A limited pack keeps every slice's share, the same items each time; the best photo is chosen."""

from collections import Counter
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from small_pack import item

from mirrorset.records import Pose
from parity.subjects import Subject, best_photo, limited

CELLS = st.fixed_dictionaries(
    {"pose": st.sampled_from(["left", "frontal", "right"]), "light": st.sampled_from("ab")}
)


def subjects(cells: list[dict[str, str]]) -> list[Subject]:
    source = cast("Any", None)
    return [
        Subject(source, item(index, f"{index * 7919 % 65536:064x}", own))
        for index, own in enumerate(cells)
    ]


def counts(chosen: list[Subject]) -> Counter[tuple[str, str]]:
    return Counter(cell for one in chosen for cell in one.item.slices.items())


def test_shares_are_kept_and_small_cells_are_not_lost() -> None:
    cells = [
        {"pose": "left" if index % 40 == 0 else "frontal", "light": "a" if index % 4 else "b"}
        for index in range(800)
    ]
    found = counts(limited(subjects(cells), 100))
    # 20 of 800 look to the left: 2.5 of 100 by their share, but ten are needed to say anything.
    assert found["pose", "left"] == 10
    assert found["pose", "frontal"] == 90
    assert 22 <= found["light", "b"] <= 32


@given(cells=st.lists(CELLS, max_size=60), limit=st.integers(1, 60))
def test_as_many_as_asked_in_order_and_the_same_each_time(
    cells: list[dict[str, str]], limit: int
) -> None:
    whole = subjects(cells)
    chosen = limited(whole, limit)
    assert len(chosen) == min(limit, len(whole))
    ids = [one.item.image_id for one in chosen]
    assert ids == [one.item.image_id for one in whole if one.item.image_id in set(ids)]
    assert [one.item.index for one in chosen] == list(range(len(chosen)))
    assert limited(whole, limit) == chosen


@given(cells=st.lists(CELLS, min_size=1, max_size=40))
def test_items_do_not_depend_on_the_order_they_come_in(cells: list[dict[str, str]]) -> None:
    whole = subjects(cells)
    ids = [{one.item.image_id for one in limited(each, 7)} for each in (whole, whole[::-1])]
    assert ids[0] == ids[1]


def test_the_best_photo_looks_straight_in_light_from_the_front() -> None:
    assert best_photo([]) is None
    straight = Pose(yaw_deg=1, pitch_deg=-1, roll_deg=0)
    turned = Pose(yaw_deg=0, pitch_deg=0, roll_deg=9)
    items = [item(index, f"{9 - index:064x}") for index in range(4)]
    wanted = [
        items[0].model_copy(update={"pose": None}),
        items[1].model_copy(update={"pose": turned}),
        items[2].model_copy(update={"pose": straight, "lighting": "left"}),
        items[3].model_copy(update={"pose": straight}),
    ]
    assert best_photo(wanted) == wanted[3]
    assert best_photo(wanted[:3]) == wanted[1]
    assert best_photo(wanted[:1]) == wanted[0]
    assert best_photo([wanted[3], wanted[3].model_copy(update={"image_id": "0" * 64})]) != wanted[3]
