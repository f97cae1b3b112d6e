import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest

from annotation.archive import read_archive
from annotation.batches import make_batch
from annotation.cvat_xml import parse_xml
from annotation.erase import erase_from_boxes
from annotation.exchange import Exchange
from annotation.folder import FolderExchange, read_batch
from annotation.schema import LabelSchema, cvat_labels
from mirrorset.erasure import Gone
from mirrorset.errors import InputError
from mirrorset.records import Annotation, Batch, Reason


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "exchange"


@pytest.fixture
def exchange(root: Path) -> Exchange:
    return FolderExchange(root)


@pytest.fixture
def annotations(pictures, make_annotation: Callable[..., Annotation]) -> list[Annotation]:
    return [make_annotation(image_id) for image_id in pictures]


@pytest.fixture
def batch(
    exchange: Exchange, pictures, annotations: list[Annotation], schema: LabelSchema
) -> Batch:
    planned = make_batch(list(pictures), schema.version)
    return exchange.push(planned, pictures.records(), pictures, annotations, schema)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def set_tag(image: Element, label: str, **attributes: str) -> None:
    tag = SubElement(image, "tag", label=label, source="manual")
    for name, value in attributes.items():
        SubElement(tag, "attribute", name=name).text = value


def test_push_writes_the_four_files(root: Path, batch: Batch, schema: LabelSchema) -> None:
    folder = root / "outbox" / batch.batch_id
    assert set(tree(folder)) == {"task.zip", "labels.json", "README.txt", "batch.json"}
    assert json.loads((folder / "labels.json").read_text()) == cvat_labels(schema)
    assert batch.batch_id in (folder / "README.txt").read_text()
    assert (batch.server, batch.project, batch.task) == ("folder", "selfie-3", batch.batch_id)


def test_archive_holds_original_bytes_under_short_names(root: Path, batch: Batch, pictures) -> None:
    with zipfile.ZipFile(root / "outbox" / batch.batch_id / "task.zip") as archive:
        for image_id, content in pictures.items():
            assert archive.read(f"images/{image_id[:16]}.png") == content
        assert str(root) not in archive.read("annotations.xml").decode()


def test_frames_are_in_the_order_in_which_cvat_sorts_names(root: Path, batch: Batch) -> None:
    with zipfile.ZipFile(root / "outbox" / batch.batch_id / "task.zip") as archive:
        images = parse_xml(archive.read("annotations.xml")).findall("image")
    assert [image.get("id") for image in images] == ["0", "1", "2"]
    names = [image.attrib["name"] for image in images]
    assert names == sorted(names)


def test_pushing_again_changes_nothing(
    root: Path, batch: Batch, pictures, annotations: list[Annotation], schema: LabelSchema
) -> None:
    before = tree(root)
    newer = [one.model_copy(update={"faces": ()}) for one in annotations]
    again = FolderExchange(root)
    assert again.push(batch, pictures.records(), pictures, newer, schema) == batch
    assert tree(root) == before
    assert again.batches() == (batch,)


def test_two_folders_get_the_same_bytes(
    tmp_path: Path, pictures, annotations: list[Annotation], schema: LabelSchema
) -> None:
    planned = make_batch(list(pictures), schema.version)
    images = pictures.records()
    FolderExchange(tmp_path / "a").push(planned, images, pictures, annotations, schema)
    FolderExchange(tmp_path / "b").push(planned, images[::-1], pictures, annotations[::-1], schema)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_killed_push_leaves_no_batch_and_can_be_repeated(
    root: Path, exchange: Exchange, pictures, annotations, schema: LabelSchema
) -> None:
    planned = make_batch(list(pictures), schema.version)

    class Killed(BaseException):
        pass

    class Dying(dict[str, bytes]):
        def get(self, image_id: str) -> bytes:
            raise Killed

    with pytest.raises(Killed):
        exchange.push(planned, pictures.records(), Dying(), annotations, schema)
    assert exchange.batches() == ()
    pushed = exchange.push(planned, pictures.records(), pictures, annotations, schema)
    assert exchange.batches() == (pushed,)
    assert [path.name for path in (root / "outbox").iterdir()] == [planned.batch_id]


def test_image_without_labels_cannot_be_pushed(
    exchange: Exchange, pictures, annotations, schema: LabelSchema
) -> None:
    planned = make_batch(list(pictures), schema.version)
    with pytest.raises(InputError, match="pre-label it first"):
        exchange.push(planned, pictures.records(), pictures, annotations[1:], schema)


def test_nothing_in_the_inbox_nothing_pulled(exchange: Exchange, batch: Batch) -> None:
    assert exchange.pull(batch) is None


def test_an_archive_nobody_touched_is_no_review(
    root: Path, exchange: Exchange, batch: Batch, edit
) -> None:
    task = root / "outbox" / batch.batch_id / "task.zip"
    edit(task, root / "inbox" / f"{batch.batch_id}.zip", lambda _: None)
    assert exchange.pull(batch) is None
    (root / "inbox" / f"{batch.batch_id}-copy.zip").write_bytes(task.read_bytes())
    assert exchange.pull(batch) is None


def test_only_annotated_images_come_back_under_a_pseudonym(
    root: Path, exchange: Exchange, batch: Batch, edit
) -> None:
    def change(xml: Element) -> None:
        first, second, _ = xml.findall("image")
        set_tag(first, "reviewed")
        points = second.find("skeleton/points")
        assert points is not None
        points.set("source", "manual")

    task = root / "outbox" / batch.batch_id / "task.zip"
    edit(task, root / "inbox" / f"{batch.batch_id} (1).zip", change, who="mia.muster")
    returned = exchange.pull(batch)
    assert returned is not None
    assert [image.image_id for image in returned.images] == list(batch.image_ids[:2])
    assert {image.by for image in returned.images} == {"annotator-1"}
    assert "mia" not in returned.model_dump_json()
    assert json.loads((root / "annotators.json").read_text()) == {"mia.muster": "annotator-1"}
    assert exchange.pull(batch) == returned


def test_of_several_exports_the_latest_counts(
    root: Path, exchange: Exchange, batch: Batch, edit
) -> None:
    task = root / "outbox" / batch.batch_id / "task.zip"
    at = read_archive(task).dumped_at

    def exported(days: int, reason: str) -> Callable[[Element], None]:
        def change(xml: Element) -> None:
            dumped, image = xml.find("meta/dumped"), xml.find("image")
            assert dumped is not None
            assert image is not None
            dumped.text = str(at + timedelta(days=days))
            set_tag(image, "do_not_use", reason=reason)

        return change

    edit(task, root / "inbox" / f"{batch.batch_id}-a.zip", exported(2, "minor"), "mia")
    edit(task, root / "inbox" / f"{batch.batch_id}-b.zip", exported(1, "intimate"), "kim")
    returned = exchange.pull(batch)
    assert returned is not None
    (image,) = returned.images
    assert image.returned_at == at + timedelta(days=2)
    assert [tag.attributes for tag in image.shapes.tags if tag.label == "do_not_use"] == [
        {"reason": "minor"}
    ]


def test_foreign_images_are_named(root: Path, exchange: Exchange, batch: Batch, edit) -> None:
    def change(xml: Element) -> None:
        first, second, _ = xml.findall("image")
        set_tag(first, "reviewed")
        second.set("name", "holiday.jpg")

    task = root / "outbox" / batch.batch_id / "task.zip"
    edit(task, root / "inbox" / f"{batch.batch_id}.zip", change)
    returned = exchange.pull(batch)
    assert returned is not None
    assert [one.item_id for one in returned.rejected] == ["holiday.jpg"]
    assert "belongs to no image" in returned.rejected[0].detail


def test_a_stop_stays_whoever_exports_later(
    root: Path, exchange: Exchange, batch: Batch, edit
) -> None:
    task = root / "outbox" / batch.batch_id / "task.zip"
    at = read_archive(task).dumped_at

    def later(xml: Element) -> None:
        dumped, image = xml.find("meta/dumped"), xml.find("image")
        assert dumped is not None
        assert image is not None
        dumped.text = str(at + timedelta(days=1))
        set_tag(image, "reviewed")

    def stop(xml: Element) -> None:
        image = xml.find("image")
        assert image is not None
        set_tag(image, "do_not_use", reason="minor")

    edit(task, root / "inbox" / f"{batch.batch_id}-a.zip", later, "kim")
    edit(task, root / "inbox" / f"{batch.batch_id}-b.zip", stop, "mia")
    returned = exchange.pull(batch)
    assert returned is not None
    (image,) = returned.images
    assert image.returned_at == at + timedelta(days=1)
    assert {tag.label for tag in image.shapes.tags} == {"lighting", "reviewed", "do_not_use"}


def test_a_half_copied_export_is_named_and_keeps_nothing_back(
    root: Path, exchange: Exchange, batch: Batch, edit
) -> None:
    task = root / "outbox" / batch.batch_id / "task.zip"
    broken = root / "inbox" / f"{batch.batch_id}-2.zip"
    broken.write_bytes(task.read_bytes()[:500])
    returned = exchange.pull(batch)
    assert returned is not None
    assert returned.images == ()
    (rejected,) = returned.rejected
    assert (rejected.item_id, rejected.reason) == (broken.name, Reason.CHECK_FAILED)
    assert "export it again" in rejected.detail
    edit(
        task,
        root / "inbox" / f"{batch.batch_id}.zip",
        lambda xml: [set_tag(image, "reviewed") for image in xml.iter("image")],
    )
    returned = exchange.pull(batch)
    assert returned is not None
    assert (len(returned.images), returned.rejected) == (3, (rejected,))


def test_a_zip_of_no_batch_is_named(root: Path, exchange: Exchange, batch: Batch) -> None:
    for name in ("task_1_export.zip", f"{batch.batch_id}-2.zip"):
        (root / "inbox" / name).write_bytes(b"")
    (rejected,) = exchange.unclaimed([batch])
    assert (rejected.item_id, rejected.step) == ("task_1_export.zip", "annotate")
    assert "rename it" in rejected.detail


def test_damaged_records_of_the_folder_are_one_sentence(
    root: Path, exchange: Exchange, batch: Batch, edit
) -> None:
    (root / "outbox" / batch.batch_id / "batch.json").write_text("")
    with pytest.raises(InputError, match="delete the folder and push again"):
        exchange.batches()
    task = root / "outbox" / batch.batch_id / "task.zip"
    edit(
        task,
        root / "inbox" / f"{batch.batch_id}.zip",
        lambda xml: [set_tag(image, "reviewed") for image in xml.iter("image")],
    )
    (root / "annotators.json").write_text("[")
    with pytest.raises(InputError, match="restore it from a backup"):
        exchange.pull(batch)


def test_an_image_leaves_batches_of_which_no_catalogue_knows(root: Path, batch: Batch) -> None:
    """A damaged one beside them is named, and keeps nothing else back."""
    damaged = root / "outbox/damaged/batch.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    first, *rest = batch.image_ids
    before = tree(root)
    found, unreached = erase_from_boxes(root, Gone(frozenset({first})), is_dry_run=True)
    assert tree(root) == before
    assert erase_from_boxes(root, Gone(frozenset({first}))) == (found, unreached)
    assert [(one.name, one.count) for one in found] == [("zips", 1), ("batches", 1)]
    assert [(one.place, one.name) for one in unreached] == [("archives", "damaged")]
    assert first[:16].encode() not in b"".join(tree(root).values())
    assert read_batch(root / "outbox" / batch.batch_id).image_ids == tuple(rest)
    erase_from_boxes(root, Gone(frozenset(rest)))
    assert not (root / "outbox" / batch.batch_id).exists()
