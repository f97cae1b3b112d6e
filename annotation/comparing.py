"""Two annotations of one image, held against each other: numbers and contingency tables.

Points count where both annotations give them (visibility 1 or 2); of which points are given, the
kappa of visibility tells. A value is the mean over the image's faces, so that an image counts once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annotation.schema import FACE_ID, REVIEWED, SCORE, LabelSchema
from faces.masks import decode
from faces.matching import match_faces
from faces.pose import RIGID, angle_between, head_rotation
from faces.schema import LandmarkSchema, load_schema
from mirrorset.geometry import area, iou
from mirrorset.metrics import mask_iou, nme, oks
from mirrorset.records import Annotation, Face, Landmarks, Mask

Value = Literal["nme", "oks", "pose_error_deg", "box_iou", "mask_iou", "faces_matched"]
Kappa = Literal["visibility_kappa", "point_visibility_kappa", "tag_kappa", "attribute_kappa"]
Floats = NDArray[np.float64]

ABSENT = "absent"
PRESENT = "true"
_POSED = "ibug68"


@dataclass(frozen=True)
class Compared:
    """values, tables: by label and measure. A label is one of the schema's, a part of its skeleton
    ("ibug68.jaw") or an attribute of its face ("face.glasses"). tables: (C, C), rows the first
    annotation's, classes in the schema's order; or, of "point_visibility_kappa", (K, 3, 3), a table
    a point.
    """

    values: Mapping[tuple[str, Value], float]
    tables: Mapping[tuple[str, Kappa], Floats]


def compare(
    annotation: Annotation, reference: Annotation, schema: LabelSchema, *, is_truth: bool
) -> Compared:
    """Hold `annotation` against `reference`, two annotations of one image.

    is_truth: distances are shares of the reference's interocular distance and its box's area; else
    neither is the measure of the other, and both count with their mean.
    """
    matched = match_faces(annotation.faces, reference.faces)
    values: dict[tuple[str, Value], list[float]] = defaultdict(list)
    tables: dict[tuple[str, Kappa], Floats] = {}
    every = len(matched.pairs) + len(matched.first) + len(matched.second)
    face = schema.face.name
    values[face, "faces_matched"].append(len(matched.pairs) / every if every else 1.0)
    for one, other in matched.pairs:
        values[face, "box_iou"].append(float(iou([one.box], [other.box])[0, 0]))
        for of_value, value in _point_values(one, other, schema, is_truth):
            values[of_value].append(value)
        answers = (*_visibility(one, other, schema), *_attributes(one, other, schema))
        for of_kappa, table in answers:
            tables[of_kappa] = tables.get(of_kappa, 0.0) + table
    for label, overlap in _masks(annotation.masks, reference.masks, schema):
        values[label, "mask_iou"].append(overlap)
    tables |= dict(_tags(annotation.tags, reference.tags, schema))
    return Compared({key: float(np.mean(each)) for key, each in values.items()}, tables)


def _point_values(
    one: Face, other: Face, schema: LabelSchema, is_truth: bool
) -> Iterator[tuple[tuple[str, Value], float]]:
    name = schema.skeleton.name
    first, second = one.landmarks.get(name), other.landmarks.get(name)
    if first is None or second is None:
        return
    landmarks = load_schema(name)
    a, b = np.asarray(first.points), np.asarray(second.points)
    given = (np.asarray(first.visibility) > 0) & (np.asarray(second.visibility) > 0)
    unit_px, area_px2 = landmarks.interocular_px(b), float(area(other.box)[0])
    if not is_truth:
        unit_px = (unit_px + landmarks.interocular_px(a)) / 2
        area_px2 = (area_px2 + float(area(one.box)[0])) / 2
    if not unit_px > 0 or not area_px2 > 0:
        return
    for part, indices in skeleton_parts(landmarks).items():
        counted = [index for index in indices if given[index]]
        if counted:
            yield (part, "nme"), nme(a[counted], b[counted], unit_px)
    if landmarks.sigmas and given.any():
        yield (name, "oks"), oks(a, b, given, area_px2, landmarks.sigmas)
    if name == _POSED and given[list(RIGID)].all():
        try:
            angle = angle_between(head_rotation(a), head_rotation(b))
        except ValueError:
            return
        yield (name, "pose_error_deg"), angle


def skeleton_parts(landmarks: LandmarkSchema) -> dict[str, tuple[int, ...]]:
    """Indices of all points under the schema's name, then of each part ("ibug68.jaw")."""
    parts = {f"{landmarks.name}.{part}": indices for part, indices in landmarks.groups().items()}
    return {landmarks.name: tuple(range(len(landmarks.names)))} | parts


def _visibility(
    one: Face, other: Face, schema: LabelSchema
) -> Iterator[tuple[tuple[str, Kappa], Floats]]:
    name = schema.skeleton.name
    if name not in one.landmarks and name not in other.landmarks:
        return
    first, second = (_visibilities(face.landmarks.get(name), schema) for face in (one, other))
    points = np.zeros((len(first), 3, 3))
    points[np.arange(len(first)), first, second] = 1
    yield (name, "point_visibility_kappa"), points
    for part, indices in skeleton_parts(load_schema(name)).items():
        yield (part, "visibility_kappa"), points[list(indices)].sum(axis=0)


def _visibilities(landmarks: Landmarks | None, schema: LabelSchema) -> NDArray[np.int64]:
    """(K,); a face without a skeleton gives no point."""
    if landmarks is None:
        return np.zeros(len(schema.point_names), dtype=np.int64)
    return np.asarray(landmarks.visibility, dtype=np.int64)


def _attributes(
    one: Face, other: Face, schema: LabelSchema
) -> Iterator[tuple[tuple[str, Kappa], Floats]]:
    for spec in schema.face.attributes:
        if spec.kind != "select" or spec.name in (FACE_ID, SCORE):
            continue
        first, second = (face.attributes.get(spec.name, spec.default) for face in (one, other))
        label = f"{schema.face.name}.{spec.name}"
        yield (label, "attribute_kappa"), _answer(first, second, spec.values)


def _tags(
    first: Mapping[str, str], second: Mapping[str, str], schema: LabelSchema
) -> Iterator[tuple[tuple[str, Kappa], Floats]]:
    for label in schema.labels:
        if label.shape != "tag" or label.name == REVIEWED:
            continue
        options = label.attributes[0].values if label.attributes else (PRESENT,)
        a, b = first.get(label.name, ABSENT), second.get(label.name, ABSENT)
        yield (label.name, "tag_kappa"), _answer(a, b, (ABSENT, *options))


def _answer(first: str, second: str, options: Sequence[str]) -> Floats:
    """One pair of answers as a table; an answer of another schema's is a class of its own, last."""
    table = np.zeros((len(options) + 1, len(options) + 1))
    place = {option: index for index, option in enumerate(options)}
    table[place.get(first, -1), place.get(second, -1)] = 1
    return table


def _masks(
    first: Sequence[Mask], second: Sequence[Mask], schema: LabelSchema
) -> Iterator[tuple[str, float]]:
    for label in (label.name for label in schema.labels if label.shape == "mask"):
        a = [mask for mask in first if mask.label == label]
        b = [mask for mask in second if mask.label == label]
        if a or b:
            yield label, overlap_of(a, b)


def overlap_of(first: Sequence[Mask], second: Sequence[Mask]) -> float:
    """IoU of what the masks of `first` and of `second` cover together."""
    height = max(mask.bottom for mask in (*first, *second)) + 1
    width = max(mask.right for mask in (*first, *second)) + 1

    def covered(masks: Sequence[Mask]) -> NDArray[np.bool_]:
        whole = np.zeros((height, width), dtype=np.bool_)
        for mask in masks:
            whole |= decode(mask, height, width)
        return whole

    return mask_iou(covered(first), covered(second))
