"""106 landmarks: insightface's 2d106det, on the face and on its mirror image."""

from pathlib import Path

import numpy as np
from insightface.app.common import Face as InsightFace
from numpy.typing import ArrayLike, NDArray

from faces.onnx import insightface_model
from faces.schema import load_schema

Floats = NDArray[np.float64]


class Landmarks106:
    """The network regresses points, without a score; looking twice gives one."""

    def __init__(self, path: Path) -> None:
        self._model = insightface_model(path)
        self._mirror = list(load_schema("face106").mirror)

    def locate(self, rgb: NDArray[np.uint8], box: ArrayLike) -> tuple[Floats, Floats]:
        """Points (106, 2) px of the face in `box` (xyxy px), and (106,) px of disagreement.

        The points are the mean of those found on `rgb` (H, W, 3) and on its mirror image, brought
        back; the disagreement is the distance between the two.
        """
        xyxy = np.asarray(box, dtype=np.float64)
        width = rgb.shape[1]
        mirrored_box = np.array([width - xyxy[2], xyxy[1], width - xyxy[0], xyxy[3]])
        straight = self._locate_once(rgb, xyxy)
        mirrored = self._locate_once(rgb[:, ::-1], mirrored_box)[self._mirror]
        mirrored[:, 0] = width - mirrored[:, 0]
        return (straight + mirrored) / 2, np.linalg.norm(straight - mirrored, axis=1)

    def _locate_once(self, rgb: NDArray[np.uint8], box: Floats) -> Floats:
        bgr = np.ascontiguousarray(rgb[:, :, ::-1])
        points = self._model.get(bgr, InsightFace(bbox=box))
        return np.asarray(points, dtype=np.float64)
