"""Labels → shapes in image pixels, which the page draws on a canvas of any size.

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
class Marks:
    """Shapes of one face, in px of the upright image, rounded to a tenth.

    box: x, y, width, height. points: x and y of each landmark after the other. seen: of each one
    letter: "." drawn, "?" drawn as a weak one, "-" not in the picture. axes: where the head's axes
    begin, and where those to its side (the image's right), its top and its nose end, x and y each.
    """

    box: tuple[float, float, float, float]
    points: tuple[float, ...]
    seen: str
    axes: tuple[float, ...]


def marks(face: Face, schema: str) -> Marks:
    """The shapes of `face` with its landmarks of `schema`, if it has such."""
    x1, y1, x2, y2 = face.box
    landmarks = face.landmarks.get(schema)
    size_px = max(x2 - x1, y2 - y1)
    return Marks(
        box=(_tenth(x1), _tenth(y1), _tenth(x2 - x1), _tenth(y2 - y1)),
        points=points_of(landmarks),
        seen=_seen(landmarks) if landmarks else "",
        axes=_axes(face.pose, _centre(face, landmarks), size_px) if face.pose else (),
    )


def points_of(landmarks: Landmarks | None) -> tuple[float, ...]:
    """x and y of each landmark after the other, in px."""
    return tuple(_tenth(value) for xy in (landmarks.points if landmarks else ()) for value in xy)


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


def _seen(landmarks: Landmarks) -> str:
    return "".join(
        "-" if not visibility else "?" if confidence < WEAK_CONFIDENCE else "."
        for visibility, confidence in zip(landmarks.visibility, landmarks.confidence, strict=True)
    )


def _centre(face: Face, landmarks: Landmarks | None) -> Xy:
    if landmarks and any(landmarks.visibility):
        shown = [p for p, v in zip(landmarks.points, landmarks.visibility, strict=True) if v]
        x, y = np.mean(shown, axis=0)
        return float(x), float(y)
    x1, y1, x2, y2 = face.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def _axes(pose: Pose, origin: Xy, size_px: float) -> tuple[float, ...]:
    """The head's axes as seen, turned about the head's own axes as `faces.pose` reads them."""
    yaw, pitch, roll = np.radians([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])
    # Rows: side, top, nose. Columns: image right, image down, towards the viewer.
    at_rest = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    rolled = at_rest @ _turn(0, 1, roll)
    pitched = rolled @ _turn(1, 2, pitch)
    turned = pitched @ _turn(2, 0, yaw)
    ends = np.asarray(origin) + turned[:, :2] * size_px * _AXIS_LENGTH
    return tuple(_tenth(float(value)) for value in (*origin, *ends.ravel()))


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


def _tenth(value: float) -> float:
    return round(value, 1)
