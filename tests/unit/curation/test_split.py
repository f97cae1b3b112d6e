import pytest

from curation.gates import SelectParams
from curation.ledger import LedgerParams, mint
from curation.records import Attribution, GroupMember
from curation.select import select
from curation.split import content_digest, split
from mirrorset.errors import InputError
from mirrorset.files import read_parts, read_records, write_records
from mirrorset.licences import normalise
from mirrorset.records import DatasetItem, LedgerEntry, Reason, Rejected, utc_now


@pytest.fixture
def members(portraits):
    ids = sorted(portrait.image.image_id for portrait in portraits[:5])
    return [GroupMember(image_id=image_id, key=image_id) for image_id in ids]


@pytest.fixture
def entries(members):
    return list(mint(members, {}, LedgerParams(images_per_shard=2), utc_now())[0])


def prepare(snapshot, work, members):
    select(snapshot, work, "research", SelectParams())
    write_records(work / "groups/00000.jsonl", members)


def test_items_follow_the_ledger_in_order_of_shards(
    portraits, snapshot_of, members, entries, tmp_path
):
    # The last shard holds the smallest id, as it does when data has grown.
    entries[0] = entries[0].model_copy(update={"image_shard": 9})
    snapshot = snapshot_of(portraits[:5], ledger=entries)
    prepare(snapshot, tmp_path, members)
    assert split(snapshot, tmp_path, is_unreviewed=True).kept == 5
    items = list(read_parts(tmp_path / "items", DatasetItem))
    attributions = list(read_parts(tmp_path / "attributions", Attribution))
    assert [item.image_shard for item in items] == [0, 1, 1, 2, 9]
    assert [item.image_id for item in items] == [
        attribution.image.image_id for attribution in attributions
    ]
    by_id = {entry.image_id: entry for entry in entries}
    for item in items:
        entry = by_id[item.image_id]
        assert (item.split, item.group_id) == (entry.split, entry.group_id)
        assert item.annotation.image_id == item.image_id


def test_an_image_without_an_entry_asks_for_the_flow(
    portraits, snapshot_of, members, entries, tmp_path
):
    snapshot = snapshot_of(portraits[:5], ledger=entries[1:])
    prepare(snapshot, tmp_path, members)
    with pytest.raises(InputError, match="mirrorset release"):
        split(snapshot, tmp_path, is_unreviewed=True)


def test_conflicting_images_are_rejected(portraits, snapshot_of, members, entries, tmp_path):
    new, train, test = (member.image_id for member in members[:3])
    sides: dict[str, str] = {train: "train", test: "test"}
    ledger = [
        LedgerEntry.model_validate(
            entry.model_dump() | {"split": sides.get(entry.image_id, entry.split)}
        )
        for entry in entries
        if entry.image_id != new
    ]
    bridged = [
        member.model_copy(update={"key": new}) if member.image_id in (new, train, test) else member
        for member in members
    ]
    snapshot = snapshot_of(portraits[:5], ledger=ledger)
    prepare(snapshot, tmp_path, bridged)
    counts = split(snapshot, tmp_path, is_unreviewed=True)
    assert (counts.kept, counts.rejected) == (3, {Reason.SPLIT_CONFLICT: 2})
    rejected = read_records(tmp_path / "conflicts.jsonl", Rejected)
    # The new one and that of train wait, that of test stays.
    assert [one.item_id for one in rejected] == sorted((new, train))


def test_no_unreviewed_label_enters_the_test_split_undeclared(
    portraits, snapshot_of, members, entries, tmp_path
):
    origins = ["model", "human", "gold", "model", "model"]
    by_id = {portrait.image.image_id: portrait for portrait in portraits[:5]}
    ordered = [by_id[member.image_id] for member in members]
    people = [one.but(origin=origin) for one, origin in zip(ordered, origins, strict=True)]
    sides = ["test", "test", "test", "train", "val"]
    ledger = [
        entry.model_copy(update={"split": side}) for entry, side in zip(entries, sides, strict=True)
    ]
    snapshot = snapshot_of(people, ledger=ledger)
    prepare(snapshot, tmp_path, members)
    counts = split(snapshot, tmp_path, is_unreviewed=False)
    assert (counts.kept, counts.rejected) == (4, {Reason.UNREVIEWED: 1})
    (rejected,) = read_records(tmp_path / "conflicts.jsonl", Rejected)
    assert (rejected.item_id, rejected.step) == (members[0].image_id, "split")
    items = list(read_parts(tmp_path / "items", DatasetItem))
    attributions = list(read_parts(tmp_path / "attributions", Attribution))
    assert [item.image_id for item in items] == [one.image.image_id for one in attributions]
    assert all(item.annotation.origin != "model" for item in items if item.split == "test")
    assert {item.split for item in items if item.annotation.origin == "model"} == {"train", "val"}
    # Declared, it comes in, at the place that was kept for it.
    assert split(snapshot, tmp_path, is_unreviewed=True).kept == 5


def test_the_digest_is_over_content_alone(portraits, members, entries):
    by_id = {portrait.image.image_id: portrait for portrait in portraits[:5]}
    items = [
        DatasetItem(
            image_id=entry.image_id,
            group_id=entry.group_id,
            split=entry.split,
            image_shard=entry.image_shard,
            annotation=by_id[entry.image_id].annotation,
        )
        for entry in entries
    ]
    attributions = [
        Attribution(image=by_id[item.image_id].image, sighting=by_id[item.image_id].sighting)
        for item in items
    ]

    def digest_of(items, attributions=attributions, use="research"):
        return content_digest(items, attributions, use)

    digest = digest_of(items)
    assert digest_of(reversed(items), reversed(attributions)) == digest
    assert digest_of(items, use="commercial") != digest

    def changed(item, **annotation):
        update = {"annotation": item.annotation.model_copy(update=annotation)}
        return item.model_copy(update=update)

    later = [changed(item, made_at=utc_now()) for item in items]
    assert digest_of(later) == digest
    for change in ({"faces": ()}, {"tags": {}}, {"masks": ()}, {"models": ()}, {"origin": "human"}):
        assert digest_of([changed(items[0], **change), *items[1:]]) != digest
    for change in ({"split": "val" if items[0].split != "val" else "test"}, {"group_id": "x"}):
        assert digest_of([items[0].model_copy(update=change), *items[1:]]) != digest
    assert digest_of(items[1:], attributions[1:]) != digest

    def seen_otherwise(**sighting):
        update = {"sighting": attributions[0].sighting.model_copy(update=sighting)}
        return [attributions[0].model_copy(update=update), *attributions[1:]]

    page = attributions[0].sighting.page_url
    for change in ({"seen_at": utc_now()}, {"page_url": page.replace(":8080", ":9")}):
        assert digest_of(items, seen_otherwise(**change)) == digest
    evidence = attributions[0].sighting.evidence.model_copy(update={"licence_text": "all mine"})
    for change in (
        {"licence": normalise("CC BY-NC 2.0")},
        {"author": "B. Another"},
        {"source": "museum"},
        {"source_item_id": "x"},
        {"page_url": page + "/x"},
        {"evidence": evidence},
    ):
        assert digest_of(items, seen_otherwise(**change)) != digest
