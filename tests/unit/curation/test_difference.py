"""What lies between two releases, told from the folders alone."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from curation.build import build
from curation.difference import Change, difference
from curation.difference_table import tables
from curation.records import Attribution
from faces.schema import load_schema
from flows.cli import app
from mirrorset.errors import GateError, InputError, SettingsError
from mirrorset.files import read_parts, write_parts
from mirrorset.load import open_release
from mirrorset.params import DatasetParams, Responsible
from mirrorset.records import DatasetItem, Landmarks

SIDE = 3.0


@pytest.fixture
def between(tmp_path):
    """The difference of two versions that `release_of` built."""

    def compare(before: str, after: str):
        folders = (tmp_path / "releases" / version for version in (before, after))
        return difference(*(open_release(folder) for folder in folders))

    return compare


@pytest.fixture
def rebuilt(release_of, blobs, tmp_path):
    """Builds portraits as VERSION, each item first changed by `change`, which may be a new split.

    What no run of the pipeline would write: labels by hand, splits that move.
    """

    def release(portraits, version, change):
        release_of(portraits, version)
        work = tmp_path / "work"
        pairs = [
            (change(item), attribution)
            for item, attribution in zip(
                read_parts(work / "items", DatasetItem),
                read_parts(work / "attributions", Attribution),
                strict=True,
            )
        ]
        write_parts(work / "items", ((item.image_shard, item) for item, _ in pairs))
        return build(
            work,
            blobs,
            tmp_path / "releases" / version,
            dataset=DatasetParams(name="faces"),
            version=version,
            responsible=Responsible(),
        )

    return release


def relabelled(item, **face):
    """The item with fields of its only face changed."""
    (old,) = item.annotation.faces
    faces = (old.model_copy(update=face),)
    return item.model_copy(
        update={"annotation": item.annotation.model_copy(update={"faces": faces})}
    )


def shifted(item, px):
    """The item with the points of its face `px` further to the right."""
    (face,) = item.annotation.faces
    old = face.landmarks["ibug68"]
    points = tuple((x + px, y) for x, y in old.points)
    moved = Landmarks(points=points, visibility=old.visibility, confidence=old.confidence)
    return relabelled(item, landmarks={"ibug68": moved})


def printed(found) -> str:
    console = Console(file=io.StringIO(), width=200)
    for table in tables(found):
        console.print(table)
    return console.file.getvalue()


def test_a_release_says_the_same_as_itself(portraits, release_of, between):
    release_of(portraits[:4], "1.0.0")
    found = between("1.0.0", "1.0.0")
    assert found.is_same
    assert (found.relabelled, found.moved, found.relicensed) == ((), (), ())
    assert not any((*found.images_in.values(), *found.images_out.values()))
    assert found.before == found.after
    assert "both say the same" in printed(found)


def test_images_in_and_out_by_split(portraits, release_of, between, tmp_path):
    release_of(portraits[:5], "1.0.0")
    release_of(portraits[2:8], "1.1.0")
    found = between("1.0.0", "1.1.0")
    ids = [portrait.image.image_id for portrait in portraits]
    in_split = {
        item.image_id: item.split
        for version in ("1.0.0", "1.1.0")
        for item in open_release(tmp_path / "releases" / version)
    }
    for split in ("train", "val", "test"):
        assert found.images_out[split] == tuple(sorted(i for i in ids[:2] if in_split[i] == split))
        assert found.images_in[split] == tuple(sorted(i for i in ids[5:] if in_split[i] == split))
    assert (found.before.images, found.after.images) == (5, 6)
    assert sum(found.after.splits.values()) == 6
    assert not found.is_same
    assert not found.relabelled
    assert not found.moved


def test_how_far_points_moved_is_told_by_interocular_distance(
    portraits, release_of, rebuilt, between
):
    release_of(portraits[:4], "1.0.0")
    one, other = sorted(portrait.image.image_id for portrait in portraits[:4])[:2]

    def change(item):
        far = {one: SIDE, other: 2 * SIDE}.get(item.image_id)
        return shifted(item, far) if far else item

    rebuilt(portraits[:4], "1.1.0", change)
    found = between("1.0.0", "1.1.0")
    assert [image.image_id for image in found.relabelled] == [other, one]
    by_id = {portrait.image.image_id: portrait for portrait in portraits}
    for image, px in zip(found.relabelled, (2 * SIDE, SIDE), strict=True):
        left, right = load_schema("ibug68").outer_corners
        points = np.array(by_id[image.image_id].face.landmarks["ibug68"].points)
        interocular_px = np.linalg.norm(points[left] - points[right])
        assert image.nme == {"ibug68": pytest.approx(px / interocular_px)}
        assert image.fields == ("landmarks",)
        assert (image.faces_in, image.faces_out) == (0, 0)
    far = found.distances["ibug68"]
    assert (far.images, far.largest) == (2, found.relabelled[0].farthest)
    assert far.median == pytest.approx(sum(image.farthest for image in found.relabelled) / 2)
    assert f"{far.largest:.4f}" in printed(found)


def test_attributes_tags_origin_and_faces_are_named(portraits, release_of, rebuilt, between):
    release_of(portraits[:3], "1.0.0")
    first, second, third = sorted(portrait.image.image_id for portrait in portraits[:3])

    def change(item):
        annotation = item.annotation
        if item.image_id == first:
            return relabelled(item, attributes={"occlusion": "hand", "glasses": "yes"})
        if item.image_id == second:
            update = {"tags": {}, "origin": "human", "by": "annotator-1"}
        else:
            (face,) = annotation.faces
            left, top, right, bottom = face.box
            aside = face.model_copy(
                update={"face_id": "1", "box": (left + 2000, top, right + 2000, bottom)}
            )
            update = {"faces": (face, aside)}
        return item.model_copy(update={"annotation": annotation.model_copy(update=update)})

    rebuilt(portraits[:3], "1.1.0", change)
    found = between("1.0.0", "1.1.0")
    images = {image.image_id: image for image in found.relabelled}
    assert images[first].fields == ("attributes",)
    assert images[first].attributes == (
        Change(name="glasses", before=None, after="yes"),
        Change(name="occlusion", before="none", after="hand"),
    )
    assert images[second].fields == ("by", "origin", "tags")
    assert images[second].tags == (Change(name="lighting", before="left", after=None),)
    assert images[third].fields == ("faces",)
    assert (images[third].faces_in, images[third].faces_out) == (1, 0)
    assert all(image.nme == {} for image in found.relabelled)
    assert (found.before.unreviewed, found.after.unreviewed) == (3, 2)
    assert (found.before.faces, found.after.faces) == (3, 4)
    text = printed(found)
    assert "occlusion: none → hand" in text
    assert "lighting: left → none" in text


def test_when_labels_were_made_is_no_difference(portraits, release_of, rebuilt, between):
    release_of(portraits[:2], "1.0.0")

    def change(item):
        later = item.annotation.made_at.replace(year=2027)
        annotation = item.annotation.model_copy(update={"made_at": later})
        return item.model_copy(update={"annotation": annotation})

    rebuilt(portraits[:2], "1.1.0", change)
    found = between("1.0.0", "1.1.0")
    assert found.is_same
    assert found.relabelled == ()


def test_an_image_that_moved_its_split_is_named(portraits, release_of, rebuilt, between, tmp_path):
    release_of(portraits[:4], "1.0.0")
    victim = next(iter(open_release(tmp_path / "releases" / "1.0.0", "train")))

    def change(item):
        is_victim = item.image_id == victim.image_id
        return item.model_copy(update={"split": "test"}) if is_victim else item

    rebuilt(portraits[:4], "1.1.0", change)
    (moved,) = between("1.0.0", "1.1.0").moved
    assert (moved.image_id, moved.group_id) == (victim.image_id, victim.group_id)
    assert (moved.before, moved.after) == ("train", "test")
    assert "MOVED" in printed(between("1.0.0", "1.1.0"))


def test_a_group_that_lies_in_two_splits_by_other_images_is_named(
    portraits, release_of, rebuilt, between, tmp_path
):
    """A near-duplicate of what one release trains on is what the other tests on."""
    release_of(portraits[:4], "1.0.0")
    gone = next(iter(open_release(tmp_path / "releases" / "1.0.0", "train")))
    left = [portrait for portrait in portraits[:5] if portrait.image.image_id != gone.image_id]

    def change(item):
        is_new = item.image_id == portraits[4].image.image_id
        place = {"group_id": gone.group_id, "split": "test"}
        return item.model_copy(update=place) if is_new else item

    rebuilt(left, "1.1.0", change)
    (moved,) = between("1.0.0", "1.1.0").moved
    assert (moved.image_id, moved.group_id) == (None, gone.group_id)
    assert (moved.before, moved.after) == ("train", "test")


def test_a_changed_licence_is_named(portraits, release_of, between):
    release_of(portraits[:3], "1.0.0")
    other = portraits[1].but(licence="CC0", author="Somebody else")
    release_of([portraits[0], other, portraits[2]], "1.1.0")
    found = between("1.0.0", "1.1.0")
    (image,) = found.relicensed
    assert image.image_id == other.image.image_id
    assert (image.before, image.after) == ("CC-BY 4.0, A. Photographer", "CC0 1.0, Somebody else")
    assert found.before.licences == {"CC-BY 4.0": 3}
    assert found.after.licences == {"CC-BY 4.0": 2, "CC0 1.0": 1}
    assert found.relabelled == ()


def test_releases_cut_into_other_shards_are_compared_all_the_same(
    portraits, release_of, rebuilt, between
):
    release_of(portraits[:6], "1.0.0")
    rebuilt(portraits[:6], "1.1.0", lambda item: item.model_copy(update={"image_shard": 0}))
    found = between("1.0.0", "1.1.0")
    assert found.is_same
    assert found.relabelled == ()
    assert not any(found.images_in.values())


def test_the_command_fails_where_a_split_moved(portraits, release_of, rebuilt, tmp_path):
    release_of(portraits[:4], "1.0.0")
    rebuilt(portraits[:4], "1.1.0", lambda item: item.model_copy(update={"split": "test"}))
    old, new = (str(tmp_path / "releases" / version) for version in ("1.0.0", "1.1.0"))
    same = CliRunner().invoke(app, ["release", "diff", old, old, "--json"])
    assert same.exit_code == 0
    assert json.loads(same.stdout)["is_same"] is True
    moved = CliRunner().invoke(app, ["release", "diff", old, new, "--json"])
    assert isinstance(moved.exception, GateError)
    lying_elsewhere = {one["image_id"] for one in json.loads(moved.stdout)["moved"]}
    assert lying_elsewhere == {item.image_id for item in open_release(old) if item.split != "test"}
    nowhere = CliRunner().invoke(
        app, ["release", "diff", "1.0.0", new, "--home", str(tmp_path / "nowhere")]
    )
    assert isinstance(nowhere.exception, SettingsError)


def test_an_absent_file_is_said(portraits, release_of, between, tmp_path):
    release_of(portraits[:2], "1.0.0")
    release_of(portraits[:2], "1.1.0")
    (tmp_path / "releases" / "1.0.0" / "labels" / "train-00000.parquet").unlink()
    with pytest.raises(InputError, match="dvc pull"):
        between("1.0.0", "1.1.0")
