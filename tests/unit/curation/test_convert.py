"""Conversions are read back by libraries that know nothing of this project.

COCO by pycocotools, 300-W by menpo (of the group that made the markup), WebDataset by webdataset,
TFRecord by tfrecord, with its checksums by crc32c. YOLO pose has no light reader (Ultralytics' own
needs PyTorch), so here the lines are held against the published layout.
"""

import csv
import io
import json
import shutil
import signal
import struct
import subprocess
import sys
from dataclasses import replace

import crc32c
import menpo.io
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
import yaml
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tfrecord.reader import tfrecord_loader
from typer.testing import CliRunner

from curation import formats
from curation.convert import convert
from curation.formats.picture import picture_of
from curation.images import IMAGES
from faces.schema import load_schema
from flows.cli import app, main
from mirrorset.commands import git
from mirrorset.errors import InputError, IntegrityError, SettingsError, UnavailableError
from mirrorset.load import open_release
from mirrorset.workspace import init

SCHEMA = load_schema("ibug68")
FORMS = ["coco", "pts", "yolo", "webdataset", "tfrecord"]


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
            assert sample["__url__"].endswith(f"/{split}-{item.image_shard:05d}.tar")
            assert np.array_equal(sample["jpg"], item.rgb())
            labels = sample["json"]
            assert (labels["split"], labels["group_id"]) == (split, item.group_id)
            assert np.array_equal(
                labels["faces"][0]["landmarks"]["ibug68"]["points"], points_of(item)
            )
            assert labels["tags"] == item.annotation.tags
            assert labels["licence"]["url"] == item.licence.url
    assert not by_id


def test_tfrecord_is_read_back_by_tfrecord(release, tmp_path):
    convert(release, tmp_path / "records", "tfrecord")
    by_id = {item.image_id: item for item in release}
    for path in sorted((tmp_path / "records").glob("*.tfrecord")):
        for example in tfrecord_loader(str(path), None):
            item = by_id.pop(example["image/source_id"].decode())
            assert path.name == f"{item.split}-{item.image_shard:05d}.tfrecord"
            size = (item.width_px, item.height_px)
            assert (*example["image/width"], *example["image/height"]) == size
            with Image.open(io.BytesIO(example["image/encoded"])) as picture:
                assert np.array_equal(np.asarray(picture.convert("RGB")), item.rgb())
                assert example["image/format"].decode() == picture.format.lower()
                assert example["image/filename"].decode().startswith(item.image_id)
            box = [example[f"image/object/bbox/{side}"][0] for side in ("xmin", "ymin")]
            box += [example[f"image/object/bbox/{side}"][0] for side in ("xmax", "ymax")]
            corners = np.clip(np.reshape(item.faces[0].box, (2, 2)), 0, size)
            assert np.allclose(np.reshape(box, (2, 2)) * size, corners, atol=1e-3)
            xy = np.transpose([example[f"image/object/keypoint/{axis}"] for axis in "xy"])
            visibility = example["image/object/keypoint/visibility"]
            inside = ((points_of(item) >= 0) & (points_of(item) <= size)).all(axis=1)
            written = item.faces[0].landmarks["ibug68"].visibility
            assert np.array_equal(visibility, np.where(inside, written, 0))
            assert np.allclose((xy * size)[inside], points_of(item)[inside], atol=1e-3)
            assert not xy[~inside].any()
            assert example["image/object/keypoint/num"] == [np.count_nonzero(visibility)]
            assert example["image/object/class/label"] == [1]
            assert example["image/object/class/text"] == b"face"
            labels = json.loads(example["image/labels"])
            assert np.array_equal(
                labels["faces"][0]["landmarks"]["ibug68"]["points"], points_of(item)
            )
            assert labels["licence"]["url"] == item.licence.url
    assert not by_id


def test_each_record_has_the_checksums_that_tensorflow_compares(release, tmp_path):
    """Its reader refuses others; that of tfrecord does not look at them."""
    convert(release, tmp_path / "records", "tfrecord")
    for path in (tmp_path / "records").glob("*.tfrecord"):
        content = io.BytesIO(path.read_bytes())
        while length := content.read(8):
            (stated,) = struct.unpack("<I", content.read(4))
            assert unmasked(stated) == crc32c.crc32c(length)
            record = content.read(*struct.unpack("<Q", length))
            (stated,) = struct.unpack("<I", content.read(4))
            assert unmasked(stated) == crc32c.crc32c(record)


def unmasked(stated):
    """The checksum behind a masked one: the constant off again, and 17 bits back to the right."""
    turned = (stated - 0xA282EAD8) % 2**32
    return (turned >> 17 | turned << 15) % 2**32


def test_without_google_crc32c_tfrecord_says_what_to_install(release, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(SettingsError, match=r"requirements-tfrecord\.lock"):
        convert(release, tmp_path / "records", "tfrecord")
    assert not (tmp_path / "records").exists()


def crowd(release):
    """Pictures of one image with two faces and a third outside it, and of one without a face."""
    pictures = [picture_of(item) for item in release][:2]
    face = pictures[0].item.faces[0]
    left, top, right, bottom = face.box
    beside = face.model_copy(update={"box": (left + 5, top + 7, right, bottom), "landmarks": {}})
    outside = face.model_copy(update={"box": (-30.0, -20.0, -10.0, -5.0)})
    return [
        replace(
            picture,
            item=replace(
                picture.item,
                annotation=picture.item.annotation.model_copy(update={"faces": faces}),
            ),
        )
        for picture, faces in zip(pictures, [(face, beside, outside), ()], strict=True)
    ]


def test_faces_of_one_image_stay_together(release, tmp_path):
    pictures = crowd(release)
    written = {}
    for name in FORMS:
        (tmp_path / name).mkdir()
        written[name] = getattr(formats, name).write(tmp_path / name, {"train": pictures}, SCHEMA)
    # 300-W needs points, and YOLO and TFRecord a box within the image.
    assert written == {"coco": 3, "pts": 2, "yolo": 2, "webdataset": 3, "tfrecord": 2}

    document = COCO(str(tmp_path / "coco" / "annotations" / "face_keypoints_train.json"))
    assert [len(document.getAnnIds(imgIds=one)) for one in document.getImgIds()] == [3, 0]
    assert [one["num_keypoints"] for one in document.loadAnns(document.getAnnIds())][1] == 0

    many, none = (
        example
        for path in sorted((tmp_path / "tfrecord").iterdir())
        for example in tfrecord_loader(str(path), None)
    )
    size = np.array([pictures[0].item.width_px, pictures[0].item.height_px])
    for side, corner, axis in (("xmin", 0, 0), ("ymin", 1, 1), ("xmax", 2, 0), ("ymax", 3, 1)):
        expected = [face.box[corner] for face in pictures[0].item.faces[:2]]
        assert np.allclose(many[f"image/object/bbox/{side}"] * size[axis], expected, atol=1e-3)
        assert len(none[f"image/object/bbox/{side}"]) == 0
    assert len(many["image/object/keypoint/x"]) == 2 * 68
    assert not many["image/object/keypoint/visibility"][68:].any()
    assert len(many["image/object/keypoint/text"]) == 2 * 68
    assert json.loads(none["image/labels"])["faces"] == []
    assert len(json.loads(many["image/labels"])["faces"]) == 3

    lines = [
        (tmp_path / "yolo" / "labels" / "train" / f"{picture.item.image_id}.txt").read_text()
        for picture in pictures
    ]
    assert [len(text.splitlines()) for text in lines] == [2, 0]


@pytest.mark.parametrize("form", FORMS)
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


def test_a_folder_that_holds_anything_is_left_alone(release, tmp_path):
    (tmp_path / "mine").mkdir()
    convert(release, tmp_path / "mine", "yolo")
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match="name a new folder"):
        convert(release, tmp_path / "mine", "coco")
    with pytest.raises(SettingsError, match="name a new folder"):
        convert(release, tmp_path / "mine" / "thesis.txt", "coco")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


KILLED = """
import os, signal, sys
from pathlib import Path
from curation.convert import convert
from curation import formats
from curation.formats.picture import picture_of
from mirrorset.load import open_release

left = 3
def killed_at_the_third():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

convert(open_release(sys.argv[1]), Path(sys.argv[2]), "webdataset", on_image=killed_at_the_third)
"""


def test_a_kill_leaves_nothing_half_written(release, tmp_path):
    out = tmp_path / "out" / "tars"
    command = [sys.executable, "-c", KILLED, str(release.folder), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [path.name for path in out.parent.iterdir()] == [".tars.part"]
    convert(release, out, "webdataset")
    convert(release, tmp_path / "whole", "webdataset")
    assert bytes_of(out) == bytes_of(tmp_path / "whole")
    assert [path.name for path in out.parent.iterdir()] == ["tars"]


def test_the_command_says_what_was_written(release, tmp_path):
    arguments = ["release", "convert", str(release.folder), str(tmp_path / "out")]
    run = CliRunner().invoke(app, [*arguments, "--to", "yolo", "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert said == json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert said["unreviewed"] == 5


@pytest.mark.parametrize(
    ("named", "exit_code", "sentence"),
    [
        (["RELEASE", "OUT", "--to", "voc"], 2, "'tfrecord'"),
        (["RELEASE", "OUT", "--to", "coco", "--landmarks", "ibug67"], 2, "ibug67"),
        (["RELEASE", "FULL", "--to", "coco"], 2, "exists already: name a new folder"),
        (["FULL", "OUT", "--to", "coco"], 3, "is no release"),
        (["9.9.9", "OUT", "--to", "coco", "--home", "FULL"], 2, "mirrorset init"),
    ],
)
def test_what_a_person_gets_wrong_is_said_in_a_sentence(
    named, exit_code, sentence, release, tmp_path, monkeypatch, capsys
):
    paths = {"RELEASE": release.folder, "OUT": tmp_path / "out", "FULL": tmp_path / "full"}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    arguments = [str(paths.get(word, word)) for word in named]
    monkeypatch.setattr(sys, "argv", ["mirrorset", "release", "convert", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == exit_code
    said = " ".join(capsys.readouterr().err.split())
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_version_is_found_in_its_workspace_or_said_to_be_missing(release, tmp_path):
    workspace = init(tmp_path / "home")
    shutil.copytree(release.folder, workspace.release(workspace.dataset.name, "1.0.0"))

    def converted(version, *options):
        arguments = ["release", *options, "convert", version, str(tmp_path / version), "--to"]
        return CliRunner().invoke(app, [*arguments, "coco", "--split", "train"])

    assert converted("1.0.0", "--home", str(workspace.home)).exit_code == 0
    assert [path.name for path in (tmp_path / "1.0.0" / "annotations").iterdir()] == [
        "face_keypoints_train.json"
    ]
    missing = converted("1.1.0", "--home", str(workspace.home))
    assert isinstance(missing.exception, InputError)
    assert "holds no release faces 1.1.0" in str(missing.exception)
    git(workspace.home, "tag", "faces-1.1.0")
    missing = converted("1.1.0", "--home", str(workspace.home))
    assert isinstance(missing.exception, UnavailableError)
    assert "faces-1.1.0" in str(missing.exception)
    assert not (tmp_path / "1.1.0").exists()


def test_a_form_that_nobody_knows_is_refused(release, tmp_path):
    with pytest.raises(SettingsError, match="use one of coco, pts"):
        convert(release, tmp_path / "out", "voc")
