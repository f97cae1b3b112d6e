import random
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pytest

from annotation.batches import make_batch
from annotation.exchange import Returned, ReturnedImage, returned_rejected
from annotation.folder import FolderExchange
from annotation.review import ReviewParams, accept
from annotation.schema import LabelSchema
from annotation.shapes import ImageShapes, Tag
from mirrorset.records import Annotation, Batch, Face, Mask, Record, Rejected, Stop, Verdict

PARAMS = ReviewParams()


@pytest.fixture
def sent(pictures, make_annotation, make_face: Callable[..., Face]) -> list[Annotation]:
    """Three images of two faces each."""
    faces = (make_face("0", 100, 80, 200), make_face("1", 400, 100, 120))
    return [make_annotation(image_id, *faces) for image_id in pictures]


@pytest.fixture
def review(
    tmp_path: Path, pictures, sent: list[Annotation], schema: LabelSchema, edit
) -> Callable[[Callable[[Element], None]], list[Record]]:
    """Push, let a person change the first image as given, pull and accept."""

    def run(
        change: Callable[[Element], None],
        every: bool = False,
        before: Sequence[Annotation] = (),
    ) -> list[Record]:
        exchange = FolderExchange(tmp_path)
        batch = exchange.push(
            make_batch(list(pictures), schema.version), pictures.records(), pictures, sent, schema
        )

        def on_images(xml: Element) -> None:
            for image in xml.findall("image")[: None if every else 1]:
                change(image)

        task = tmp_path / "outbox" / batch.batch_id / "task.zip"
        edit(task, tmp_path / "inbox" / f"{batch.batch_id}.zip", on_images)
        returned = exchange.pull(batch)
        assert returned is not None
        return accept(
            batch, returned, pictures.records(), sent, schema, params=PARAMS, before=before
        )

    return run


def reviewed(image: Element) -> None:
    SubElement(image, "tag", label="reviewed", source="manual")


def face_shape(image: Element, kind: str, face_id: str) -> Element:
    for shape in image.iterfind(kind):
        for attribute in shape.iterfind("attribute"):
            if attribute.get("name") == "face_id" and attribute.text == face_id:
                return shape
    raise AssertionError(f"no {kind} of face {face_id}")


def move(image: Element, label: str, by: float, face_id: str = "0") -> None:
    for points in face_shape(image, "skeleton", face_id).iterfind("points"):
        if points.get("label") == label:
            x, y = map(float, points.attrib["points"].split(","))
            points.set("points", f"{x + by:.2f},{y:.2f}")
            points.set("source", "manual")


def only(records: list[Record], kind: type) -> list:
    return [one for one in records if isinstance(one, kind)]


def test_a_mere_look_keeps_everything(review, sent: list[Annotation]) -> None:
    (annotation,) = only(review(reviewed), Annotation)
    assert annotation.origin == "human"
    assert annotation.by == "annotator-1"
    assert annotation.faces == sent[0].faces
    assert annotation.masks == sent[0].masks
    assert annotation.tags == sent[0].tags
    assert annotation.models == sent[0].models


def test_what_nobody_changed_since_stays_whose_it_was(review, sent: list[Annotation]) -> None:
    (first,) = only(review(reviewed), Annotation)
    before = [first.model_copy(update={"by": "annotator-7"})]
    assert only(review(reviewed, before=before), Annotation) == before

    def corrected(image: Element) -> None:
        reviewed(image)
        move(image, "nose_ridge_3", 2.0)

    (second,) = only(review(corrected, before=before), Annotation)
    assert second.by == "annotator-1"


def test_faces_and_masks_come_back_in_the_order_in_which_they_went(
    review, sent: list[Annotation]
) -> None:
    first = sent[0].faces[0]
    faces = tuple(first.model_copy(update={"face_id": name}) for name in ("10", "2", "1"))
    masks = tuple(
        Mask(label="person", left=left, top=1, right=left + 1, bottom=1, rle=(0, 2))
        for left in (30, 10)
    )
    sent[:] = [one.model_copy(update={"faces": faces, "masks": masks}) for one in sent]
    (annotation,) = only(review(reviewed), Annotation)
    assert annotation.faces == faces
    assert annotation.masks == masks


def test_a_mask_that_was_not_shown_stays(review, sent: list[Annotation]) -> None:
    hair = Mask(label="hair", left=1, top=1, right=2, bottom=1, rle=(0, 2))
    sent[:] = [one.model_copy(update={"masks": (*one.masks, hair)}) for one in sent]

    def without_person(image: Element) -> None:
        reviewed(image)
        for mask in image.findall("mask"):
            image.remove(mask)

    (annotation,) = only(review(without_person), Annotation)
    assert annotation.masks == (hair,)


def test_a_moved_point_is_the_persons(review, sent: list[Annotation], schema: LabelSchema) -> None:
    (annotation,) = only(review(lambda image: move(image, "nose_ridge_3", 6.25)), Annotation)
    face, before = annotation.faces[0], sent[0].faces[0]
    index = schema.point_names.index("nose_ridge_3")
    after, old = face.landmarks["ibug68"], before.landmarks["ibug68"]
    assert after.points[index] == (old.points[index][0] + 6.25, old.points[index][1])
    assert after.confidence[index] == 1
    others = [i for i in range(68) if i != index]
    assert [after.points[i] for i in others] == [old.points[i] for i in others]
    assert [after.confidence[i] for i in others] == [old.confidence[i] for i in others]
    assert set(face.landmarks) == {"ibug68"}
    assert (face.pose, face.quality, face.blendshapes) == (
        before.pose,
        before.quality,
        before.blendshapes,
    )
    assert annotation.faces[1] == sent[0].faces[1]


def test_a_misread_face_loses_the_models_measures(review, schema: LabelSchema) -> None:
    def shift_all(image: Element) -> None:
        for name in schema.point_names:
            move(image, name, 40)

    (annotation,) = only(review(shift_all), Annotation)
    face = annotation.faces[0]
    assert (face.pose, face.lighting, face.quality, face.blendshapes) == (None, None, None, {})
    assert set(face.landmarks["ibug68"].confidence) == {1.0}


def test_a_redrawn_box_has_the_persons_score(review, sent: list[Annotation]) -> None:
    def widen(image: Element) -> None:
        box = face_shape(image, "box", "0")
        box.set("xbr", "305.00")
        box.set("source", "semi-auto")

    (annotation,) = only(review(widen), Annotation)
    face, before = annotation.faces[0], sent[0].faces[0]
    assert (face.box, face.score) == ((100, 80, 305, 280), 1.0)
    assert face.landmarks["ibug68"] == before.landmarks["ibug68"]
    assert face.pose == before.pose


def test_attributes_dropped_and_order_shuffled(review, sent: list[Annotation]) -> None:
    def mangle(image: Element) -> None:
        reviewed(image)
        for shape in [*image.iterfind("box"), *image.iterfind("skeleton")]:
            for part in shape.iter():
                for attribute in part.findall("attribute"):
                    part.remove(attribute)
        random.Random(4).shuffle(children := list(image))
        image[:] = children

    (annotation,) = only(review(mangle), Annotation)
    assert annotation.faces == sent[0].faces


def test_a_deleted_face_is_gone_and_a_drawn_one_is_new(review, sent: list[Annotation]) -> None:
    def redraw(image: Element) -> None:
        image.remove(face_shape(image, "box", "1"))
        image.remove(face_shape(image, "skeleton", "1"))
        SubElement(
            image, "box", label="face", source="manual", occluded="0",
            xtl="500", ytl="300", xbr="600", ybr="400", z_order="0",
        )  # fmt: skip

    records = review(redraw)
    (annotation,) = only(records, Annotation)
    first, new = annotation.faces
    assert first == sent[0].faces[0]
    assert (new.face_id, new.box, new.score, new.pose) == ("2", (500, 300, 600, 400), 1.0, None)
    verdicts = {one.check: one.passed for one in only(records, Verdict)}
    assert verdicts["skeleton_complete"] is False


def test_occlusion_and_attributes_come_back(review, schema: LabelSchema) -> None:
    def describe(image: Element) -> None:
        reviewed(image)
        box, skeleton = face_shape(image, "box", "0"), face_shape(image, "skeleton", "0")
        for attribute in box.iterfind("attribute"):
            if attribute.get("name") == "glasses":
                attribute.text = "dark"
        for points in skeleton.iterfind("points"):
            if points.attrib["label"].startswith("eye_left"):
                points.set("occluded", "1")

    (annotation,) = only(review(describe), Annotation)
    face = annotation.faces[0]
    assert face.attributes == {"glasses": "dark"}
    eyes = np.flatnonzero(np.asarray(face.landmarks["ibug68"].visibility) == 1)
    assert [schema.point_names[i] for i in eyes] == [f"eye_left_{i}" for i in range(6)]
    assert {face.landmarks["ibug68"].confidence[i] for i in eyes} == {1.0}


def test_a_minor_seen_by_a_person_fails_the_gate(review) -> None:
    def stop(image: Element) -> None:
        tag = SubElement(image, "tag", label="do_not_use", source="manual")
        SubElement(tag, "attribute", name="reason").text = "minor"

    verdicts = {one.check: one for one in only(review(stop), Verdict)}
    assert not verdicts["not_stopped"].passed
    assert not verdicts["adult"].passed
    assert verdicts["adult"].measured is None


def test_unknown_label_rejects_the_return_and_says_so(review) -> None:
    def foreign(image: Element) -> None:
        reviewed(image)
        SubElement(image, "polygon", label="hair", source="manual", points="1,1;2,2;3,1")

    records = review(foreign)
    assert only(records, Annotation) == []
    (rejected,) = only(records, Rejected)
    assert "polygon 'hair'" in rejected.detail


def test_labels_of_another_size_are_rejected(review) -> None:
    def resized(image: Element) -> None:
        reviewed(image)
        image.set("width", "320")

    (rejected,) = only(review(resized), Rejected)
    assert "320×480 px but has 640×480" in rejected.detail


def test_batch_is_returned_once_all_images_are(review, pictures) -> None:
    assert only(review(reviewed), Batch) == []


def test_whole_batch_returned(review) -> None:
    records = review(reviewed, every=True)
    (batch,) = only(records, Batch)
    assert batch.state == "returned"
    assert [one.image_id for one in only(records, Annotation)] == list(batch.image_ids)


def test_what_the_exchange_rejected_is_kept(pictures, schema: LabelSchema) -> None:
    batch = make_batch(list(pictures), schema.version)
    damaged = returned_rejected("x.zip", "It is damaged: export it again.")
    returned = Returned(batch_id=batch.batch_id, images=(), rejected=(damaged,))
    assert accept(batch, returned, pictures.records(), [], schema, params=PARAMS) == [damaged]


def test_a_stop_holds_though_the_rest_does_not_fit(review) -> None:
    def stop(image: Element) -> None:
        tag = SubElement(image, "tag", label="do_not_use", source="manual")
        SubElement(tag, "attribute", name="reason").text = "minor"
        image.set("width", "320")

    rejected, stopped, *verdicts = review(stop)
    assert isinstance(rejected, Rejected)
    assert isinstance(stopped, Stop)
    assert stopped.is_standing
    assert [(one.check, one.passed) for one in verdicts] == [
        ("not_stopped", False),
        ("adult", False),
    ]


def test_a_stop_in_another_batch_holds_here(pictures, schema: LabelSchema) -> None:
    batch = make_batch(list(pictures), schema.version)
    stopped, _, *others = batch.image_ids

    def back(image_id: str) -> ReturnedImage:
        name = f"{image_id[:16]}.png"
        shapes = ImageShapes(
            name=name, width_px=640, height_px=480, tags=(Tag(label="reviewed", attributes={}),)
        )
        at = "2026-11-23T00:00:00Z"
        return ReturnedImage(image_id=image_id, shapes=shapes, by="annotator", returned_at=at)

    returned = Returned(batch_id=batch.batch_id, images=tuple(map(back, [stopped, *others])))
    given = (batch, returned, pictures.records(), [], schema)
    records = accept(*given, params=PARAMS, stopped={stopped})
    verdicts = [one for one in records if isinstance(one, Verdict) and one.check == "not_stopped"]
    assert {one.image_id for one in verdicts if not one.passed} == {stopped}
    assert not any(one.is_standing for one in records if isinstance(one, Stop))
    assert not [one for one in records if isinstance(one, Batch)]


def test_an_image_erased_meanwhile_is_rejected(pictures, schema: LabelSchema) -> None:
    batch = make_batch(list(pictures), schema.version)
    back = ReturnedImage(
        image_id=batch.image_ids[0],
        shapes=ImageShapes(name="a.png", width_px=640, height_px=480),
        by="annotator",
        returned_at="2026-11-23T00:00:00Z",
    )
    returned = Returned(batch_id=batch.batch_id, images=(back,))
    (rejected,) = accept(batch, returned, [], [], schema, params=PARAMS)
    assert isinstance(rejected, Rejected)
    assert "no longer kept" in rejected.detail
