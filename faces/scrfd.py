"""SCRFD at several scales: our own letterbox, anchors and suppression around the network."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from faces.detection import Detection, Image, largest_first, unsuppressed
from faces.onnx import Floats32, Network, planar
from mirrorset.records import Record

# As trained: (x − 127.5) / 128 in RGB; two anchors at each place of three feature maps.
_MEAN, _SCALE = (127.5, 127.5, 127.5), 128
_STRIDES = (8, 16, 32)
_ANCHORS = 2


class ScrfdParams(Record):
    """min_score: a detection below it is no face. max_overlap: IoU above which the lower score of
    two detections is dropped. input_sides_px: sides of the squares the image is scaled into,
    multiples of 32; the small one finds faces that fill the frame, as selfies do, the large one
    small faces.
    """

    min_score: float = 0.5
    max_overlap: float = 0.4
    input_sides_px: tuple[int, ...] = (128, 640)


class Scrfd:
    """SCRFD (Guo et al., "Sample and computation redistribution for efficient face detection",
    ICLR 2022), with five points.
    """

    def __init__(self, path: Path, params: ScrfdParams | None = None) -> None:
        self._params = params or ScrfdParams()
        self._network = Network(path, most_on_cpu=1)

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """See `faces.detection.Detector`."""
        if not images:
            return []
        # For each image a table (n, 15) from each scale: score, box, five points.
        scales = [self._candidates(images, side) for side in self._params.input_sides_px]
        return [self._merged(np.concatenate(tables)) for tables in zip(*scales, strict=True)]

    def _candidates(self, images: Sequence[Image], side_px: int) -> list[Floats32]:
        boxed = [_letterboxed(rgb, side_px) for rgb in images]
        outputs = self._network(planar([canvas for canvas, _ in boxed], _MEAN, _SCALE))
        scores, distances, offsets = (
            np.concatenate(outputs[kind : kind + 3], axis=1) for kind in (0, 3, 6)
        )
        tables = []
        for index, (_, scale) in enumerate(boxed):
            likely = np.flatnonzero(scores[index, :, 0] >= self._params.min_score)
            places, strides = _anchors(side_px)
            place, stride = places[likely], strides[likely, None]
            reach = distances[index, likely] * stride
            points = offsets[index, likely] * stride + np.tile(place, 5)
            corners = np.hstack([place - reach[:, :2], place + reach[:, 2:], points])
            tables.append(np.hstack([scores[index, likely], corners / np.float32(scale)]))
        return tables

    def _merged(self, candidates: Floats32) -> tuple[Detection, ...]:
        """The candidates (n, 15) that no better one overlaps too much, as detections."""
        ranked = candidates[np.argsort(-candidates[:, 0], kind="stable")]
        kept = unsuppressed(ranked[:, 1:5], self._params.max_overlap)
        return largest_first(
            Detection(
                box=row[1:5].astype(np.float64),
                score=float(row[0]),
                five_points=row[5:].astype(np.float64).reshape(5, 2),
            )
            for row in ranked[kept]
        )


def _letterboxed(rgb: Image, side_px: int) -> tuple[Image, float]:
    """The image scaled into the upper left of a black square, and the scale (by its height)."""
    height, width = rgb.shape[:2]
    if height > width:
        size = (max(int(side_px / (height / width)), 1), side_px)
    else:
        size = (side_px, max(int(side_px * (height / width)), 1))
    canvas = np.zeros((side_px, side_px, 3), dtype=np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(rgb, size)
    return canvas, size[1] / height


@cache
def _anchors(side_px: int) -> tuple[Floats32, Floats32]:
    """Places (n, 2) px and strides (n,) px of all anchors, in the order of the outputs."""
    places, strides = [], []
    for stride in _STRIDES:
        cells = side_px // stride
        rows, columns = np.divmod(np.arange(cells * cells), cells)
        grid = np.repeat(np.column_stack([columns, rows]) * stride, _ANCHORS, axis=0)
        places.append(grid.astype(np.float32))
        strides.append(np.full(len(grid), stride, dtype=np.float32))
    return np.concatenate(places), np.concatenate(strides)
