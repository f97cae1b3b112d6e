"""The test series: what a release begins it with stays, and nothing comes to it."""

import pytest

from curation.gates import SelectParams
from curation.ledger import LedgerParams, mint
from curation.records import Attribution, GroupMember
from curation.select import select
from curation.series import begin_series
from curation.split import content_digest, split
from mirrorset.files import read_parts, write_records
from mirrorset.records import DatasetItem, LedgerEntry, utc_now


def entry(number: int, side: str, **fields) -> LedgerEntry:
    return LedgerEntry(
        image_id=f"{number:064x}",
        group_id=str(number),
        split=side,
        image_shard=0,
        minted_at=utc_now(),
        **fields,
    )


@pytest.fixture
def item_of(portraits):
    def item(place: LedgerEntry) -> DatasetItem:
        return DatasetItem(
            **place.model_dump(exclude={"minted_at", "earlier_series"}),
            annotation=portraits[0].annotation,
        )

    return item


def begun(name, items, ledger):
    """The ledger after the series has begun."""
    changed = begin_series(name, items, ledger.values)
    return ledger | {one.image_id: one for one in changed}


def members(ledger):
    return {int(key, 16) for key, one in ledger.items() if one.test_series}


def test_it_is_the_test_split_as_it_was_released(item_of):
    ledger = {one.image_id: one for one in (entry(1, "train"), entry(2, "test"), entry(3, "test"))}
    # 3 is in the test split and was not released: nobody had looked at its labels, perhaps.
    released = map(item_of, (entry(1, "train"), entry(2, "test")))
    first = begun("1", released, ledger)
    assert members(first) == {2}
    assert first[entry(2, "test").image_id].series_images == 1


def test_growth_does_not_enter_it_and_a_new_one_takes_its_place(item_of):
    old = [entry(1, "train"), entry(2, "test"), entry(3, "test")]
    ledger = begun("1", map(item_of, old), {one.image_id: one for one in old})
    grown = ledger | {one.image_id: one for one in (entry(4, "test"), entry(5, "val"))}
    assert not list(begin_series("1", map(item_of, grown.values()), grown.values))
    assert members(grown) == {2, 3}

    # 2 has left the release since, as one in quarantine does.
    released = [one for one in grown.values() if one.image_id != entry(2, "test").image_id]
    anew = begun("2027", map(item_of, released), grown)
    assert members(anew) == {3, 4}
    assert {(one.test_series, one.series_images) for one in anew.values()} == {
        ("", 0),
        ("2027", 2),
    }
    assert {key: one.split for key, one in anew.items()} == {
        key: one.split for key, one in grown.items()
    }

    # A name never means other images: the first series comes back as it was, and the second again.
    back = begun("1", map(item_of, released), anew)
    assert members(back) == {2, 3}
    assert {one.series_images for one in back.values() if one.test_series} == {2}
    again = begun("2027", map(item_of, released), back)
    assert members(again) == {3, 4}


def test_none_begins_without_a_test_image(item_of):
    ledger = {one.image_id: one for one in (entry(1, "train"), entry(2, "val"))}
    assert not list(begin_series("1", map(item_of, ledger.values()), ledger.values))


@pytest.fixture
def released(portraits, snapshot_of, tmp_path):
    """Places portraits, all in the test split, by a ledger that is kept; returns the items."""
    ledger: dict[str, LedgerEntry] = {}
    params = LedgerParams(train=0, val=0, test=1)

    def place(chosen, series):
        ids = sorted(one.image.image_id for one in chosen)
        groups = [GroupMember(image_id=image_id, key=image_id) for image_id in ids]
        ledger.update({one.image_id: one for one in mint(groups, ledger, params, utc_now())[0]})
        for _ in range(2):
            snapshot = snapshot_of(chosen, ledger=ledger.values())
            select(snapshot, tmp_path, "research", SelectParams())
            write_records(tmp_path / "groups/00000.jsonl", groups)
            split(snapshot, tmp_path, is_unreviewed=True)
            items = list(read_parts(tmp_path / "items", DatasetItem))
            ledger.update(begun(series, items, ledger))
        attributions = read_parts(tmp_path / "attributions", Attribution)
        return items, content_digest(items, attributions, "research")

    return place


def test_a_release_knows_its_series_and_a_new_one_is_new_content(released, portraits):
    first, digest = released(portraits[:3], "1")
    assert {(one.test_series, one.series_images) for one in first} == {("1", 3)}
    grown, _ = released(portraits[1:5], "1")
    assert sorted(one.test_series for one in grown) == ["", "", "1", "1"]
    assert released(portraits[:3], "1") == (first, digest)
    anew, other = released(portraits[:3], "2")
    assert {(one.test_series, one.series_images) for one in anew} == {("2", 3)}
    assert other != digest
