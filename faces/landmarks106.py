"""106 landmarks: insightface's 2d106det, on the face and on its mirror image."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.detection import Image
from faces.onnx import Network, planar
from faces.schema import load_schema
from mirrorset.records import Record

Floats = NDArray[np.float64]

# As trained: the square of 1.5 × the box's longer side at 192 px; points from −1 to 1.
_SIDE_PX = 192
_CROP_FACTOR = 1.5


class Landmarks106Params(Record):
    """is_mirrored_too: look at the mirror image as well; without it the disagreement is 0."""

    is_mirrored_too: bool = True


class Landmarks106:
    """The network regresses points, without a score; looking twice gives one. One instance serves
    any number of threads.
    """

    def __init__(self, path: Path, params: Landmarks106Params | None = None) -> None:
        self._params = params or Landmarks106Params()
        self._network = Network(path, most_on_cpu=4)
        self._mirror = list(load_schema("face106").mirror)

    def locate(self, faces: Sequence[tuple[Image, ArrayLike]]) -> list[tuple[Floats, Floats]]:
        """Points (106, 2) px and their disagreement (106,) px for each of `faces`.

        faces: (H, W, 3) uint8 RGB and the face's box in it, xyxy px. The points are the mean of
        those found on the crop and on its mirror image, brought back; the disagreement is the
        distance between the two.
        """
        if not faces:
            return []
        maps = [_crop_map(box) for _, box in faces]
        crops = [_crop(rgb, matrix) for (rgb, _), matrix in zip(faces, maps, strict=True)]
        if not self._params.is_mirrored_too:
            found = [(points, np.zeros(len(points))) for points in self._points(crops)]
        else:
            views = [view for crop in crops for view in (crop, crop[:, ::-1])]
            looks = self._points(views)
            found = [
                self._joined(straight, mirrored)
                for straight, mirrored in zip(looks[::2], looks[1::2], strict=True)
            ]
        return [
            ((points - matrix[:, 2]) / matrix[0, 0], apart / matrix[0, 0])
            for (points, apart), matrix in zip(found, maps, strict=True)
        ]

    def _points(self, crops: Sequence[Image]) -> Floats:
        """Points (n, 106, 2), crop px, of n crops."""
        unit = self._network(planar(crops))[0].reshape(len(crops), -1, 2)
        return (unit.astype(np.float64) + 1) * (_SIDE_PX / 2)

    def _joined(self, straight: Floats, mirrored: Floats) -> tuple[Floats, Floats]:
        back = mirrored[self._mirror]
        # Column c of the crop is column 191 − c of its mirror image.
        back[:, 0] = _SIDE_PX - 1 - back[:, 0]
        return (straight + back) / 2, np.linalg.norm(straight - back, axis=1)


def _crop_map(box: ArrayLike) -> Floats:
    """The map (2, 3) from the image to the crop around `box`: a scale and a shift."""
    left, top, right, bottom = np.asarray(box, dtype=np.float64)
    scale = _SIDE_PX / (max(right - left, bottom - top) * _CROP_FACTOR)
    centre = np.array([left + right, top + bottom]) / 2
    shift = _SIDE_PX / 2 - centre * scale
    return np.array([(scale, 0, shift[0]), (0, scale, shift[1])])


def _crop(rgb: Image, matrix: Floats) -> Image:
    return np.asarray(cv2.warpAffine(rgb, matrix, (_SIDE_PX, _SIDE_PX)), dtype=np.uint8)
