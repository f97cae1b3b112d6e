import csv
import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image

import mirrorset
from curation.build import build
from curation.labels import LABELS, write_labels
from curation.records import Attribution
from curation.split import content_digest
from mirrorset.errors import InputError, UnavailableError
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import decode
from mirrorset.records import DatasetItem

SPLITS = ("train", "val", "test")


def bytes_by_name(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_the_folder_is_complete_and_named_in_the_card(portraits, release_of, tmp_path):
    card = release_of(portraits[:5], "1.0.0")
    folder = tmp_path / "releases" / "1.0.0"
    on_disk = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert on_disk == {*card.files, "release.json"}
    assert {"labels.json", "ATTRIBUTION.csv", "DATASHEET.md"} < on_disk
    assert len([name for name in on_disk if name.startswith("images/")]) == 3
    assert len([name for name in on_disk if name.startswith("labels/")]) == 9
    for name, sha256 in card.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    assert (card.images, card.groups, sum(card.splits.values())) == (5, 5, 5)
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_every_label_comes_back_as_it_went_in(portraits, release_of, tmp_path):
    card = release_of(portraits[:5], "1.0.0")
    annotations = {portrait.image.image_id: portrait.annotation for portrait in portraits[:5]}
    by_id = {
        portrait.image.image_id: Attribution(image=portrait.image, sighting=portrait.sighting)
        for portrait in portraits[:5]
    }
    items = list(mirrorset.load(tmp_path / "releases" / "1.0.0"))
    assert {item.image_id: item.annotation for item in items} == annotations
    items = [
        DatasetItem(
            image_id=item.image_id,
            group_id=item.group_id,
            split=item.split,
            image_shard=item.image_shard,
            annotation=item.annotation,
        )
        for item in items
    ]
    attributions = [by_id[item.image_id] for item in items]
    assert card.digest == content_digest(items, attributions, "research")


def test_image_shards_hold_stripped_bytes_with_the_same_pixels(portraits, release_of, tmp_path):
    release_of(portraits[:3], "1.0.0")
    originals = {portrait.image.image_id: portrait.content for portrait in portraits[:3]}
    table = pq.read_table(tmp_path / "releases" / "1.0.0" / "images").to_pylist()
    assert {row["image_id"] for row in table} == originals.keys()
    for row in table:
        rgb = decode(row["bytes"])
        assert np.array_equal(rgb, decode(originals[row["image_id"]]))
        assert rgb.shape == (row["height_px"], row["width_px"], 3)


def test_a_release_holds_no_place_and_no_device(portraits, release_of, tmp_path):
    trace = "SN-0123456789"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = trace
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.BodySerialNumber] = trace
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (51.0, 30.0, 26.0)
    portrait = portraits[0].but(
        picture=portraits[0].picture.crop((0, 0, 400, 300)),
        encoding={"format": "JPEG", "exif": exif, "comment": trace},
    )
    assert trace.encode() in portrait.content
    release_of([portrait], "1.0.0")
    folder = tmp_path / "releases" / "1.0.0"
    assert not [path for path in folder.rglob("*.*") if trace.encode() in path.read_bytes()]
    (row,) = pq.read_table(folder / "images").to_pylist()
    # Named by its original bytes; what it shows is as it was, and upright for every reader.
    assert row["image_id"] == hashlib.sha256(portrait.content).hexdigest()
    assert (row["width_px"], row["height_px"]) == (300, 400)
    with Image.open(io.BytesIO(row["bytes"])) as picture:
        assert not picture.getexif()
        assert picture.size == (300, 400)
        shown = np.asarray(picture)
    (item,) = mirrorset.load(folder)
    assert np.array_equal(item.rgb(), shown)
    # Encoded anew, at high quality.
    assert np.abs(shown.astype(int) - decode(portrait.content)).mean() < 3


def test_relabelling_leaves_image_shards_byte_identical(portraits, release_of, tmp_path):
    first = release_of(portraits[:5], "1.0.0")
    human = [portrait.but(origin="human") for portrait in portraits[:5]]
    second = release_of(human, "1.1.0")
    assert first.digest != second.digest
    assert (first.unreviewed, second.unreviewed) == (5, 0)
    old, new = (tmp_path / "releases" / version for version in ("1.0.0", "1.1.0"))
    assert bytes_by_name(old / "images") == bytes_by_name(new / "images")
    assert bytes_by_name(old / "labels") != bytes_by_name(new / "labels")


def test_growing_leaves_old_shards_and_splits(portraits, release_of, tmp_path):
    release_of(portraits[:4], "1.0.0")
    release_of(portraits[:8], "1.1.0")
    old, new = (tmp_path / "releases" / version for version in ("1.0.0", "1.1.0"))
    for kind in ("images", "labels"):
        before, after = bytes_by_name(old / kind), bytes_by_name(new / kind)
        assert len(after) == 2 * len(before)
        assert {name: after[name] for name in before} == before

    def places(folder):
        return {item.image_id: (item.group_id, item.split) for item in mirrorset.load(folder)}

    assert places(old).items() < places(new).items()


def test_the_same_input_gives_the_same_bytes(portraits, release_of, tmp_path):
    first = release_of(portraits[:4], "1.0.0", controller="Someone")
    again = release_of(list(reversed(portraits[:4])), "1.0.0", controller="Someone")
    assert first == again


def test_labels_json_names_what_the_labels_hold(portraits, release_of, tmp_path):
    release_of(portraits[:3], "1.0.0")
    labels = json.loads((tmp_path / "releases" / "1.0.0" / "labels.json").read_text())
    schema = labels["landmarks"]["ibug68"]
    assert len(schema["names"]) == len(schema["mirror"]) == 68
    assert schema["outer_eye_corners"] == [36, 45]
    assert labels["attributes"] == {"occlusion": ["none"]}
    assert labels["tags"] == {"lighting": ["left"]}
    assert labels["masks"] == ["person"]


def test_attribution_names_every_image(portraits, release_of, tmp_path):
    odd = portraits[1].but(author='Ann "A", née O\'Neil\nLtd', licence="CC0")
    release_of([portraits[0], odd], "1.0.0")
    with (tmp_path / "releases" / "1.0.0" / "ATTRIBUTION.csv").open(newline="") as lines:
        rows = {row["image_id"]: row for row in csv.DictReader(lines)}
    assert rows.keys() == {portrait.image.image_id for portrait in (portraits[0], odd)}
    row = rows[odd.image.image_id]
    assert (row["author"], row["licence"], row["source"]) == (odd.author, "CC0 1.0", "gallery")
    assert row["licence_url"].startswith("https://creativecommons.org/publicdomain/zero")


def test_no_author_runs_in_a_spreadsheet(portraits, release_of, tmp_path):
    formula = '=HYPERLINK("https://example.org";"Ann")'
    release_of([portraits[0].but(author=formula)], "1.0.0")
    with (tmp_path / "releases" / "1.0.0" / "ATTRIBUTION.csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert row["author"] == f"'{formula}"


def test_the_datasheet_says_unreviewed_plainly(portraits, release_of, tmp_path):
    sheet = tmp_path / "releases" / "1.0.0" / "DATASHEET.md"
    release_of(portraits[:4], "1.0.0", contact="faces@example.org", retention_days=730)
    text = sheet.read_text()
    assert "**Unreviewed.** No person has looked at any label" in text
    assert "**This release is declared unreviewed**" in text
    assert "- Contact: faces@example.org" in text
    assert "- Controller: not stated" in text
    assert "- Retention days: 730" in text
    assert "| mesh | aaaaaaaaaaaa | Apache-2.0 | yes |" in text
    # Four images: every filled slice is below ten.
    assert "| frontal | – | 0 | 0 | 0 |" in text
    assert "| likely | 0 |" in text
    assert "| unknown | – |" in text
    release_of([portraits[0].but(origin="human"), *portraits[1:4]], "1.0.0")
    assert "Partly unreviewed" in sheet.read_text()
    release_of([portrait.but(origin="gold") for portrait in portraits[:4]], "1.0.0")
    assert "nreviewed.**" not in sheet.read_text()
    assert "declared unreviewed" not in sheet.read_text()


def test_nothing_to_release_is_said(release_of, tmp_path):
    with pytest.raises(InputError, match="no image to release"):
        release_of([], "1.0.0")
    assert not list((tmp_path / "releases").iterdir())


def test_a_missing_original_leaves_the_old_release(portraits, release_of, blobs, tmp_path):
    card = release_of(portraits[:2], "1.0.0")
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    with pytest.raises(UnavailableError, match="is not there"):
        build(
            tmp_path / "work",
            blobs,
            tmp_path / "releases" / "1.0.0",
            dataset=DatasetParams(intended_use="commercial"),
            version="1.0.0",
            responsible=Responsible(),
        )
    assert mirrorset.load(tmp_path / "releases" / "1.0.0").card == card


def test_a_release_keeps_its_bytes_whatever_is_said_of_it_since(portraits, release_of, tmp_path):
    folder = tmp_path / "releases" / "1.0.0"
    first = release_of(portraits[:3], "1.0.0")
    before = contents(folder)
    assert release_of(portraits[:3], "1.0.0", url="https://example.org/faces") == first
    assert contents(folder) == before
    damaged = next(iter((folder / "labels").glob("*.parquet")))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = release_of(portraits[:3], "1.0.0", url="https://example.org/faces")
    assert again.digest == first.digest
    assert contents(folder) != before
    assert release_of(portraits[:2], "1.0.0").digest != first.digest


def test_tone_and_age_band_go_with_no_image(portraits, release_of, tmp_path):
    tags = {"tone": "dark", "age_band": "18-29", "glasses": "none"}
    portrait = portraits[0].but(origin="human", tags=tags)
    release_of([portrait, portraits[1]], "1.0.0")
    folder = tmp_path / "releases" / "1.0.0"
    told = {item.image_id: item.annotation.tags for item in mirrorset.load(folder)}
    assert told[portrait.image.image_id] == {"glasses": "none"}
    assert json.loads((folder / "labels.json").read_text())["tags"] == {
        "glasses": ["none"],
        "lighting": ["left"],
    }


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_an_empty_label_shard_has_all_columns(tmp_path):
    write_labels(tmp_path / "labels" / "val-00000.parquet", [])
    table = pq.read_table(tmp_path / "labels" / "val-00000.parquet")
    assert table.num_rows == 0
    assert table.schema.equals(LABELS)
    assert not any(pa.types.is_null(field.type) for field in table.schema)
