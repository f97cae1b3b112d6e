"""Verdicts on labels, whoever made them: one function a check, all in `CHECKS`.

A check looks at every face of the image and reports the worst. Left and right are the image's.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from annotation.conversion import to_shapes
from annotation.schema import DO_NOT_USE, LabelSchema
from annotation.shapes import ImageShapes, Shape
from faces.schema import LandmarkSchema, load_schema
from mirrorset.records import Annotation, Face, Record, Verdict

NOT_STOPPED = "not_stopped"

Points = NDArray[np.float64]


class CheckParams(Record):
    """Limits of the checks.

    max_overhang: how far a box may reach out of the image, as a share of its longer side.
    max_distance: how far a point may lie outside its face's box, likewise; on 284 portraits the
    model's points lie at most 0.12 outside. min_order: sine between the eyes' line and the line
    from mouth to eyes; 1 for a frontal face (0.99 and more on those portraits), 0 where left and
    right can no longer be told.
    """

    max_overhang: float = 0.02
    max_distance: float = 0.25
    min_order: float = 0.1


class Checked(Record):
    """What a check looks at."""

    annotation: Annotation
    width_px: int
    height_px: int
    landmarks: str
    params: CheckParams

    def faces(self) -> Iterator[tuple[Face, Points]]:
        """The faces that have points, and these as (K, 2) px."""
        for face in self.annotation.faces:
            if self.landmarks in face.landmarks:
                yield face, np.asarray(face.landmarks[self.landmarks].points, dtype=np.float64)


def verdicts(
    annotation: Annotation,
    width_px: int,
    height_px: int,
    schema: LabelSchema,
    params: CheckParams,
) -> list[Verdict]:
    """One verdict for every check in `CHECKS`."""
    checked = Checked(
        annotation=annotation,
        width_px=width_px,
        height_px=height_px,
        landmarks=schema.skeleton.name,
        params=params,
    )
    return [check(checked) for check in CHECKS]


def box_inside(checked: Checked) -> Verdict:
    """No box is inverted or reaches out of the image; a face cut off by it has its box cut too."""
    worst = 0.0
    for face in checked.annotation.faces:
        left, top, right, bottom = face.box
        side = max(right - left, bottom - top)
        if right <= left or bottom <= top:
            worst = math.inf
            continue
        out = max(-left, -top, right - checked.width_px, bottom - checked.height_px)
        worst = max(worst, out / side)
    return _at_most("box_inside", checked, worst, checked.params.max_overhang)


def skeleton_complete(checked: Checked) -> Verdict:
    """Every face has all points of the schema, none switched off although it lies in the image."""
    missing = 0
    count = len(load_schema(checked.landmarks).names)
    for face in checked.annotation.faces:
        landmarks = face.landmarks.get(checked.landmarks)
        if landmarks is None:
            missing += count
            continue
        missing += abs(count - len(landmarks.points)) + sum(
            visibility == 0 and 0 <= x <= checked.width_px and 0 <= y <= checked.height_px
            for (x, y), visibility in zip(landmarks.points, landmarks.visibility, strict=True)
        )
    return _at_most("skeleton_complete", checked, missing, 0)


def points_near_box(checked: Checked) -> Verdict:
    """No point lies far outside its face's box."""
    worst = 0.0
    for face, points in checked.faces():
        low, high = np.asarray(face.box[:2]), np.asarray(face.box[2:])
        out = np.maximum(low - points, points - high).max()
        worst = max(worst, float(out) / max(float((high - low).max()), 1.0))
    return _at_most("points_near_box", checked, worst, checked.params.max_distance)


def eyes_ordered(checked: Checked) -> Verdict:
    """The left eye is left of the right one as the face stands, at any roll."""
    schema = load_schema(checked.landmarks)
    sines = []
    for _, points in checked.faces():
        left, right, mouth = _features(points, schema)
        across, up = right - left, (left + right) / 2 - mouth
        length = float(np.linalg.norm(across) * np.linalg.norm(up))
        cross = float(up[0] * across[1] - up[1] * across[0])
        sines.append(cross / length if length else 0.0)
    return _at_least("eyes_ordered", checked, min(sines, default=1.0), checked.params.min_order)


def eyes_above_mouth(checked: Checked) -> Verdict:
    """The eyes are above the mouth once the head's roll is taken back; unknown pose is no roll."""
    schema = load_schema(checked.landmarks)
    cosines = []
    for face, points in checked.faces():
        left, right, mouth = _features(points, schema)
        up = (left + right) / 2 - mouth
        roll = math.radians(face.pose.roll_deg if face.pose else 0.0)
        upright = up[0] * math.sin(roll) - up[1] * math.cos(roll)
        length = float(np.linalg.norm(up))
        cosines.append(float(upright) / length if length else 0.0)
    return _at_least("eyes_above_mouth", checked, min(cosines, default=1.0), 0.0)


def not_stopped(checked: Checked) -> Verdict:
    """No person has set the tag `do_not_use`."""
    return Verdict(
        image_id=checked.annotation.image_id,
        check=NOT_STOPPED,
        passed=DO_NOT_USE not in checked.annotation.tags,
    )


CHECKS: tuple[Callable[[Checked], Verdict], ...] = (
    box_inside,
    skeleton_complete,
    points_near_box,
    eyes_ordered,
    eyes_above_mouth,
    not_stopped,
)


def round_trip(annotation: Annotation, read_back: ImageShapes, schema: LabelSchema) -> Verdict:
    """Whether an archive holds exactly what CVAT can carry of the annotation.

    measured: number of shapes that differ. Order and CVAT's `source` do not count.
    """
    sent = to_shapes(annotation, read_back.name, read_back.width_px, read_back.height_px, schema)
    before = Counter(_content(shape) for shape in sent.every())
    after = Counter(_content(shape) for shape in read_back.every())
    differing = (before - after).total() + (after - before).total()
    return Verdict(
        image_id=annotation.image_id,
        check="round_trip",
        passed=not differing,
        measured=differing,
        threshold=0,
    )


def _content(shape: Shape) -> str:
    """A shape as text in which order and source do not show."""
    fields = shape.model_dump(exclude={"source"})
    for element in fields.get("elements", ()):
        del element["source"]
    if "elements" in fields:
        fields["elements"] = sorted(fields["elements"], key=lambda element: str(element["label"]))
    fields["attributes"] = sorted(fields["attributes"].items())
    return f"{type(shape).__name__} {fields}"


def _features(points: Points, schema: LandmarkSchema) -> tuple[Points, Points, Points]:
    """Centres (2,) px of the left eye, the right eye and the mouth."""
    mouth = [index for index, name in enumerate(schema.names) if name.startswith("lips")]
    return (
        points[list(schema.eye_left)].mean(axis=0),
        points[list(schema.eye_right)].mean(axis=0),
        points[mouth].mean(axis=0),
    )


def _at_most(check: str, checked: Checked, measured: float, limit: float) -> Verdict:
    return Verdict(
        image_id=checked.annotation.image_id,
        check=check,
        passed=measured <= limit,
        measured=round(measured, 4) if math.isfinite(measured) else None,
        threshold=limit,
    )


def _at_least(check: str, checked: Checked, measured: float, limit: float) -> Verdict:
    return Verdict(
        image_id=checked.annotation.image_id,
        check=check,
        passed=measured >= limit,
        measured=round(measured, 4),
        threshold=limit,
    )
