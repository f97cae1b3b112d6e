"""Labels → SVG shapes in image pixels, to lie over a thumbnail of any size.

Everything returned is geometry (numbers and path commands), never text from a label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faces.masks import decode
from mirrorset.records import Face, Landmarks, Mask, Pose, Xy

# A landmark under this confidence is drawn in the warning colour.
WEAK_CONFIDENCE = 0.5
# Outline detail: deviation allowed, as a share of the image's longer side.
_OUTLINE_TOLERANCE = 0.004
# Length of a pose axis seen from the side, as a share of the box's longer side.
_AXIS_LENGTH = 0.45


@dataclass(frozen=True)
class Line:
    """A segment from (x1, y1) to (x2, y2) in image px."""

    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True)
class Axes:
    """The head's own axes in the image: to its right side of the image, to its top, to its nose."""

    side: Line
    top: Line
    nose: Line


@dataclass(frozen=True)
class Marks:
    """Shapes of one face. skeleton, points and weak_points are path data, "" where there are none.

    box: x, y, width, height.
    """

    box: tuple[str, str, str, str]
    skeleton: str
    points: str
    weak_points: str
    axes: Axes | None


def marks(face: Face, schema: str, edges: Sequence[tuple[int, int]]) -> Marks:
    """The shapes of `face`; `edges`, pairs of point indices, join its landmarks of `schema`."""
    x1, y1, x2, y2 = face.box
    landmarks = face.landmarks.get(schema)
    return Marks(
        box=(_number(x1), _number(y1), _number(x2 - x1), _number(y2 - y1)),
        skeleton=_skeleton(landmarks, edges) if landmarks else "",
        points=_dots(landmarks, is_weak=False) if landmarks else "",
        weak_points=_dots(landmarks, is_weak=True) if landmarks else "",
        axes=_axes(face.pose, _centre(face, landmarks), max(x2 - x1, y2 - y1))
        if face.pose
        else None,
    )


def outline(mask: Mask, height_px: int, width_px: int) -> str:
    """Path data around the mask's regions, simplified to what an eye can see at page size."""
    region = decode(mask, height_px, width_px).astype(np.uint8)
    contours, _ = cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    tolerance_px = max(1.0, _OUTLINE_TOLERANCE * max(height_px, width_px))
    drawn = []
    for contour in contours:
        corners = cv2.approxPolyDP(contour, tolerance_px, True).reshape(-1, 2)
        if len(corners) > 2:
            # Contours run through pixel centres, half a pixel from the pixel's corner.
            drawn.append(f"M{_joined([(float(x) + 0.5, float(y) + 0.5) for x, y in corners])}Z")
    return "".join(drawn)


def _skeleton(landmarks: Landmarks, edges: Sequence[tuple[int, int]]) -> str:
    drawn = []
    pen = -1
    for start, end in edges:
        if not (landmarks.visibility[start] and landmarks.visibility[end]):
            continue
        if start != pen:
            drawn.append(f"M{_joined([landmarks.points[start]])}")
        drawn.append(f"L{_joined([landmarks.points[end]])}")
        pen = end
    return "".join(drawn)


def _dots(landmarks: Landmarks, *, is_weak: bool) -> str:
    """A path of zero-length strokes, which round caps show as dots."""
    return "".join(
        f"M{_joined([point])}h0"
        for point, visibility, confidence in zip(
            landmarks.points, landmarks.visibility, landmarks.confidence, strict=True
        )
        if visibility and (confidence < WEAK_CONFIDENCE) == is_weak
    )


def _centre(face: Face, landmarks: Landmarks | None) -> Xy:
    if landmarks and any(landmarks.visibility):
        shown = [p for p, v in zip(landmarks.points, landmarks.visibility, strict=True) if v]
        x, y = np.mean(shown, axis=0)
        return float(x), float(y)
    x1, y1, x2, y2 = face.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def _axes(pose: Pose, origin: Xy, size_px: float) -> Axes:
    """The head's axes as seen, turned about the head's own axes as `faces.pose` reads them."""
    yaw, pitch, roll = np.radians([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])
    # Rows: side, top, nose. Columns: image right, image down, towards the viewer.
    at_rest = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    rolled = at_rest @ _turn(0, 1, roll)
    pitched = rolled @ _turn(1, 2, pitch)
    turned = pitched @ _turn(2, 0, yaw)
    ends = np.asarray(origin) + turned[:, :2] * size_px * _AXIS_LENGTH
    x1, y1 = (_number(value) for value in origin)
    side, top, nose = (Line(x1, y1, _number(float(x)), _number(float(y))) for x, y in ends)
    return Axes(side=side, top=top, nose=nose)


def _turn(first: int, second: int, angle: float) -> NDArray[np.float64]:
    """Rotation for row vectors that carries axis `first` towards axis `second`."""
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second] = np.sin(angle)
    turn[second, first] = -np.sin(angle)
    return turn


def _joined(points: Sequence[Xy]) -> str:
    return " ".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
