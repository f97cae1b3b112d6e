"""Between an Annotation and the shapes that CVAT draws: pure, both ways, nothing lost.

| record                          | CVAT                                                       |
|---------------------------------|------------------------------------------------------------|
| Face.box, score, attributes     | rectangle with the attributes face_id, score and the rest   |
| Face.landmarks[skeleton's name] | skeleton with the same face_id; group stays 0               |
| a point's visibility 2, 1, 0    | visible, occluded, outside                                 |
| a point's confidence            | attribute of the skeleton's element                        |
| Mask                            | mask: run lengths, left, top, width, height                |
| tags["lighting"] = "left"       | tag `lighting` with its one attribute; none means "true"   |

Coordinates are kept to CVAT's 2 decimals. What CVAT has no place for (pose, lighting, quality,
blendshapes, other landmark schemas) stays here and is joined again by `annotation.review`.
"""

from collections.abc import Sequence

from pydantic import ValidationError

from annotation.linking import assign_face_ids, assign_skeletons
from annotation.schema import (
    CONFIDENCE,
    FACE_ID,
    SCORE,
    UNSET,
    AttributeSpec,
    LabelSchema,
)
from annotation.shapes import (
    Element,
    ForeignShape,
    ImageShapes,
    MaskShape,
    Rectangle,
    Shape,
    Skeleton,
    Tag,
)
from mirrorset.records import Annotation, Face, Landmarks, Mask, Reason, Record, Rejected

DECIMALS = 2


class Labels(Record):
    """What shapes say: the part of an Annotation that CVAT carries."""

    faces: tuple[Face, ...]
    tags: dict[str, str]
    masks: tuple[Mask, ...]


class _UnfitError(Exception):
    """A shape that does not fit the label schema, as one sentence."""


def to_shapes(
    annotation: Annotation, name: str, width_px: int, height_px: int, schema: LabelSchema
) -> ImageShapes:
    """The annotation as shapes of the image `name`.

    Left out is a mask for which the schema has no label, as the classes of face parsing.
    """
    skeletons = (_skeleton(face, schema) for face in annotation.faces)
    return ImageShapes(
        name=name,
        width_px=width_px,
        height_px=height_px,
        rectangles=tuple(_rectangle(face, schema) for face in annotation.faces),
        skeletons=tuple(skeleton for skeleton in skeletons if skeleton),
        masks=tuple(
            _mask_shape(mask) for mask in annotation.masks if schema.label(mask.label, "mask")
        ),
        tags=tuple(_tag(name, value, schema) for name, value in sorted(annotation.tags.items())),
    )


def from_shapes(
    image_id: str, shapes: ImageShapes, schema: LabelSchema, sent: Sequence[Face] = ()
) -> Labels | Rejected:
    """The faces, tags and masks that the shapes say, in the order of face ids and of masks.

    sent: the faces that were pushed; a rectangle that lost its face_id takes it from the one it
    overlaps most. Rejected (CHECK_FAILED) where a shape does not fit the schema.
    """
    try:
        for shape in shapes.every():
            _refuse_unfit(shape, schema)
        return Labels(
            faces=_faces(shapes, schema, sent),
            tags={tag.label: _tag_value(tag, schema) for tag in sorted(shapes.tags, key=_by_label)},
            masks=tuple(sorted((_mask(mask, shapes) for mask in shapes.masks), key=_mask_order)),
        )
    except _UnfitError as unfit:
        return Rejected(
            item_id=image_id,
            step="annotate",
            reason=Reason.CHECK_FAILED,
            detail=f"{shapes.name}: {unfit}",
        )


# --- to CVAT ----------------------------------------------------------------------------------


def _rectangle(face: Face, schema: LabelSchema) -> Rectangle:
    values = {FACE_ID: face.face_id, SCORE: str(face.score)}
    values |= {spec.name: face.attributes.get(spec.name, spec.default) for spec in _free(schema)}
    left, top, right, bottom = (round(value, DECIMALS) for value in face.box)
    return Rectangle(label=schema.face.name, attributes=values, box=(left, top, right, bottom))


def _skeleton(face: Face, schema: LabelSchema) -> Skeleton | None:
    landmarks = face.landmarks.get(schema.skeleton.name)
    if landmarks is None:
        return None
    mean = sum(landmarks.confidence) / len(landmarks.confidence)
    return Skeleton(
        label=schema.skeleton.name,
        attributes={FACE_ID: face.face_id, CONFIDENCE: f"{mean:.4f}"},
        elements=tuple(
            Element(
                label=name,
                point=(round(x, DECIMALS), round(y, DECIMALS)),
                is_occluded=visibility == 1,
                is_outside=visibility == 0,
                attributes={CONFIDENCE: str(confidence)},
            )
            for name, (x, y), visibility, confidence in zip(
                schema.point_names,
                landmarks.points,
                landmarks.visibility,
                landmarks.confidence,
                strict=True,
            )
        ),
    )


def _mask_shape(mask: Mask) -> MaskShape:
    return MaskShape(
        label=mask.label,
        left=mask.left,
        top=mask.top,
        width=mask.right - mask.left + 1,
        height=mask.bottom - mask.top + 1,
        rle=mask.rle,
    )


def _tag(name: str, value: str, schema: LabelSchema) -> Tag:
    label = schema.label(name, "tag")
    named = label.attributes[:1] if label else ()
    return Tag(label=name, attributes={spec.name: value for spec in named})


def _free(schema: LabelSchema) -> list[AttributeSpec]:
    """The face's attributes that people set."""
    return [spec for spec in schema.face.attributes if spec.name not in (FACE_ID, SCORE)]


# --- from CVAT --------------------------------------------------------------------------------


def _refuse_unfit(shape: Shape, schema: LabelSchema) -> None:
    """Raise where label, kind or a value is not the schema's: CVAT's server accepts them."""
    if isinstance(shape, ForeignShape):
        raise _UnfitError(f"a {shape.kind} {shape.label!r} is no shape of {schema.version}.")
    kind = _KINDS[type(shape)]
    label = schema.label(shape.label, kind)
    if label is None:
        raise _UnfitError(f"the label {shape.label!r} ({kind}) is unknown to {schema.version}.")
    for spec in label.attributes:
        value = shape.attributes.get(spec.name, spec.default)
        if not spec.accepts(value):
            raise _UnfitError(f"{shape.label}'s {spec.name} is {value!r}, which is not allowed.")


def _faces(shapes: ImageShapes, schema: LabelSchema, sent: Sequence[Face]) -> tuple[Face, ...]:
    rectangles = sorted(shapes.rectangles, key=lambda rectangle: rectangle.box)
    if any(rectangle.rotation_deg for rectangle in rectangles):
        raise _UnfitError("a face box is rotated: draw it upright.")
    boxes = [rectangle.box for rectangle in rectangles]
    declared = [rectangle.attributes.get(FACE_ID, "") for rectangle in rectangles]
    points = [[element.point for element in one.elements] for one in shapes.skeletons]
    owners = assign_skeletons(
        points, [one.attributes.get(FACE_ID, "") for one in shapes.skeletons], boxes, declared
    )
    if None in owners:
        raise _UnfitError("a skeleton belongs to no face box: draw the box as well.")
    skeletons = dict(zip(owners, shapes.skeletons, strict=True))
    ids = assign_face_ids(boxes, declared, {face.face_id: face.box for face in sent})
    faces = [
        _face(face_id, rectangle, skeletons.get(index), schema)
        for index, (face_id, rectangle) in enumerate(zip(ids, rectangles, strict=True))
    ]
    return tuple(sorted(faces, key=lambda face: face_order(face.face_id)))


def _face(
    face_id: str, rectangle: Rectangle, skeleton: Skeleton | None, schema: LabelSchema
) -> Face:
    values = {
        spec.name: rectangle.attributes.get(spec.name, spec.default) for spec in _free(schema)
    }
    return Face(
        face_id=face_id,
        box=rectangle.box,
        score=float(rectangle.attributes.get(SCORE, "1")),
        landmarks={schema.skeleton.name: _landmarks(skeleton, schema)} if skeleton else {},
        attributes={name: value for name, value in values.items() if value not in UNSET},
    )


def _landmarks(skeleton: Skeleton, schema: LabelSchema) -> Landmarks:
    """The points in the schema's order; one that is not there counts as outside, at (0, 0)."""
    elements = {element.label: element for element in skeleton.elements}
    if len(elements) < len(skeleton.elements):
        raise _UnfitError("a skeleton has one point twice.")
    if strangers := sorted(elements.keys() - set(schema.point_names)):
        raise _UnfitError(f"a skeleton has a point {strangers[0]!r}, unknown to {schema.version}.")
    absent = Element(label="", point=(0, 0), is_outside=True, attributes={CONFIDENCE: "0"})
    ordered = [elements.get(name, absent) for name in schema.point_names]
    (spec,) = schema.skeleton.point_attributes
    values = [element.attributes.get(CONFIDENCE, spec.default) for element in ordered]
    if not all(spec.accepts(value) for value in values):
        raise _UnfitError("the confidence of a point is not between 0 and 1.")
    return Landmarks(
        points=tuple(element.point for element in ordered),
        visibility=tuple(
            0 if element.is_outside else 1 if element.is_occluded else 2 for element in ordered
        ),
        confidence=tuple(float(value) for value in values),
    )


def _mask(mask: MaskShape, shapes: ImageShapes) -> Mask:
    right, bottom = mask.left + mask.width - 1, mask.top + mask.height - 1
    is_inside = mask.left >= 0 and mask.top >= 0
    is_inside = is_inside and right < shapes.width_px and bottom < shapes.height_px
    if not is_inside or not mask.rle or min(mask.rle) < 0 or not any(mask.rle[1::2]):
        raise _UnfitError(f"the mask {mask.label!r} is empty or reaches out of the image.")
    try:
        return Mask(
            label=mask.label, left=mask.left, top=mask.top, right=right, bottom=bottom, rle=mask.rle
        )
    except ValidationError:
        raise _UnfitError(f"the run lengths of the mask {mask.label!r} do not fill it.") from None


def _tag_value(tag: Tag, schema: LabelSchema) -> str:
    label = schema.label(tag.label, "tag")
    if label is None or not label.attributes:
        return "true"
    (spec,) = label.attributes
    return tag.attributes.get(spec.name, spec.default)


def face_order(face_id: str) -> tuple[int, str]:
    """Sorting key of face ids: "2" before "10", numbers before words."""
    return (int(face_id) if face_id.isdecimal() else 2**63, face_id)


def _by_label(shape: Shape) -> str:
    return shape.label


def _mask_order(mask: Mask) -> tuple[str, int, int, int, int, tuple[int, ...]]:
    return mask.label, mask.left, mask.top, mask.right, mask.bottom, mask.rle


_KINDS: dict[type[Shape], str] = {
    Rectangle: "rectangle",
    Skeleton: "skeleton",
    MaskShape: "mask",
    Tag: "tag",
}
