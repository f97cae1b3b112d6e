"""How far people moved what a model had labelled, per label and model profile: which to replace.

One edit is one pre-label that a person has had before them: a box, a part of a skeleton, a mask, a
tag. Those who deleted it moved it as far as can be.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annotation.comparing import ABSENT, overlap_of, skeleton_parts
from annotation.conversion import DECIMALS
from annotation.schema import REVIEWED, LabelSchema
from faces.matching import match_faces
from faces.profiles import PROFILES
from faces.schema import load_schema
from mirrorset.geometry import iou
from mirrorset.metrics import (
    percentile_interval,
    resampled,
    weighted_quantile,
    wilson_interval,
)
from mirrorset.records import Annotation, Face, Record


class EditParams(Record):
    """From which shift on a pre-label was wrong, not merely touched up.

    points: mean over a part's points, as a share of the interocular distance; the confidence of a
    point is the probability that it lies nearer (faces/uncertainty.py). box, mask: 1 − IoU.
    """

    points: float = Field(default=0.05, gt=0)
    box: float = Field(default=0.2, gt=0)
    mask: float = Field(default=0.1, gt=0)


class Edit(NamedTuple):
    """What became of one pre-label. label: as in `annotation.comparing`. profile: who made it.

    shift: points, mean shift over the interocular distance; box and mask, 1 − IoU; tag, 1 where
    it was changed. 0 is untouched. is_wrong: beyond `EditParams`.
    """

    image_id: str
    profile: str
    label: str
    shift: float
    is_wrong: bool


class Share(Record):
    """A share or a shift with its 95 % interval; images are drawn again."""

    value: float
    low: float
    high: float


class EditRow(Record):
    """The edits of one label of one profile.

    models: those of the profile that this label comes from; none where it is computed.
    """

    profile: str
    label: str
    models: tuple[str, ...]
    median: Share
    percentile_90: Share
    untouched: Share
    wrong: Share
    labels: int
    images: int


def edits(
    corrected: Annotation, sent: Annotation, schema: LabelSchema, params: EditParams
) -> Iterator[Edit]:
    """What a person made of each pre-label of `sent`."""
    image_id, profile = sent.image_id, sent.by
    matched = match_faces(corrected.faces, sent.faces)
    after_by_id = {before.face_id: after for after, before in matched.pairs}
    for before in sent.faces:
        after = after_by_id.get(before.face_id)
        overlap = 0.0 if after is None else float(iou([_box(after)], [_box(before)])[0, 0])
        yield Edit(
            image_id, profile, schema.face.name, 1 - overlap, is_wrong=1 - overlap > params.box
        )
        for part, shift in _point_shifts(before, after, schema):
            yield Edit(image_id, profile, part, shift, is_wrong=shift > params.points)
    for label in schema.labels:
        if label.shape == "mask":
            old = [mask for mask in sent.masks if mask.label == label.name]
            new = [mask for mask in corrected.masks if mask.label == label.name]
            if old:
                shift = 1 - overlap_of(new, old)
                yield Edit(image_id, profile, label.name, shift, is_wrong=shift > params.mask)
        elif label.shape == "tag" and label.name != REVIEWED:
            was = sent.tags.get(label.name, ABSENT)
            is_changed = corrected.tags.get(label.name, ABSENT) != was
            if was != ABSENT or is_changed:
                yield Edit(image_id, profile, label.name, float(is_changed), is_wrong=is_changed)


def edit_rows(found: Iterable[Edit], schema: LabelSchema) -> list[EditRow]:
    """One row for each profile and label, the one that is wrong most often (by `low`) first."""
    by_label: dict[tuple[str, str], list[Edit]] = defaultdict(list)
    for edit in found:
        by_label[edit.profile, edit.label].append(edit)
    rows = [
        _row(profile, label, by_label[profile, label], schema)
        for profile, label in sorted(by_label)
    ]
    return sorted(rows, key=lambda row: -row.wrong.low)


def to_replace(rows: Sequence[EditRow]) -> tuple[str, ...]:
    """Models by how often people found a label of theirs wrong, for certain, the worst first.

    A label of several models counts for each; one whose interval begins at 0 is nobody's fault.
    """
    worst: dict[str, float] = {}
    for row in rows:
        for model in row.models:
            worst[model] = max(worst.get(model, 0.0), row.wrong.low)
    return tuple(sorted((one for one in worst if worst[one] > 0), key=lambda one: -worst[one]))


def models_of(profile: str, label: str, schema: LabelSchema) -> tuple[str, ...]:
    """Names of the models of `profile` that make `label`; () where it is unknown or computed."""
    parts = PROFILES.get(profile)
    if parts is None:
        return ()
    if label == schema.face.name:
        return (parts.detector,)
    mesh_and_points = (parts.points106, parts.mesh) if parts.points106 else (parts.mesh,)
    if label in (f"{schema.skeleton.name}.jaw", f"{schema.skeleton.name}.brow"):
        return mesh_and_points[:1]
    if label.partition(".")[0] == schema.skeleton.name:
        return mesh_and_points
    return (parts.mask,) if schema.label(label, "mask") else ()


def _row(profile: str, label: str, found: Sequence[Edit], schema: LabelSchema) -> EditRow:
    shifts = np.array([edit.shift for edit in found])
    wrong = np.array([edit.is_wrong for edit in found], dtype=np.float64)
    images, image_of = np.unique([edit.image_id for edit in found], return_inverse=True)
    drawn = resampled(len(images))[:, image_of]
    once = np.ones((1, len(found)), dtype=np.int64)

    def share(is_so: NDArray[np.float64]) -> Share:
        value = float(is_so.mean())
        if value in (0.0, 1.0):
            # Drawn again, all of a kind stay so: as if nothing else could be. Wilson knows better.
            low, high = wilson_interval(round(value * len(images)), len(images))
            return Share(value=value, low=low, high=high)
        return _interval(value, (drawn @ is_so) / drawn.sum(axis=1))

    def quantile(part: float) -> Share:
        value = float(weighted_quantile(shifts, once, part)[0])
        return _interval(value, weighted_quantile(shifts, drawn, part))

    return EditRow(
        profile=profile,
        label=label,
        models=models_of(profile, label, schema),
        median=quantile(0.5),
        percentile_90=quantile(0.9),
        untouched=share((shifts == 0).astype(np.float64)),
        wrong=share(wrong),
        labels=len(found),
        images=len(images),
    )


def _interval(value: float, drawn: NDArray[np.float64]) -> Share:
    low, high = percentile_interval(drawn)
    return Share(value=value, low=low, high=high)


def _point_shifts(
    before: Face, after: Face | None, schema: LabelSchema
) -> Iterator[tuple[str, float]]:
    """Mean shift of each part's points that were sent, and of all of them.

    A point that was switched off, or whose face is gone, moved by a whole interocular distance.
    """
    name = schema.skeleton.name
    sent = before.landmarks.get(name)
    if sent is None:
        return
    landmarks = load_schema(name)
    old = np.round(sent.points, DECIMALS)
    given = np.asarray(sent.visibility) > 0
    shifts = np.ones(len(old))
    kept = after.landmarks.get(name) if after else None
    if kept is not None:
        new = np.round(kept.points, DECIMALS)
        unit_px = max(landmarks.interocular_px(old), 1.0)
        is_kept = np.asarray(kept.visibility) > 0
        shifts[is_kept] = np.linalg.norm(new - old, axis=1)[is_kept] / unit_px
    for part, indices in skeleton_parts(landmarks).items():
        counted = [index for index in indices if given[index]]
        if counted:
            yield part, float(shifts[counted].mean())


def _box(face: Face) -> NDArray[np.float64]:
    return np.round(face.box, DECIMALS)
