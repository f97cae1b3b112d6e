"""Face detection: SCRFD through insightface, at two scales."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.onnx import insightface_model
from mirrorset.records import Record


class DetectionParams(Record):
    """min_score: a detection below it is no face. max_overlap: IoU above which the lower score of
    two detections is dropped. input_sides_px: sides of the squares the image is scaled into; the
    small one finds faces that fill the frame, as selfies do, the large one small faces.
    """

    min_score: float = 0.5
    max_overlap: float = 0.4
    input_sides_px: tuple[int, ...] = (128, 640)


@dataclass(frozen=True)
class Detection:
    """box: (4,) float64 xyxy px. score: 0 to 1. five_points: (5, 2) float64 px in the order of
    schema face5: eye on the image's left, on its right, nose tip, mouth corners left and right.
    """

    box: NDArray[np.float64]
    score: float
    five_points: NDArray[np.float64]


class FaceDetector:
    """SCRFD (Guo et al., "Sample and computation redistribution for efficient face detection",
    ICLR 2022).
    """

    def __init__(self, path: Path, params: DetectionParams | None = None) -> None:
        self._params = params or DetectionParams()
        self._model = insightface_model(path)
        self._model.prepare(
            ctx_id=-1, det_thresh=self._params.min_score, nms_thresh=self._params.max_overlap
        )

    def detect(self, rgb: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Faces of (H, W, 3) uint8 RGB, largest box first; boxes may reach outside the image."""
        bgr = np.ascontiguousarray(rgb[:, :, ::-1])
        sizes = [(side, side) for side in self._params.input_sides_px]
        boxes, points = self._model.detect(bgr, input_size=sizes)
        found = [
            Detection(row[:4].astype(np.float64), float(row[4]), five.astype(np.float64))
            for row, five in zip(boxes, points, strict=True)
        ]
        return tuple(sorted(found, key=_area, reverse=True))


def _area(detection: Detection) -> float:
    left, top, right, bottom = detection.box
    return float((right - left) * (bottom - top))
