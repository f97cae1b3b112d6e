"""What a person's return becomes: an annotation of theirs, joined with what CVAT does not carry.

What a person touched wins. Per face, compared with the labels that were sent:

- A point that is where it was keeps the model's confidence; one that was moved, or whose
  visibility was changed, has confidence 1. The same holds for the box and the score.
- A face nobody moved keeps all the model's measures.
- A moved face loses its other landmark schemas: they would contradict the person. It keeps pose,
  lighting, quality and blendshapes while the shift is small (`ReviewParams.measures_kept_within`):
  they are measured on the picture's pixels, not on the moved points, and a touch-up does not make
  them wrong. Beyond it the model was looking at something else, and they are dropped.
- A face that a person drew has none; a face that is not in the return is gone.

Masks that the schema has no label for were not shown, and stay.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import numpy as np

from annotation.batches import ADULT
from annotation.checks import CheckParams, verdicts
from annotation.conversion import DECIMALS, Labels, from_shapes
from annotation.exchange import Returned, ReturnedImage, returned_rejected
from annotation.schema import DO_NOT_USE, REVIEWED, LabelSchema
from faces.schema import load_schema
from mirrorset.decisions import NOT_STOPPED
from mirrorset.records import (
    Annotation,
    Batch,
    Face,
    ImageRecord,
    Landmarks,
    Record,
    Rejected,
    Stop,
    Verdict,
    Xyxy,
)


class ReviewParams(Record):
    """How returns are judged.

    measures_kept_within: largest mean shift of a face's points, as a share of the interocular
    distance, and of its box's edges, as a share of the box's longer side, up to which the model's
    pose, lighting, quality and blendshapes stay. Off-the-shelf points are off by 0.02 to 0.03.
    """

    measures_kept_within: float = 0.1
    checks: CheckParams = CheckParams()


def accept(
    batch: Batch,
    returned: Returned,
    images: Sequence[ImageRecord],
    sent: Sequence[Annotation],
    schema: LabelSchema,
    *,
    params: ReviewParams,
    before: Collection[Annotation] = (),
    stopped: Collection[str] = (),
) -> list[Record]:
    """Annotations (of the origin they came back with), stops, verdicts and what was rejected.

    images and sent: the records and the model's annotations of the batch, in any order. before:
    what people have said of its images in earlier returns; what nobody has changed since stays as
    it is, whoever has the job now. stopped: images with a stop in another batch. Verdicts are on
    what annotators and gold say; of a replica, and of an image that is not finished, only stops
    count, and a stop on any return of an image, in any batch, is the last word. The batch itself
    follows as "returned" once every image of it has come back and was accepted, now or before.
    Rejected (CHECK_FAILED): an image whose shapes do not fit the schema (a stop on it holds all the
    same), whose size has changed or that is no longer kept, and what `returned` rejects.
    """
    image_by_id = {image.image_id: image for image in images}
    sent_by_id = {annotation.image_id: annotation for annotation in sent}
    records: list[Record] = []
    stops: list[Record] = []
    said_last = {_look(one): one for one in sorted(before, key=_made_at)}
    accepted = {one.image_id for one in before if one.origin != "replica"}
    for back in returned.images:
        image, label = image_by_id.get(back.image_id), sent_by_id.get(back.image_id)
        if image is not None:
            stops += _stops(back, batch.batch_id, stopped)
        if not back.is_finished:
            continue
        labels = _labels(back, image, label, schema)
        if isinstance(labels, Rejected):
            records.append(labels)
            continue
        annotation = _annotation(back, batch.batch_id, labels, label, schema, params)
        annotation = _still(annotation, said_last.get(_look(annotation)))
        records.append(annotation)
        if annotation.origin != "replica":
            records += verdicts(
                annotation, back.shapes.width_px, back.shapes.height_px, schema, params.checks
            )
            accepted.add(back.image_id)
    # Of two verdicts of one check on one image, the later one is kept.
    records += [*stops, *returned.rejected]
    if accepted.issuperset(batch.image_ids):
        records.append(batch.model_copy(update={"state": "returned"}))
    return records


def _made_at(annotation: Annotation) -> datetime:
    return annotation.made_at


def _still(annotation: Annotation, before: Annotation | None) -> Annotation:
    """The annotation; where it says what was said before, by whom and when that was said."""
    if before is None:
        return annotation
    still = annotation.model_copy(update={"by": before.by, "made_at": before.made_at})
    is_same = still == before.model_copy(update={"provenance": still.provenance})
    return still if is_same else annotation


def superseded(records: Iterable[Record], before: Iterable[Annotation]) -> list[Annotation]:
    """The replicas among `before` that `records` give to somebody else: a job is one look."""
    owners = {
        _look(one): one.by
        for one in records
        if isinstance(one, Annotation) and one.origin == "replica"
    }
    return [
        one
        for one in before
        if one.origin == "replica" and owners.get(_look(one), one.by) != one.by
    ]


def _look(annotation: Annotation) -> tuple[str, ...]:
    """Of what later labels take the place: the image's, or those of one job that is a replica."""
    if annotation.origin != "replica":
        return annotation.image_id, annotation.origin
    place = annotation.provenance
    # An archive does not say which job it is of.
    where = (place.server, place.task, place.job) if place else (annotation.batch_id, annotation.by)
    return annotation.image_id, annotation.origin, *where


def _labels(
    back: ReturnedImage, image: ImageRecord | None, sent: Annotation | None, schema: LabelSchema
) -> Labels | Rejected:
    if image is None:
        return returned_rejected(
            back.image_id, f"{back.shapes.name} is an image that is no longer kept."
        )
    if (back.shapes.width_px, back.shapes.height_px) != (image.width_px, image.height_px):
        return returned_rejected(
            image.image_id,
            f"{back.shapes.name} came back as {back.shapes.width_px}×{back.shapes.height_px} px "
            f"but has {image.width_px}×{image.height_px}: the labels are of another picture.",
        )
    return from_shapes(image.image_id, back.shapes, schema, sent.faces if sent else ())


def _annotation(
    back: ReturnedImage,
    batch_id: str,
    labels: Labels,
    sent: Annotation | None,
    schema: LabelSchema,
    params: ReviewParams,
) -> Annotation:
    before = {face.face_id: face for face in sent.faces} if sent else {}
    places = {face_id: place for place, face_id in enumerate(before)}
    masks = {mask: place for place, mask in enumerate(sent.masks if sent else ())}
    unseen = (mask for mask in (sent.masks if sent else ()) if not schema.label(mask.label, "mask"))
    return Annotation(
        image_id=back.image_id,
        faces=tuple(
            _joined(face, before.get(face.face_id), schema, params)
            # As they were sent; a server keeps no order.
            for face in sorted(labels.faces, key=lambda one: places.get(one.face_id, len(places)))
        ),
        tags={name: value for name, value in labels.tags.items() if name != REVIEWED},
        masks=tuple(sorted((*labels.masks, *unseen), key=lambda mask: masks.get(mask, len(masks)))),
        origin=back.origin,
        by=back.by,
        batch_id=batch_id,
        # A corrected label still has its machine origin, and that model's licence.
        models=sent.models if sent else (),
        schema_version=schema.version,
        made_at=back.returned_at,
        provenance=back.provenance,
    )


def _joined(face: Face, sent: Face | None, schema: LabelSchema, params: ReviewParams) -> Face:
    """The returned face with what it keeps of the one that was sent."""
    name = schema.skeleton.name
    points = face.landmarks.get(name)
    before = sent.landmarks.get(name) if sent else None
    landmarks = {name: _confident(points, before)} if points else {}
    if sent is None:
        return face.model_copy(update={"landmarks": landmarks, "score": 1.0})
    moved = max(_box_shift(face.box, sent.box), _point_shift(points, before, name))
    is_same_box = _rounded(face.box) == _rounded(sent.box)
    kept = {key: value for key, value in sent.attributes.items() if not _has(schema, key)}
    update: dict[str, object] = {
        "box": sent.box if is_same_box else face.box,
        "score": sent.score if is_same_box else 1.0,
        "attributes": face.attributes | kept,
        "landmarks": landmarks if moved else sent.landmarks | landmarks,
    }
    if not moved:
        update["uncertainty"] = sent.uncertainty
    if moved <= params.measures_kept_within:
        measures = ("pose", "lighting", "quality", "blendshapes")
        update |= {measure: getattr(sent, measure) for measure in measures}
    return face.model_copy(update=update)


def _confident(points: Landmarks, before: Landmarks | None) -> Landmarks:
    """The points; an untouched one as it was sent, a touched one with confidence 1."""
    if before is None:
        return points.model_copy(update={"confidence": (1.0,) * len(points.points)})
    is_there = [
        _rounded(after) == _rounded(sent)
        for after, sent in zip(points.points, before.points, strict=True)
    ]
    is_same = [
        there and now == then
        for there, now, then in zip(is_there, points.visibility, before.visibility, strict=True)
    ]
    return Landmarks(
        points=tuple(
            sent if there else after
            for there, after, sent in zip(is_there, points.points, before.points, strict=True)
        ),
        visibility=points.visibility,
        confidence=tuple(
            sent if same else 1.0 for same, sent in zip(is_same, before.confidence, strict=True)
        ),
    )


def _point_shift(after: Landmarks | None, before: Landmarks | None, schema: str) -> float:
    """Mean shift of the points given in both, as a share of the interocular distance before."""
    if after is None or before is None:
        return 0.0 if after is before else float("inf")
    old, new = np.round(before.points, DECIMALS), np.round(after.points, DECIMALS)
    given = (np.asarray(before.visibility) > 0) & (np.asarray(after.visibility) > 0)
    if not given.any():
        return 0.0
    shift = float(np.linalg.norm(new - old, axis=1)[given].mean())
    return shift / max(load_schema(schema).interocular_px(old), 1.0)


def _box_shift(after: Xyxy, before: Xyxy) -> float:
    """Largest shift of an edge as a share of the box's longer side before."""
    old, new = np.round(before, DECIMALS), np.round(after, DECIMALS)
    return float(np.abs(new - old).max()) / max(float((old[2:] - old[:2]).max()), 1.0)


def _rounded(numbers: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(number, DECIMALS) for number in numbers)


def _has(schema: LabelSchema, attribute: str) -> bool:
    return any(spec.name == attribute for spec in schema.face.attributes)


def _stops(back: ReturnedImage, batch_id: str, stopped: Collection[str]) -> list[Record]:
    """Whether a person stops the image, here or in another batch (`stopped`); this counts also
    where the rest of the return is of no use.
    """
    tags = [tag for tag in back.shapes.tags if tag.label == DO_NOT_USE]
    if not tags and not back.is_finished:
        return []
    image_id = back.image_id
    passed = not tags and image_id not in stopped
    found: list[Record] = [
        Stop(batch_id=batch_id, image_id=image_id, is_standing=bool(tags)),
        Verdict(image_id=image_id, check=NOT_STOPPED, passed=passed),
    ]
    if any("minor" in tag.attributes.values() for tag in tags):
        found.append(Verdict(image_id=image_id, check=ADULT, passed=False))
    return found
