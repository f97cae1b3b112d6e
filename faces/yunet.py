"""Face detection: YuNet through OpenCV, at two scales. Its weights may be used commercially."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faces.detection import Detection, Image, largest_first
from faces.lending import Lending
from faces.quiet import native_notes_withheld
from mirrorset.records import Record

Floats = NDArray[np.float64]


class YuNetParams(Record):
    """min_score: a detection below it is no face. max_overlap: IoU above which the lower score of
    two detections is dropped. input_sides_px: the image's longer side is scaled to each; the small
    one finds faces that fill the frame, as selfies do, the large one small faces.
    """

    min_score: float = 0.7
    max_overlap: float = 0.4
    input_sides_px: tuple[int, ...] = (256, 640)


class YuNet:
    """Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", Machine Intelligence
    Research 20, 2023.
    """

    def __init__(self, path: Path, params: YuNetParams | None = None) -> None:
        self._params = params or YuNetParams()
        self._networks = Lending(lambda: self._network(path))

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """See `faces.detection.Detector`."""
        with self._networks.borrowed() as network:
            return [self._detect(network, rgb) for rgb in images]

    def _detect(self, network: cv2.FaceDetectorYN, rgb: Image) -> tuple[Detection, ...]:
        bgr = np.ascontiguousarray(rgb[:, :, ::-1])
        rows = np.concatenate([_rows(network, bgr, side) for side in self._params.input_sides_px])
        kept = cv2.dnn.NMSBoxes(
            rows[:, :4].tolist(),
            rows[:, 14].tolist(),
            self._params.min_score,
            self._params.max_overlap,
        )
        return largest_first(_detection(rows[index]) for index in kept)

    def _network(self, path: Path) -> cv2.FaceDetectorYN:
        with native_notes_withheld():
            return cv2.FaceDetectorYN.create(
                str(path), "", (0, 0), self._params.min_score, self._params.max_overlap
            )


def _rows(network: cv2.FaceDetectorYN, bgr: Image, side: int) -> Floats:
    """Left, top, width, height, five points, score of every face: (N, 15), in px of `bgr`."""
    height, width = bgr.shape[:2]
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    network.setInputSize(size)
    _, rows = network.detect(cv2.resize(bgr, size, interpolation=how))
    if rows is None:
        return np.empty((0, 15))
    found = rows.astype(np.float64)
    found[:, 0:14:2] *= width / size[0]
    found[:, 1:14:2] *= height / size[1]
    return found


def _detection(row: Floats) -> Detection:
    """YuNet's points are in the order of schema face5: its "right" eye is the image's left."""
    corner, size = row[:2], row[2:4]
    return Detection(
        box=np.concatenate([corner, corner + size]),
        score=float(row[14]),
        five_points=row[4:14].reshape(5, 2),
    )
