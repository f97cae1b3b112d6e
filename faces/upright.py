"""Leaning heads turned upright: on others the networks, trained on upright ones, do worse."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faces.align import ARCFACE_112
from faces.crop import cut_square
from faces.detection import Detection, Detector, Image
from faces.mesh import Mesh
from mirrorset.geometry import iou, similarity, square_around, transform

Floats = NDArray[np.float64]

# A head that leans further is looked at upright; below it nothing is gained (docs/models.md).
_MOST_LEANING_DEG = 15.0
# Side of the view over the longer side of the box: the crop of any network lies in it.
_VIEW_FACTOR = 2.2
# Of the crop that is turned: no network looks at as much.
_MOST_SIDE_PX = 1400
# Of the face that is found in the view and the one that was looked for.
_MIN_OVERLAP = 0.3


@dataclass(frozen=True)
class View:
    """A face as networks look at it.

    rgb: (H, W, 3) uint8. box: xyxy px of it. to_image: (2, 3), px of `rgb` → px of the image, a
    turn, a scale and a shift.
    """

    rgb: Image
    box: Floats
    to_image: Floats

    @property
    def scale(self) -> float:
        """Px of the image a px of the view."""
        return float(np.hypot(*self.to_image[:, 0]))

    def points(self, of_view: Floats) -> Floats:
        """Points (K, 2) px of the view as px of the image."""
        return transform(of_view, self.to_image)

    def mesh(self, of_view: Mesh) -> Mesh:
        """The mesh in px of the image, its matrix in the image's camera."""
        turn = self.to_image[:, :2] / self.scale
        # The matrix has y up: what turns one way in the image turns the other way there.
        matrix = np.eye(4)
        matrix[:2, :2] = turn.T
        return replace(
            of_view,
            points=self.points(of_view.points),
            depth_px=of_view.depth_px * self.scale,
            apart_px=of_view.apart_px * self.scale,
            matrix=matrix @ of_view.matrix,
        )


_AS_IT_IS = np.array([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])


def upright(rgb: Image, found: Detection, detector: Detector) -> View:
    """The face as it is; or, where it leans by more than 15°, turned upright.

    What leans is looked for again in the turned view: a box around a leaning face is not the one
    that the networks' crops are cut by, and its points tell the lean but roughly, so that the view
    may have to be turned once more.
    """
    lean = lean_deg(found)
    if abs(lean) <= _MOST_LEANING_DEG:
        return View(rgb, found.box, _AS_IT_IS)
    view, again = _turned(rgb, found.box, lean, detector)
    if again and abs(lean_deg(again)) > _MOST_LEANING_DEG:
        view, again = _turned(rgb, found.box, lean + lean_deg(again), detector)
    return replace(view, box=again.box) if again else view


def _turned(
    rgb: Image, box: Floats, lean: float, detector: Detector
) -> tuple[View, Detection | None]:
    """The view around `box` that takes a lean in degrees back, and the face that is found in it.

    The view's box is a square in its middle.
    """
    square = square_around(box, _VIEW_FACTOR * math.sqrt(2)).round()
    side = round(square[2] - square[0])
    crop_side = min(side, _MOST_SIDE_PX)
    crop = cut_square(rgb, square, crop_side)
    view_side = round(crop_side / math.sqrt(2))
    cosine, sine = math.cos(math.radians(lean)), math.sin(math.radians(lean))
    turn = np.array([(cosine, -sine), (sine, cosine)])
    shift = crop_side / 2 - turn @ np.full(2, view_side / 2)
    # To OpenCV a pixel's middle is at whole numbers, here at halves.
    to_crop = np.column_stack([turn, turn @ (0.5, 0.5) + shift - 0.5])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(crop, to_crop, (view_side, view_side), flags=how)
    scale = side / crop_side
    to_image = np.column_stack([turn * scale, shift * scale + square[:2]])
    middle = view_side / 2 * (1 + np.array([-1.0, -1.0, 1.0, 1.0]) / _VIEW_FACTOR)
    view = View(np.asarray(pixels, dtype=np.uint8), middle, to_image)
    (found,) = detector.detect([view.rgb])
    there = max(found, key=lambda one: iou(one.box, middle)[0, 0], default=None)
    is_there = there is not None and iou(there.box, middle)[0, 0] >= _MIN_OVERLAP
    return view, there if is_there else None


def lean_deg(found: Detection) -> float:
    """How far the head leans, −180 to 180, clockwise as seen: the turn that best brings ArcFace's
    five points to those found.
    """
    (cosine, _, _), (sine, _, _) = similarity(ARCFACE_112, found.five_points)
    return math.degrees(math.atan2(sine, cosine))


def found_lying(rgb: Image, quarters: int, detector: Detector) -> tuple[Detection, ...]:
    """The faces of a picture that lies on its side or upside down, in px of it as it is.

    quarters: it is turned so often by 90°, against the clock, and then looked at.
    """
    height, width = rgb.shape[:2]
    back = {
        1: np.array([(0, -1, width), (1, 0, 0)]),
        2: np.array([(-1, 0, width), (0, -1, height)]),
        3: np.array([(0, 1, 0), (-1, 0, height)]),
    }[quarters]
    (found,) = detector.detect([np.ascontiguousarray(np.rot90(rgb, quarters))])
    return tuple(_moved(one, back) for one in found)


def _moved(found: Detection, by: Floats) -> Detection:
    corners = transform(found.box.reshape(2, 2), by)
    return Detection(
        box=np.concatenate([corners.min(axis=0), corners.max(axis=0)]),
        score=found.score,
        five_points=transform(found.five_points, by),
    )
