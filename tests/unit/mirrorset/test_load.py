"""The reader on hand-made folders; tests/unit/curation reads what `build` writes."""

import json
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mirrorset
from mirrorset.errors import InputError, IntegrityError, SettingsError
from mirrorset.load import UnreviewedWarning

CARD = {
    "name": "faces",
    "version": "1.0.0",
    "digest": "d" * 64,
    "intended_use": "research",
    "images": 1,
    "groups": 1,
    "splits": {"train": 1, "val": 0, "test": 0},
    "unreviewed": 1,
    "files": {"labels/train-00000.parquet": "0" * 64},
}
ROW = {
    "image_id": "a" * 64,
    "split": "train",
    "group_id": "g",
    "image_shard": 0,
    "width_px": 2,
    "height_px": 3,
    "faces": [],
    "tags": [{"name": "lighting", "value": "left"}],
    "masks": [],
    "origin": "model",
    "by": "research",
    "models": [],
    "schema_version": "1",
    "made_at": "2026-01-01T00:00:00Z",
    "licence_code": "PD",
    "licence_version": "",
    "licence_url": "",
    "author": "Nobody",
    "source": "museum",
    "source_item_id": "1",
    "page_url": "https://example.org/1",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "release.json").write_text(json.dumps(CARD))
    pq.write_table(pa.Table.from_pylist([ROW]), tmp_path / "labels" / "train-00000.parquet")
    return tmp_path


def test_items_are_typed_and_can_be_read_twice(folder):
    release = mirrorset.load(folder)
    (item,) = release
    assert list(release) == [item]
    assert (item.split, item.annotation.tags, item.licence.code) == (
        "train",
        {"lighting": "left"},
        "PD",
    )
    assert not item.is_reviewed
    assert item.faces == ()


def test_a_split_has_its_own_length_and_items(folder):
    assert (
        len(mirrorset.load(folder, split="train"))
        == len(list(mirrorset.load(folder, split="train")))
        == 1
    )
    assert (
        len(mirrorset.load(folder, split="val"))
        == len(list(mirrorset.load(folder, split="val")))
        == 0
    )


def test_an_unknown_split_is_named(folder):
    with pytest.raises(SettingsError, match="'dev'"):
        mirrorset.load(folder, split="dev")


def test_a_folder_without_release_json(tmp_path):
    with pytest.raises(InputError, match=r"no release\.json"):
        mirrorset.load(tmp_path)
    with pytest.raises(InputError, match=r"no release\.json"):
        mirrorset.load(tmp_path / "absent")


def test_a_card_of_another_version(folder):
    (folder / "release.json").write_text(json.dumps(CARD | {"surprise": 1}))
    with pytest.raises(InputError, match="surprise"):
        mirrorset.load(folder)


def test_missing_shards_ask_for_dvc_pull(folder):
    (item,) = mirrorset.load(folder)
    with pytest.raises(InputError, match=r"images/00000\.parquet does not exist: run `dvc pull`"):
        item.rgb()
    (folder / "labels" / "train-00000.parquet").unlink()
    with pytest.raises(InputError, match=r"train-00000\.parquet does not exist"):
        list(mirrorset.load(folder))
    with pytest.raises(InputError, match="does not exist"):
        mirrorset.load(folder).verify()


def test_damage_is_found(folder):
    with pytest.raises(IntegrityError, match="has changed"):
        mirrorset.load(folder).verify()
    labels = folder / "labels" / "train-00000.parquet"
    labels.write_bytes(labels.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="not a whole Parquet file"):
        list(mirrorset.load(folder))


def test_a_shard_that_lacks_the_image(folder):
    (folder / "images").mkdir()
    other = {"image_id": "b" * 64, "bytes": b""}
    pq.write_table(pa.Table.from_pylist([other]), folder / "images" / "00000.parquet")
    (item,) = mirrorset.load(folder)
    with pytest.raises(IntegrityError, match="lacks image a"):
        item.content()


def test_a_release_declared_unreviewed_says_so_when_its_test_split_is_loaded(folder):
    (folder / "release.json").write_text(json.dumps(CARD | {"is_unreviewed": True}))
    for split in (None, "test"):
        with pytest.warns(UnreviewedWarning, match="no person has looked at"):
            mirrorset.load(folder, split=split)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mirrorset.load(folder, split="train")
        (folder / "release.json").write_text(json.dumps(CARD))
        mirrorset.load(folder)
