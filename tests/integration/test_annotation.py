"""Real photographs through real models into archives, and back."""

import hashlib
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import SubElement, tostring

import pytest

from annotation.archive import read_archive
from annotation.batches import BatchParams, plan_batches
from annotation.checks import round_trip
from annotation.conversion import from_shapes
from annotation.cvat_xml import parse_xml
from annotation.folder import FolderExchange
from annotation.prelabel import PrelabelParams, label_folder, prelabel, prelabel_shard
from annotation.review import ReviewParams, accept
from annotation.schema import load_label_schema
from faces.lighting import level_of
from faces.profiles import Profile, load_profile
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError
from mirrorset.files import read_records
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import Annotation, Batch, ImageRecord, Reason, Record, Rejected, Verdict

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PARAMS = PrelabelParams()
SCHEMA = load_label_schema()


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("research", model_cache)


@pytest.fixture(scope="module")
def portraits(shared_data: Path) -> list[Path]:
    """Eleven portraits of adults from four sources."""
    photos = shared_data / "photos"
    london = sorted((photos / "frl_london" / "smiling_front").glob("*.jpg"))[:4]
    near = sorted((photos / "frl_zoom_cc0").glob("*.jpg"))[:2]
    lisa = sorted((photos / "frl_lisa_cc0").glob("*.jpg"))[:3]
    return [*london, *near, *lisa, *sorted((photos / "pd_portraits").glob("[ag]*"))]


@pytest.fixture(scope="module")
def images(portraits: list[Path]) -> list[ImageRecord]:
    return [inspect(path.read_bytes(), PixelParams()) for path in portraits]


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory, portraits: list[Path]) -> BlobStore:
    store = BlobStore(str(tmp_path_factory.mktemp("blobs")))
    for path in portraits:
        store.put(path.read_bytes())
    return store


@pytest.fixture(scope="module")
def labelled(images: list[ImageRecord], blobs: BlobStore, profile: Profile) -> list[Record]:
    return prelabel_shard([one.image_id for one in images], blobs, profile, PARAMS, AT)


def only(records: list[Record], kind: type) -> list:
    return [record for record in records if isinstance(record, kind)]


def test_every_portrait_is_labelled_and_passes_its_checks(
    labelled: list[Record], images: list[ImageRecord]
) -> None:
    annotations = only(labelled, Annotation)
    assert [one.image_id for one in annotations] == [one.image_id for one in images]
    assert {(one.origin, one.by, one.schema_version) for one in annotations} == {
        ("model", "research", "selfie-3")
    }
    for one in annotations:
        assert len(one.faces[0].landmarks["ibug68"].points) == 68
        light = one.faces[0].lighting
        assert one.tags == {"lighting": light.side, "light_level": level_of(light)}
        assert [mask.label for mask in one.masks] == ["person"]
    failed = [one for one in only(labelled, Verdict) if not one.passed and one.check != "adult"]
    assert failed == []


def test_the_gate_keeps_no_figure(labelled: list[Record], images: list[ImageRecord]) -> None:
    gate = [one for one in only(labelled, Verdict) if one.check == "adult"]
    assert len(gate) == len(images)
    assert {(one.measured, one.threshold) for one in gate} == {(None, None)}
    assert sum(one.passed for one in gate) >= len(images) - 2


def test_doubt_quarantines_but_keeps_the_labels(portraits: list[Path], profile: Profile) -> None:
    strict = PrelabelParams(max_minor_probability=1e-9)
    content = portraits[0].read_bytes()
    annotation, gate, *_ = prelabel(
        hashlib.sha256(content).hexdigest(), content, profile, strict, AT
    )
    assert isinstance(annotation, Annotation)
    assert isinstance(gate, Verdict)
    assert (gate.check, gate.passed) == ("adult", False)
    assert plan_batches([annotation], [gate], [], SCHEMA, BatchParams()) == []


def test_what_cannot_be_labelled_says_why(
    shared_data: Path, portraits: list[Path], profile: Profile
) -> None:
    cat = (shared_data / "photos" / "negatives_skimage" / "chelsea.png").read_bytes()
    whole = portraits[0].read_bytes()
    for content, reason in [
        (cat, Reason.NO_FACE),
        (whole[: len(whole) // 2], Reason.TRUNCATED),
        (b"no picture", Reason.NOT_AN_IMAGE),
        (b"", Reason.NOT_AN_IMAGE),
    ]:
        (rejected,) = prelabel("ab" * 32, content, profile, PARAMS, AT)
        assert isinstance(rejected, Rejected)
        assert (rejected.reason, rejected.step) == (reason, "prelabel")
        assert rejected.detail


def test_real_labels_pushed_read_back_equal(
    tmp_path: Path, labelled: list[Record], images: list[ImageRecord], blobs: BlobStore
) -> None:
    annotations = only(labelled, Annotation)
    (batch,) = plan_batches(annotations, only(labelled, Verdict), [], SCHEMA, BatchParams())
    exchange = FolderExchange(tmp_path)
    exchange.push(batch, images, blobs, annotations, SCHEMA)
    task = tmp_path / "outbox" / batch.batch_id / "task.zip"
    by_id = {one.image_id: one for one in annotations}
    for image_id, shapes in zip(batch.image_ids, read_archive(task).images, strict=True):
        sent = by_id[image_id]
        assert round_trip(sent, shapes, SCHEMA).passed
        back = from_shapes(image_id, shapes, SCHEMA)
        assert not isinstance(back, Rejected)
        assert (back.masks, back.tags) == (sent.masks, sent.tags)
        for face, before in zip(back.faces, sent.faces, strict=True):
            assert face.landmarks["ibug68"] == before.landmarks["ibug68"]
            assert (face.face_id, face.box, face.score) == (
                before.face_id,
                before.box,
                before.score,
            )
    with zipfile.ZipFile(task) as archive:
        pictures = {name: archive.read(name) for name in archive.namelist()[1:]}
    assert {hashlib.sha256(one).hexdigest() for one in pictures.values()} == set(batch.image_ids)
    assert all(Path(name).stem in {one[:16] for one in batch.image_ids} for name in pictures)


def test_a_persons_correction_becomes_a_human_annotation(
    tmp_path: Path, labelled: list[Record], images: list[ImageRecord], blobs: BlobStore
) -> None:
    annotations = only(labelled, Annotation)
    (batch,) = plan_batches(annotations, only(labelled, Verdict), [], SCHEMA, BatchParams())
    exchange = FolderExchange(tmp_path)
    pushed = exchange.push(batch, images, blobs, annotations, SCHEMA)
    assert exchange.pull(pushed) is None
    with zipfile.ZipFile(tmp_path / "outbox" / batch.batch_id / "task.zip") as archive:
        root = parse_xml(archive.read("annotations.xml"))
    for image in root.iter("image"):
        SubElement(image, "tag", label="reviewed", source="manual")
        image[:] = list(reversed(image))
    with zipfile.ZipFile(tmp_path / "inbox" / f"{batch.batch_id}.zip", "w") as archive:
        archive.writestr("annotations.xml", tostring(root))
    returned = exchange.pull(pushed)
    assert returned is not None
    records = accept(pushed, returned, images, annotations, SCHEMA, params=ReviewParams())
    by_id = {one.image_id: one for one in annotations}
    people = only(records, Annotation)
    assert len(people) == len(batch.image_ids)
    for one in people:
        sent = by_id[one.image_id]
        assert one.origin == "human"
        assert (one.faces, one.masks, one.tags) == (sent.faces, sent.masks, sent.tags)
    assert [one.state for one in only(records, Batch)] == ["returned"]


def test_a_folder_is_labelled_in_the_order_of_names(
    tmp_path: Path, shared_data: Path, portraits: list[Path], profile: Profile
) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(portraits[1], folder / "b.jpg")
    shutil.copy(portraits[0], folder / "sub" / "a.jpg")
    shutil.copy(portraits[1], folder / "same.jpg")
    shutil.copy(shared_data / "photos" / "negatives_skimage" / "coffee.png", folder / "cup.png")
    (folder / "readme.txt").write_text("words")
    (folder / ".hidden.jpg").write_bytes(portraits[2].read_bytes())
    seen: list[str] = []
    out = tmp_path / "labels.jsonl"
    summary = label_folder(folder, out, profile, PARAMS, seen.append, at=AT)
    assert seen == ["b.jpg", "cup.png", "readme.txt", "same.jpg", "sub/a.jpg"]
    assert (summary.labelled, summary.faces) == (2, 2)
    assert summary.rejected == {"duplicate_pixels": 1, "no_face": 1, "not_an_image": 1}
    lines = list(read_records(out, Annotation))
    hashes = [hashlib.sha256(portraits[i].read_bytes()).hexdigest() for i in (1, 0)]
    assert [one.image_id for one in lines] == hashes
    rejected = list(read_records(tmp_path / "labels.rejected.jsonl", Rejected))
    assert [one.item_id for one in rejected] == ["cup.png", "readme.txt", "same.jpg"]
    before = out.read_bytes()
    label_folder(folder, out, profile, PARAMS, lambda _: None, at=AT)
    assert out.read_bytes() == before


def test_a_stopped_folder_leaves_no_half_file(
    tmp_path: Path, portraits: list[Path], profile: Profile
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(portraits[0], folder / "a.jpg")

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_folder(folder, tmp_path / "out.jsonl", profile, PARAMS, stop, at=AT)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_no_folder_and_empty_folder_are_one_sentence(tmp_path: Path, profile: Profile) -> None:
    with pytest.raises(InputError, match="is no folder of pictures"):
        label_folder(
            tmp_path / "absent", tmp_path / "o.jsonl", profile, PARAMS, lambda _: None, at=AT
        )
    with pytest.raises(InputError, match="holds no files"):
        label_folder(tmp_path, tmp_path / "o.jsonl", profile, PARAMS, lambda _: None, at=AT)
