"""What may be sent to annotators: the pictures that were once looked at, with labels that fit.

A CVAT server checks neither. One picture that it cannot read fails the task of all, and labels
that do not fit are taken and spoil what is exported later. So both are judged before they leave: a
picture by its checksum, for it was decoded when its record was made.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from annotation.checks import CheckParams
from annotation.conversion import from_shapes, to_shapes
from annotation.exchange import Contents, image_name
from annotation.schema import LabelSchema
from annotation.shapes import ImageShapes, Rectangle, Skeleton
from mirrorset.errors import InputError, IntegrityError
from mirrorset.records import Annotation, Batch, ImageRecord, Reason, Record, Rejected

# Bytes are read from a store that may be far, and hashed, while Python's lock is free.
_PARALLEL = 4
_MAX_OVERHANG = CheckParams().max_overhang


class Outgoing(Record):
    """One image on its way out, under the name annotators see, with the labels it goes with."""

    image: ImageRecord
    label: Annotation
    shapes: ImageShapes


def outgoing(
    batch: Batch,
    images: Sequence[ImageRecord],
    annotations: Sequence[Annotation],
    schema: LabelSchema,
) -> list[Outgoing]:
    """The images of the batch in its order. Raises InputError where one has no record or labels."""
    image_by_id = {image.image_id: image for image in images}
    label_by_id = {label.image_id: label for label in annotations}
    for image_id in batch.image_ids:
        if image_id not in image_by_id or image_id not in label_by_id:
            raise InputError(
                f"Batch {batch.batch_id} cannot be pushed: image {image_id} has no record or no "
                "labels; pre-label it first."
            )
    return [
        _outgoing(image_by_id[image_id], label_by_id[image_id], schema)
        for image_id in batch.image_ids
    ]


def sendable(
    batch: Batch,
    images: Sequence[ImageRecord],
    contents: Contents,
    annotations: Sequence[Annotation],
    schema: LabelSchema,
) -> tuple[Batch, list[Rejected]]:
    """The batch without what cannot be sent, and why that stays: one image never holds up others.

    Rejected are: bytes that are gone or have changed (CHECKSUM, which a new crawl may mend), and
    labels that are no legal shapes inside the image (CHECK_FAILED). Unchanged bytes need no look:
    all of them were decoded when their record was made.
    """
    frames = outgoing(batch, images, annotations, schema)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        missing = pool.map(lambda one: _missing(one.image.image_id, contents), frames)
        misdrawn = [_misdrawn(one, schema) for one in frames]
        pairs = zip(misdrawn, missing, strict=True)
        refused = [one for pair in pairs if (one := pair[0] or pair[1])]
    if not refused:
        return batch, []
    ids = {one.item_id for one in refused}
    kept = tuple(image_id for image_id in batch.image_ids if image_id not in ids)
    return batch.model_copy(update={"image_ids": kept}), refused


def unfit(shapes: ImageShapes, schema: LabelSchema) -> str | None:
    """What is wrong with labels before they are drawn, as one sentence; None where nothing is.

    Boxes are upright and in the image, as far as the check `box_inside` asks, skeletons have every
    point once, and all labels, values and masks are the schema's. Points may lie outside the image:
    a face can be cut off by it.
    """
    for rectangle in shapes.rectangles:
        if fault := _box_fault(rectangle, shapes):
            return f"a box of {shapes.name} {fault}."
    for skeleton in shapes.skeletons:
        if fault := _skeleton_fault(skeleton, schema):
            return f"a skeleton of {shapes.name} {fault}."
    read = from_shapes("0" * 64, shapes, schema)
    return read.detail if isinstance(read, Rejected) else None


def _outgoing(image: ImageRecord, label: Annotation, schema: LabelSchema) -> Outgoing:
    shapes = to_shapes(label, image_name(image), image.width_px, image.height_px, schema)
    return Outgoing(image=image, label=label, shapes=shapes)


def _misdrawn(one: Outgoing, schema: LabelSchema) -> Rejected | None:
    fault = unfit(one.shapes, schema)
    if fault is None:
        return None
    return _rejected(one.image.image_id, Reason.CHECK_FAILED, f"Its labels are unfit: {fault}")


def _missing(image_id: str, contents: Contents) -> Rejected | None:
    try:
        contents.get(image_id)
    except (InputError, IntegrityError) as error:
        return _rejected(image_id, Reason.CHECKSUM, str(error))
    return None


def _rejected(image_id: str, reason: Reason, detail: str) -> Rejected:
    return Rejected(
        item_id=image_id,
        step="annotate",
        reason=reason,
        detail=detail,
        is_retryable=reason is Reason.CHECKSUM,
    )


def _box_fault(rectangle: Rectangle, shapes: ImageShapes) -> str | None:
    left, top, right, bottom = rectangle.box
    if not all(map(math.isfinite, rectangle.box)) or right <= left or bottom <= top:
        return "is inverted or empty"
    overhang = max(-left, -top, right - shapes.width_px, bottom - shapes.height_px)
    if overhang > _MAX_OVERHANG * max(right - left, bottom - top):
        return "reaches out of the image"
    return None


def _skeleton_fault(skeleton: Skeleton, schema: LabelSchema) -> str | None:
    names = [element.label for element in skeleton.elements]
    if sorted(names) != sorted(schema.point_names):
        return f"does not have each of its {len(schema.point_names)} points once"
    if not all(math.isfinite(value) for one in skeleton.elements for value in one.point):
        return "has a point without a place"
    return None
