"""A release that would be measured on what it learnt is refused, whatever let it through."""

import pytest

from curation.leakage import Leakage, leakage, refuse
from curation.records import GroupMember
from mirrorset.errors import GateError
from mirrorset.files import write_records
from mirrorset.records import DatasetItem

NOTHING = Leakage(near_duplicate_pairs=0, groups=0, authors=0, subjects=0)


@pytest.fixture
def leaking(portraits, snapshot_of, tmp_path):
    """Counts what leaks of four images, two in train, one in val, one in test."""

    def count(
        keys="0123", groups="0123", authors="ABCD", subjects=("", "", "", ""), shows_author=True
    ):
        people = [
            one.but(author=author, shows_author=shows_author)
            for one, author in zip(portraits, authors, strict=False)
        ]
        ids = [one.image.image_id for one in people]
        snapshot = snapshot_of(people)
        write_records(
            snapshot / "sightings/00000.jsonl",
            [
                one.sighting.model_copy(update={"subject_ids": tuple(subject.split())})
                for one, subject in zip(people, subjects, strict=True)
            ],
        )
        write_records(
            tmp_path / "items/00000.jsonl",
            [
                DatasetItem(
                    image_id=one.image.image_id,
                    group_id=group,
                    split=split,
                    image_shard=0,
                    annotation=one.annotation,
                )
                for one, group, split in zip(
                    people, groups, ("train", "train", "val", "test"), strict=True
                )
            ],
        )
        write_records(
            tmp_path / "groups/00000.jsonl",
            [
                GroupMember(image_id=image_id, key=ids[int(key)])
                for image_id, key in zip(ids, keys, strict=True)
            ],
        )
        return leakage(snapshot, tmp_path)

    return count


def test_what_lies_in_one_split_does_not_leak(leaking):
    assert leaking(keys="0023", groups="0023", authors="AABC", subjects=("p", "p q", "", "r")) == (
        NOTHING
    )
    refuse(NOTHING)


@pytest.mark.parametrize(
    ("found", "name", "count"),
    [
        # Both images of train with that of val, and that of val with that of test.
        ({"keys": "0003"}, "near_duplicate_pairs", 2),
        ({"keys": "0000"}, "near_duplicate_pairs", 5),
        ({"groups": "0020"}, "groups", 1),
        ({"authors": "ABBA"}, "authors", 2),
        ({"authors": ("Jane Doe", "A", " jane  DOE", "B")}, "authors", 1),
        ({"subjects": ("p", "", "p q", "q")}, "subjects", 2),
    ],
)
def test_what_lies_in_two_splits_is_counted_and_refused(leaking, found, name, count):
    leaks = leaking(**found)
    assert leaks == NOTHING.model_copy(update={name: count})
    with pytest.raises(GateError, match=rf"^No release: {count} {name.replace('_', ' ')} would"):
        refuse(leaks)


def test_one_photographer_of_many_people_does_not_leak(leaking):
    assert leaking(authors="AAAA", shows_author=False) == NOTHING


def test_what_nobody_is_named_for_does_not_leak(leaking):
    assert leaking(authors=("", "", "Unknown author", "unknown author")) == NOTHING
