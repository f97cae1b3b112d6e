"""croissant.json against its specification's own reader, mlcroissant."""

import hashlib
import json
from datetime import timedelta

import mlcroissant
import pyarrow.parquet as pq
import pytest

import mirrorset
from curation.labels import LABELS
from mirrorset.pixels import decode


@pytest.fixture
def folder(portraits, release_of, tmp_path):
    reviewed = portraits[0].but(origin="human", licence="CC0 1.0")
    release_of([reviewed, *portraits[1:5]], "1.0.0", contact="faces@example.org")
    return tmp_path / "releases" / "1.0.0"


@pytest.fixture
def described(folder):
    return json.loads((folder / "croissant.json").read_text())


def records(folder, name):
    """The records of a set as mlcroissant reads them; keys without the name of the set."""
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    return [_plain(record, f"{name}/") for record in dataset.records(name)]


def _plain(value, prefix):
    if isinstance(value, dict):
        return {key.removeprefix(prefix): _plain(one, prefix) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, prefix) for one in value]
    return value.decode() if isinstance(value, bytes) else value


def test_mlcroissant_finds_no_fault(folder, described):
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    # The specification has citeAs among what is optional.
    assert [warning for warning in issues.warnings if "citeAs" not in warning] == []
    assert described["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert str(dataset.metadata.version) == "1.0.0"


def test_every_file_is_named_with_its_checksum(folder, described):
    files = {one["@id"]: one for one in described["distribution"] if one["@type"] != "cr:FileSet"}
    card = mirrorset.load(folder).card
    assert files.keys() == card.files.keys() - {"croissant.json"}
    for name, file in files.items():
        sha256 = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert file["sha256"] == card.files[name] == sha256


def test_pictures_load(folder):
    rows = {row["image_id"]: row for row in pq.read_table(folder / "images").to_pylist()}
    loaded = records(folder, "images")
    assert len(loaded) == len(rows) == 5
    for record in loaded:
        row = rows[record["image_id"]]
        assert record["bytes"].size == decode(row["bytes"]).shape[1::-1]
        assert record["media_type"] == row["media_type"]
        assert (record["width_px"], record["height_px"]) == (row["width_px"], row["height_px"])


def test_labels_load_as_the_reader_has_them(folder):
    items = {item.image_id: item for item in mirrorset.load(folder)}
    loaded = records(folder, "labels")
    assert {record["image_id"] for record in loaded} == items.keys()
    for record in loaded:
        item = items[record["image_id"]]
        assert record["split"] == item.split
        assert record["licence_code"] == item.licence.code
        assert record["origin"] == item.annotation.origin
        assert abs(record["made_at"] - item.annotation.made_at) < timedelta(milliseconds=1)
        assert record["tags"] == [{"tags/name": "lighting", "tags/value": "left"}]
        (mask,) = item.annotation.masks
        assert record["masks"][0]["masks/rle"] == list(mask.rle)
        (face,), (read,) = item.faces, record["faces"]
        assert tuple(read["faces/box"]) == face.box
        assert read["faces/pose/yaw_deg"] == face.pose.yaw_deg
        assert read["faces/uncertainty"] is face.uncertainty is None
        assert read["faces/quality/sharpness"] == face.quality.sharpness
        points = face.landmarks["ibug68"].points
        assert [tuple(point) for point in read["faces/landmarks/points"]] == list(points)
        assert len(read) == len([*_leaves(LABELS.field("faces").type.value_type)])


def _leaves(kind):
    for field in kind:
        inner = field.type
        while hasattr(inner, "value_type"):
            inner = inner.value_type
        yield from _leaves(inner) if hasattr(inner, "num_fields") and inner.num_fields else (field,)


def test_it_says_what_is_known_and_leaves_out_what_is_not(described):
    assert described["license"] == [
        "https://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/publicdomain/zero/1.0/",
    ]
    assert "4 of 5 images" in described["rai:dataAnnotationProtocol"][0]
    assert described["rai:dataAnnotationPlatform"] == ["CVAT"]
    assert "faces@example.org" in described["rai:dataReleaseMaintenancePlan"]
    assert described["rai:machineAnnotationTools"] == ["mesh aaaaaaaaaaaa (Apache-2.0)"]
    assert "url" not in described
    assert "creator" not in described
    assert described["datePublished"] == "2026-01-02"


def test_who_answers_and_the_page_are_named(portraits, release_of, tmp_path):
    release_of(portraits[:2], "1.0.0", url="https://example.org/faces", controller="Example Lab")
    described = json.loads((tmp_path / "releases/1.0.0/croissant.json").read_text())
    assert described["url"] == "https://example.org/faces"
    assert described["creator"]["name"] == "Example Lab"
    assert "rai:dataAnnotationPlatform" not in described
