from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from label_strategies import (
    HEIGHT,
    SCHEMA,
    WIDTH,
    annotated,
    face_lists,
    mask_lists,
    shuffled,
    tag_sets,
)

from annotation.conversion import Labels, from_shapes, to_shapes
from annotation.schema import LabelSchema
from annotation.shapes import ForeignShape, ImageShapes, MaskShape, Rectangle, Tag
from mirrorset.records import Face, Reason, Rejected


@given(face_lists(), mask_lists(), tag_sets, st.integers(0, 1000))
def test_round_trip_loses_nothing(faces, masks, tags, seed) -> None:
    shapes = to_shapes(annotated(faces, masks, tags), "a.jpg", WIDTH, HEIGHT, SCHEMA)
    labels = from_shapes("ab" * 32, shuffled(shapes, seed), SCHEMA)
    assert labels == Labels(faces=faces, tags=tags, masks=masks)


def test_visibility_is_cvats_flags(make_face: Callable[..., Face], schema: LabelSchema) -> None:
    face = make_face()
    points = face.landmarks["ibug68"].model_copy(update={"visibility": (2, 1, 0, *(2,) * 65)})
    face = face.model_copy(update={"landmarks": {"ibug68": points}})
    (skeleton,) = to_shapes(annotated((face,), (), {}), "a.jpg", WIDTH, HEIGHT, schema).skeletons
    flags = [(one.is_outside, one.is_occluded) for one in skeleton.elements[:3]]
    assert flags == [(False, False), (False, True), (True, False)]


def test_no_faces_no_shapes(schema: LabelSchema) -> None:
    shapes = to_shapes(annotated((), (), {}), "a.jpg", WIDTH, HEIGHT, schema)
    assert shapes.every() == ()
    assert from_shapes("ab" * 32, shapes, schema) == Labels(faces=(), tags={}, masks=())


def test_partial_skeleton_is_filled_as_outside(
    make_face: Callable[..., Face], schema: LabelSchema
) -> None:
    shapes = to_shapes(annotated((make_face(),), (), {}), "a.jpg", WIDTH, HEIGHT, schema)
    (skeleton,) = shapes.skeletons
    partial = skeleton.model_copy(update={"elements": skeleton.elements[:-1]})
    labels = from_shapes("ab" * 32, shapes.model_copy(update={"skeletons": (partial,)}), schema)
    assert isinstance(labels, Labels)
    points = labels.faces[0].landmarks["ibug68"]
    assert (points.points[-1], points.visibility[-1], points.confidence[-1]) == ((0, 0), 0, 0)


def unfit(shapes: ImageShapes, schema: LabelSchema) -> str:
    answer = from_shapes("ab" * 32, shapes, schema)
    assert isinstance(answer, Rejected)
    assert answer.reason == Reason.CHECK_FAILED
    assert answer.item_id == "ab" * 32
    return answer.detail


def test_what_cvat_accepts_and_we_do_not(
    make_face: Callable[..., Face], schema: LabelSchema
) -> None:
    fine = to_shapes(annotated((make_face(),), (), {}), "a.jpg", WIDTH, HEIGHT, schema)
    (box,), (skeleton,) = fine.rectangles, fine.skeletons
    twice = skeleton.model_copy(update={"elements": (*skeleton.elements, skeleton.elements[0])})
    off = MaskShape(label="person", left=630, top=0, width=20, height=1, rle=(0, 20))
    short = MaskShape(label="person", left=0, top=0, width=4, height=4, rle=(0, 15))
    empty = MaskShape(label="person", left=0, top=0, width=4, height=4, rle=(16,))
    wrong = box.model_copy(update={"attributes": box.attributes | {"occlusion": "WRONG"}})
    for update, words in [
        ({"foreign": (ForeignShape(label="hair", kind="polygon"),)}, "polygon 'hair'"),
        ({"rectangles": (Rectangle(label="car", box=(0, 0, 9, 9)),)}, "label 'car'"),
        ({"tags": (Tag(label="face"),)}, "label 'face' (tag)"),
        ({"rectangles": (wrong,)}, "occlusion is 'WRONG'"),
        ({"rectangles": (box.model_copy(update={"rotation_deg": 30.0}),)}, "rotated"),
        ({"rectangles": ()}, "no face box"),
        ({"skeletons": (twice,)}, "one point twice"),
        ({"masks": (off,)}, "out of the image"),
        ({"masks": (short,)}, "do not fill"),
        ({"masks": (empty,)}, "is empty"),
    ]:
        assert words in unfit(fine.model_copy(update=update), schema)


def test_lost_face_ids_are_found_by_overlap(
    make_face: Callable[..., Face], schema: LabelSchema
) -> None:
    faces = (make_face("0", 100, 80, 200), make_face("1", 400, 100, 120))
    shapes = to_shapes(annotated(faces, (), {}), "a.jpg", WIDTH, HEIGHT, schema)
    bare = shapes.model_copy(
        update={
            kind: tuple(
                one.model_copy(update={"attributes": {}}) for one in getattr(shapes, kind)[::-1]
            )
            for kind in ("rectangles", "skeletons")
        }
    )
    labels = from_shapes("ab" * 32, bare, schema, faces)
    assert isinstance(labels, Labels)
    for face, back in zip(faces, labels.faces, strict=True):
        assert (back.face_id, back.box) == (face.face_id, face.box)
        assert np.allclose(
            back.landmarks["ibug68"].points, face.landmarks["ibug68"].points, atol=1e-9
        )
