"""Verdicts on labels, whoever made them, and where on a picture a failed one is to be looked at.

A check looks at every face of the image; the verdict is of the worst. All are in `CHECKS`. Left and
right are the image's.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotation.conversion import to_shapes
from annotation.schema import LabelSchema
from annotation.shapes import ImageShapes, Shape
from faces.schema import LandmarkSchema, load_schema
from mirrorset.records import Annotation, Face, Landmarks, Record, Sha256, Verdict, Xy

Points = NDArray[np.float64]


class CheckParams(Record):
    """Limits of the checks; docs/qa.md says what real photographs measure.

    max_overhang: how far a box may reach out of the image, as a share of its longer side.
    max_distance: how far a point may lie outside its face's box, likewise. min_order: sine between
    the eyes' line and the line from mouth to eyes; 1 for a frontal face, 0 where left and right can
    no longer be told. max_swapped: share of the pairs of points (left and right corner of the
    mouth, say) whose left lies on the right. min_spread: of a face's points across their narrowest
    direction, as a standard deviation over the box's longer side. min_from_template: mean distance
    of the points from the schema's drawing, stretched and turned onto them, over the interocular
    distance.
    """

    max_overhang: float = 0.02
    max_distance: float = 0.25
    min_order: float = 0.1
    max_swapped: float = 0.15
    min_spread: float = 0.05
    min_from_template: float = 0.005


class Seen(NamedTuple):
    """What a check looks at: a face of an image of this size.

    points: (K, 2) px, None where the face has no skeleton or one that lacks points.
    """

    face: Face
    landmarks: Landmarks | None
    points: Points | None
    width_px: int
    height_px: int
    schema: LabelSchema

    @property
    def scheme(self) -> LandmarkSchema:
        """The landmark schema of the skeleton."""
        return load_schema(self.schema.skeleton.name)

    @property
    def side_px(self) -> float:
        """The longer side of the box, 1 at the least."""
        left, top, right, bottom = self.face.box
        return max(right - left, bottom - top, 1.0)


class Look(NamedTuple):
    """What was measured on a face, and the point concerned, px."""

    measured: float
    at: Xy


class Check(NamedTuple):
    """look: None where the face has nothing to look at. limit: a name of CheckParams, or a number.

    is_ceiling: whether more than the limit fails, else less. message: what a failed face is told.
    """

    name: str
    look: Callable[[Seen], Look | None]
    limit: str | float
    is_ceiling: bool
    message: str

    def passes(self, measured: float, limit: float) -> bool:
        """Whether `measured` keeps the limit."""
        return measured <= limit if self.is_ceiling else measured >= limit


class Finding(Record):
    """A face that failed a check, or on which people differ: what an annotator is to look at again.

    at: the point concerned, px of the upright image. message: one sentence for the annotator.
    """

    image_id: Sha256
    check: str
    face_id: str
    at: Xy
    message: str


def verdicts(
    annotation: Annotation,
    width_px: int,
    height_px: int,
    schema: LabelSchema,
    params: CheckParams,
) -> list[Verdict]:
    """One verdict for every check in `CHECKS`.

    measured: of the worst face; None where there is no such face or no finite number.
    """
    seen = list(_seen(annotation, width_px, height_px, schema))
    found = []
    for check in CHECKS:
        limit = _limit(check, params)
        looks = [look.measured for one in seen if (look := check.look(one))]
        worst = (max if check.is_ceiling else min)(looks, default=None)
        found.append(
            Verdict(
                image_id=annotation.image_id,
                check=check.name,
                passed=worst is None or check.passes(worst, limit),
                measured=None if worst is None or math.isinf(worst) else round(worst, 4),
                threshold=limit,
            )
        )
    return found


def findings(
    annotation: Annotation,
    width_px: int,
    height_px: int,
    schema: LabelSchema,
    params: CheckParams,
) -> list[Finding]:
    """Every face that fails a check, face by face."""
    return [
        Finding(
            image_id=annotation.image_id,
            check=check.name,
            face_id=one.face.face_id,
            at=_within(look.at, one),
            message=check.message,
        )
        for one in _seen(annotation, width_px, height_px, schema)
        for check in CHECKS
        if (look := check.look(one)) and not check.passes(look.measured, _limit(check, params))
    ]


def box_inside(seen: Seen) -> Look:
    """No box is inverted or reaches out of the image; a face cut off by it has its box cut too."""
    left, top, right, bottom = seen.face.box
    centre = ((left + right) / 2, (top + bottom) / 2)
    if right <= left or bottom <= top:
        return Look(math.inf, centre)
    out = max(-left, -top, right - seen.width_px, bottom - seen.height_px, 0.0)
    return Look(out / max(right - left, bottom - top), centre)


def skeleton_complete(seen: Seen) -> Look:
    """The face has all points of the schema, none switched off although it lies in the image."""
    left, top, right, bottom = seen.face.box
    centre = ((left + right) / 2, (top + bottom) / 2)
    count = len(seen.scheme.names)
    if seen.landmarks is None:
        return Look(count, centre)
    off = [
        (x, y)
        for (x, y), visibility in zip(seen.landmarks.points, seen.landmarks.visibility, strict=True)
        if visibility == 0 and 0 <= x <= seen.width_px and 0 <= y <= seen.height_px
    ]
    missing = abs(count - len(seen.landmarks.points)) + len(off)
    return Look(missing, off[0] if off else centre)


def points_near_box(seen: Seen) -> Look | None:
    """No point lies far outside its face's box."""
    if seen.points is None:
        return None
    low, high = np.asarray(seen.face.box[:2]), np.asarray(seen.face.box[2:])
    out = np.maximum(low - seen.points, seen.points - high).max(axis=1)
    farthest = int(out.argmax())
    return Look(max(float(out[farthest]), 0.0) / seen.side_px, _xy(seen.points[farthest]))


def eyes_ordered(seen: Seen) -> Look | None:
    """The left eye is left of the right one as the face stands, at any roll."""
    if seen.points is None:
        return None
    left, right, mouth = _features(seen.points, seen.scheme)
    across, up = right - left, (left + right) / 2 - mouth
    length = float(np.linalg.norm(across) * np.linalg.norm(up))
    cross = float(up[0] * across[1] - up[1] * across[0])
    return Look(cross / length if length else 0.0, _xy((left + right) / 2))


def eyes_above_mouth(seen: Seen) -> Look | None:
    """The eyes are above the mouth once the head's roll is taken back; unknown pose is no roll."""
    if seen.points is None:
        return None
    left, right, mouth = _features(seen.points, seen.scheme)
    up = (left + right) / 2 - mouth
    roll = math.radians(seen.face.pose.roll_deg if seen.face.pose else 0.0)
    upright = up[0] * math.sin(roll) - up[1] * math.cos(roll)
    length = float(np.linalg.norm(up))
    return Look(float(upright) / length if length else 0.0, _xy(mouth))


def sides_kept(seen: Seen) -> Look | None:
    """Of each pair of points that mirror each other, the left one is on the face's left.

    All are swapped where labels were made on a mirrored picture; a part's where it was drawn from
    the wrong end. The line from mouth to eyes, which no swap moves, says what is left.
    """
    if seen.points is None:
        return None
    eyes_left, eyes_right, mouth = _features(seen.points, seen.scheme)
    up = (eyes_left + eyes_right) / 2 - mouth
    rightwards = np.array([-up[1], up[0]])
    mirror = np.asarray(seen.scheme.mirror)
    drawn_x = np.asarray(seen.schema.layout)[:, 0]
    lefts = np.flatnonzero(drawn_x < drawn_x[mirror])
    across = (seen.points[mirror[lefts]] - seen.points[lefts]) @ rightwards
    swapped = lefts[across < 0]
    return Look(len(swapped) / len(lefts), _xy(seen.points[swapped[0]] if len(swapped) else mouth))


def skeleton_spread(seen: Seen) -> Look | None:
    """The points cover an area: they have not collapsed into a spot or a line."""
    if seen.points is None:
        return None
    middle = seen.points.mean(axis=0)
    narrowest = np.linalg.svd(seen.points - middle, compute_uv=False)[-1]
    return Look(float(narrowest) / math.sqrt(len(seen.points)) / seen.side_px, _xy(middle))


def skeleton_placed(seen: Seen) -> Look | None:
    """The points are not where CVAT's template puts them, however it was stretched and turned."""
    if seen.points is None:
        return None
    drawing = np.column_stack([np.asarray(seen.schema.layout), np.ones(len(seen.points))])
    fitted = drawing @ np.linalg.lstsq(drawing, seen.points, rcond=None)[0]
    apart_px = float(np.linalg.norm(fitted - seen.points, axis=1).mean())
    unit_px = max(seen.scheme.interocular_px(seen.points), 1.0)
    return Look(apart_px / unit_px, _xy(seen.points.mean(axis=0)))


CHECKS: tuple[Check, ...] = (
    Check(
        *("box_inside", box_inside, "max_overhang", True),
        message="The box is inverted or reaches out of the picture: draw it again.",
    ),
    Check(
        *("skeleton_complete", skeleton_complete, 0.0, True),
        message="A point is missing or switched off though it lies in the picture: place it, "
        "occluded where it is hidden.",
    ),
    Check(
        *("points_near_box", points_near_box, "max_distance", True),
        message="This point lies far outside the face's box: move one of the two.",
    ),
    Check(
        *("eyes_ordered", eyes_ordered, "min_order", False),
        message="The left and the right eye are swapped: left is the picture's left.",
    ),
    Check(
        *("eyes_above_mouth", eyes_above_mouth, 0.0, False),
        message="The mouth is above the eyes: the skeleton stands on its head.",
    ),
    Check(
        *("sides_kept", sides_kept, "max_swapped", True),
        message="Points of the left and of the right are swapped: left is the picture's left.",
    ),
    Check(
        *("skeleton_spread", skeleton_spread, "min_spread", False),
        message="The points have collapsed into a spot or a line: place them again.",
    ),
    Check(
        *("skeleton_placed", skeleton_placed, "min_from_template", False),
        message="The skeleton is still the template: move its points onto the face.",
    ),
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


def _seen(
    annotation: Annotation, width_px: int, height_px: int, schema: LabelSchema
) -> Iterator[Seen]:
    for face in annotation.faces:
        landmarks = face.landmarks.get(schema.skeleton.name)
        is_whole = landmarks is not None and len(landmarks.points) == len(schema.point_names)
        points = np.asarray(landmarks.points, dtype=np.float64) if landmarks and is_whole else None
        yield Seen(face, landmarks, points, width_px, height_px, schema)


def _limit(check: Check, params: CheckParams) -> float:
    return check.limit if isinstance(check.limit, float) else float(getattr(params, check.limit))


def _within(at: Xy, seen: Seen) -> Xy:
    """The point moved into the picture, where an annotator can see it."""
    return min(max(at[0], 0.0), seen.width_px), min(max(at[1], 0.0), seen.height_px)


def _xy(point: Points) -> Xy:
    return float(point[0]), float(point[1])
