"""Conversions are read back by libraries that know nothing of this project.

COCO by pycocotools, 300-W by menpo (of the group that made the markup), WebDataset by webdataset.
YOLO pose has no light reader: Ultralytics' own needs PyTorch, so here the lines are held against
the published layout.
"""

import csv
import json

import menpo.io
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
import yaml
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from curation.convert import convert
from curation.images import IMAGES
from faces.schema import load_schema
from flows.cli import app
from mirrorset.errors import IntegrityError, SettingsError
from mirrorset.load import open_release

SCHEMA = load_schema("ibug68")


def turned(portrait):
    """The portrait as a camera held upright stores it: lying, with EXIF that says so."""
    lying = portrait.picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    encoding = {"format": "JPEG", "quality": 92, "exif": exif}
    return portrait.but(picture=lying, encoding=encoding)


@pytest.fixture
def release(portraits, release_of, tmp_path):
    """Five portraits: one turned by EXIF, one with a point outside, one under another licence."""
    outside = portraits[1].five.copy()
    outside[4] = (-3.0, 7.0)
    several = [
        turned(portraits[0]),
        portraits[1].but(five=outside),
        portraits[2].but(licence="CC0"),
        *portraits[3:5],
    ]
    release_of(several, "1.0.0")
    return open_release(tmp_path / "releases" / "1.0.0")


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def points_of(item):
    return np.array(item.faces[0].landmarks["ibug68"].points)


def test_coco_is_read_back_by_pycocotools(release, tmp_path):
    convert(release, tmp_path / "coco", "coco")
    seen = set()
    for split in release.card.splits:
        items = {item.image_id: item for item in open_release(release.folder, split)}
        coco = COCO(str(tmp_path / "coco" / "annotations" / f"face_keypoints_{split}.json"))
        assert len(coco.getImgIds()) == len(items)
        (category,) = coco.loadCats(coco.getCatIds())
        assert tuple(category["keypoints"]) == SCHEMA.names
        assert np.array_equal(np.array(category["skeleton"]) - 1, SCHEMA.edges)
        for image in coco.loadImgs(coco.getImgIds()):
            item = items.pop(image["file_name"].split(".")[0])
            with Image.open(tmp_path / "coco" / split / image["file_name"]) as picture:
                assert np.array_equal(np.asarray(picture.convert("RGB")), item.rgb())
                assert picture.size == (image["width"], image["height"])
            (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
            seen.add(annotation["id"])
            left, top, width, height = annotation["bbox"]
            assert (left, top, left + width, top + height) == pytest.approx(item.faces[0].box)
            keypoints = np.array(annotation["keypoints"]).reshape(-1, 3)
            visibility = np.array(item.faces[0].landmarks["ibug68"].visibility)
            assert np.array_equal(keypoints[:, 2], visibility)
            assert np.allclose(keypoints[:, :2] + 0.5, points_of(item))
            licence = {one["id"]: one for one in coco.dataset["licenses"]}[image["license"]]
            assert licence["url"] == item.licence.url
        assert not items
        if coco.getImgIds():
            assert perfect_score(coco) == pytest.approx(1.0)
    assert len(seen) == 5


def perfect_score(coco):
    """Average precision of the labels as their own detections: COCO's evaluation reads them."""
    results = [annotation | {"score": 1.0} for annotation in coco.dataset["annotations"]]
    evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(len(SCHEMA.names), 0.05)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


def test_pts_are_read_back_by_menpo(release, tmp_path):
    convert(release, tmp_path / "pts", "pts")
    by_id = {item.image_id: item for item in release}
    found = 0
    for split in release.card.splits:
        for path in sorted((tmp_path / "pts" / split).glob("*.pts")):
            item = by_id[path.stem.removesuffix("_1")]
            assert item.split == split
            (points,) = menpo.io.import_landmark_file(path).values()
            # Rows before columns, and from 0 at the centre of the first pixel.
            assert np.allclose(points.points[:, ::-1] + 0.5, points_of(item), atol=1e-6)
            (picture,) = (one for one in path.parent.glob(f"{path.stem}.*") if one != path)
            assert np.array_equal(np.asarray(Image.open(picture).convert("RGB")), item.rgb())
            lines = path.read_text().splitlines()
            assert lines[:3] == ["version: 1", "n_points: 68", "{"]
            assert lines[-1] == "}"
            found += 1
    assert found == 5


def test_yolo_has_the_published_layout(release, tmp_path):
    convert(release, tmp_path / "yolo", "yolo")
    layout = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    assert layout["kpt_shape"] == [68, 3]
    assert tuple(layout["flip_idx"]) == SCHEMA.mirror
    assert layout["names"] == {0: "face"}
    for item in release:
        label = tmp_path / "yolo" / "labels" / item.split / f"{item.image_id}.txt"
        (picture,) = (tmp_path / "yolo" / layout[item.split]).glob(f"{item.image_id}.*")
        with Image.open(picture) as image:
            size = np.array(image.size)
        values = np.loadtxt(label, ndmin=2)
        assert values.shape == (1, 5 + 68 * 3)
        assert values[0, 0] == 0
        assert values.min() >= 0
        centre, sides = values[0, 1:3] * size, values[0, 3:5] * size
        corners = np.clip(np.reshape(item.faces[0].box, (2, 2)), 0, size)
        assert np.allclose([centre - sides / 2, centre + sides / 2], corners, atol=1e-4)
        points = values[0, 5:].reshape(68, 3)
        seen = points[:, 2] > 0
        inside = ((points_of(item) >= 0) & (points_of(item) <= size)).all(axis=1)
        assert np.array_equal(seen, inside)
        assert np.allclose(points[seen, :2] * size, points_of(item)[seen], atol=1e-4)
        assert not points[~seen].any()


def test_webdataset_is_read_back_by_webdataset(release, tmp_path):
    convert(release, tmp_path / "tars", "webdataset")
    by_id = {item.image_id: item for item in release}
    for split in release.card.splits:
        tars = [str(path) for path in sorted((tmp_path / "tars").glob(f"{split}-*.tar"))]
        if not tars:
            assert release.card.splits[split] == 0
            continue
        for sample in webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"):
            item = by_id.pop(sample["__key__"])
            pixels = sample.get("jpg", sample.get("png"))
            assert np.array_equal(pixels, item.rgb())
            labels = sample["json"]
            assert (labels["split"], labels["group_id"]) == (split, item.group_id)
            assert np.array_equal(
                labels["faces"][0]["landmarks"]["ibug68"]["points"], points_of(item)
            )
            assert labels["tags"] == item.annotation.tags
            assert labels["licence"]["url"] == item.licence.url
    assert not by_id


@pytest.mark.parametrize("form", ["coco", "pts", "yolo", "webdataset"])
def test_one_split_twice_gives_the_same_bytes(form, release, tmp_path):
    test = open_release(release.folder, "train")
    first = convert(test, tmp_path / "one", form)
    assert convert(test, tmp_path / "two", form) == first
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert first.splits == {"train": release.card.splits["train"]}
    assert (first.digest, first.faces, first.faces_left_out) == (release.card.digest, len(test), 0)
    with (tmp_path / "one" / "ATTRIBUTION.csv").open(newline="") as lines:
        assert {row["image_id"] for row in csv.DictReader(lines)} == {
            item.image_id for item in test
        }
    convert(test, tmp_path / "two", "coco")
    assert not (tmp_path / "two" / "data.yaml").exists()


def test_faces_that_a_form_cannot_hold_are_counted(release, tmp_path):
    assert convert(release, tmp_path / "pts", "pts", "face106").faces_left_out == 5
    coco = convert(release, tmp_path / "coco", "coco", "face106")
    assert (coco.faces, coco.faces_left_out) == (5, 0)


def test_what_no_longer_loads_is_named_and_nothing_is_written(release, tmp_path):
    shard = sorted((release.folder / "images").glob("*.parquet"))[-1]
    rows = pq.read_table(shard).to_pylist()
    rows[0]["bytes"] = rows[0]["bytes"][:2000]
    table = pq.read_table(shard).from_pylist(rows, IMAGES)
    pq.write_table(table, shard)
    with pytest.raises(IntegrityError, match=rows[0]["image_id"]):
        convert(release, tmp_path / "coco", "coco")
    shard.unlink()
    with pytest.raises(IntegrityError, match="no longer load"):
        convert(release, tmp_path / "coco", "coco")
    assert not (tmp_path / "coco").exists()


def test_a_folder_of_something_else_is_left_alone(release, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match="new folder"):
        convert(release, tmp_path / "mine", "coco")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_the_command_says_what_was_written(release, tmp_path):
    arguments = ["release", "convert", str(release.folder), str(tmp_path / "out")]
    run = CliRunner().invoke(app, [*arguments, "--to", "yolo", "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert said == json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert said["unreviewed"] == 5
    assert CliRunner().invoke(app, [*arguments, "--to", "voc"]).exit_code == 2
