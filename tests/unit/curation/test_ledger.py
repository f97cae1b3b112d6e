from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.ledger import LedgerParams, kept_out, mint
from curation.records import GroupMember
from mirrorset.records import Reason

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
PARAMS = LedgerParams(seed="test", images_per_shard=3)


def image_id(number: int) -> str:
    # Spread out, so that later images fall between earlier ones.
    return f"{number * 7919 % 104729:064x}"


def members(*components: list[int]) -> list[GroupMember]:
    return [
        GroupMember(image_id=image_id(number), key=min(image_id(other) for other in component))
        for component in components
        for number in component
    ]


def minted(groups, ledger=None, params=PARAMS, at=AT):
    entries, rejected = mint(groups, ledger or {}, params, at)
    return {entry.image_id: entry for entry in entries}, rejected


def places(ledger):
    return {key: (entry.group_id, entry.split, entry.image_shard) for key, entry in ledger.items()}


numbers = st.integers(min_value=1, max_value=10_000)
partitions = st.lists(st.lists(numbers, min_size=1, max_size=4), max_size=12).map(
    lambda lists: [
        component
        for index, numbers in enumerate(lists)
        if (component := sorted(set(numbers) - {n for other in lists[:index] for n in other}))
    ]
)


@given(partitions)
def test_a_group_lies_in_one_split_and_minting_repeats(components):
    groups = members(*components)
    ledger, rejected = minted(groups)
    assert not rejected
    assert ledger.keys() == {member.image_id for member in groups}
    for component in components:
        entries = [ledger[image_id(number)] for number in component]
        assert len({(entry.group_id, entry.split) for entry in entries}) == 1
    assert len({entry.group_id for entry in ledger.values()}) == len(components)
    assert places(minted(reversed(groups), at=LATER)[0]) == places(ledger)
    assert minted(groups, ledger) == ({}, [])


@given(partitions, st.data())
def test_nothing_moves_when_data_grows(components, data):
    count = data.draw(st.integers(0, len(components)))
    first, _ = minted(members(*components[:count]))
    joined = [
        [*component, *([20_000 + index] if data.draw(st.booleans()) else [])]
        for index, component in enumerate(components)
    ]
    new, rejected = minted(members(*joined), first, at=LATER)
    assert not rejected
    assert not new.keys() & first.keys()
    ledger = first | new
    for index, component in enumerate(joined):
        assert len({ledger[image_id(number)].split for number in component}) == 1
        assert len({ledger[image_id(number)].group_id for number in component}) == 1, index
    if first and new:
        assert min(e.image_shard for e in new.values()) > max(e.image_shard for e in first.values())


@given(partitions, st.data())
def test_minting_at_once_or_piece_by_piece_gives_the_same_splits(components, data):
    count = data.draw(st.integers(0, len(components)))
    first, _ = minted(members(*components[:count]))
    rest, _ = minted(members(*components), first)
    whole, _ = minted(members(*components))
    both = first | rest
    assert {key: (e.group_id, e.split) for key, e in both.items()} == {
        key: (e.group_id, e.split) for key, e in whole.items()
    }


def test_shards_are_filled_in_order_of_image_id():
    ledger, _ = minted(members(*([number] for number in range(1, 8))))
    in_order = [ledger[key].image_shard for key in sorted(ledger)]
    assert in_order == [0, 0, 0, 1, 1, 1, 2]


def test_shares_hold_over_many_groups():
    ledger, _ = minted(members(*([number] for number in range(1, 4001))))
    splits = [entry.split for entry in ledger.values()]
    assert abs(splits.count("train") / 4000 - 0.8) < 0.03
    assert abs(splits.count("test") / 4000 - 0.1) < 0.02


def test_another_seed_draws_other_splits():
    groups = members(*([number] for number in range(1, 200)))
    other = LedgerParams(seed="other")
    assert {k: e.split for k, e in minted(groups)[0].items()} != {
        k: e.split for k, e in minted(groups, params=other)[0].items()
    }


def placed(split: str, count: int = 1) -> list[int]:
    """Numbers of images that are minted into this split, each a group of its own."""
    single, _ = minted(members(*([number] for number in range(1, 100))))
    return [n for n in range(1, 100) if single[image_id(n)].split == split][:count]


@pytest.mark.parametrize("bridge", [[500], []])
@pytest.mark.parametrize(
    ("merged", "kept"),
    [(("train", "test"), "test"), (("train", "val"), "val"), (("train", "val", "test"), "test")],
)
def test_where_groups_merge_across_splits_one_split_keeps_its_images(merged, kept, bridge):
    single, _ = minted(members(*([number] for number in range(1, 100))))
    known = {split: placed(split, 2) for split in merged}
    component = [*(number for numbers in known.values() for number in numbers), *bridge]
    new, rejected = minted(members(component, [600]), single)
    assert new.keys() == {image_id(600)}
    waiting = {n for split, numbers in known.items() if split != kept for n in numbers} | {*bridge}
    assert [one.item_id for one in rejected] == sorted(map(image_id, waiting))
    assert {one.reason for one in rejected} == {Reason.SPLIT_CONFLICT}
    assert f"images in {' and in '.join(sorted(merged))}" in rejected[0].detail
    assert kept_out(members(component, [600]), single | new) == rejected
    # Found apart again, all but the bridge are where they were.
    apart = members(*([number] for number in component if number not in bridge), [600])
    assert kept_out(apart, single | new) == []


def test_a_bridge_within_a_split_joins_the_smaller_group_id():
    single, _ = minted(members(*([number] for number in range(1, 100))))
    a, b = [n for n in range(1, 100) if single[image_id(n)].split == "train"][:2]
    new, rejected = minted(members([a, b, 500]), single)
    assert not rejected
    assert new[image_id(500)].group_id == min(
        single[image_id(a)].group_id, single[image_id(b)].group_id
    )
    assert new[image_id(500)].split == "train"


def test_shares_must_sum_to_one():
    with pytest.raises(ValidationError, match="sum to 1"):
        LedgerParams(train=0.9, val=0.2, test=0.1)
