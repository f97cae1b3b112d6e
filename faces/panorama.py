"""Panoramas: a network that has a long picture scaled into a square sees nobody in it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faces.detection import Detection, Detector, Image, largest_first, unsuppressed

# Longer side over the shorter beyond which windows are looked at; what cameras take is within it.
_ELONGATED = 3
# However long and thin a picture is, it costs no more detections than twice this.
_MOST_LENGTHS = 32


class PanoramaDetector:
    """Another detector, on the whole image and, where it is long, on windows of it as well."""

    def __init__(self, detector: Detector, max_overlap: float) -> None:
        """max_overlap: IoU above which the lower score of two detections is dropped."""
        self._detector = detector
        self._max_overlap = max_overlap

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """See `faces.detection.Detector`."""
        whole = self._detector.detect(images)
        return [
            self._with_windows(rgb, found) if _is_elongated(rgb) else found
            for rgb, found in zip(images, whole, strict=True)
        ]

    def _with_windows(self, rgb: Image, whole: Sequence[Detection]) -> tuple[Detection, ...]:
        found = [*whole]
        for left, top, right, bottom in _windows(*rgb.shape[1::-1]):
            (inside,) = self._detector.detect([rgb[top:bottom, left:right]])
            shift = np.array([left, top], dtype=np.float64)
            moved = (
                Detection(one.box + np.tile(shift, 2), one.score, one.five_points + shift)
                for one in inside
            )
            found += [one for one in moved if _is_whole(one, (left, top, right, bottom), rgb)]
        found.sort(key=lambda one: one.score, reverse=True)
        boxes = np.array([one.box for one in found]).reshape(-1, 4)
        return largest_first(found[index] for index in unsuppressed(boxes, self._max_overlap))


class Segmenter(Protocol):
    """What masks pixels; `faces.person_mask.PersonSegmenter` is one."""

    def segment(self, images: Sequence[Image]) -> list[NDArray[np.bool_]]:
        """A mask (H, W) bool of each of `images`, (H, W, 3) uint8 RGB."""


class PanoramaSegmenter:
    """Another segmenter, on the whole image or, where it is long, on windows of it instead.

    A pixel is masked where any window has it so: what an edge cuts, the next window has whole.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def segment(self, images: Sequence[Image]) -> list[NDArray[np.bool_]]:
        """See `Segmenter`."""
        return [
            self._of_windows(rgb) if _is_elongated(rgb) else self._segmenter.segment([rgb])[0]
            for rgb in images
        ]

    def _of_windows(self, rgb: Image) -> NDArray[np.bool_]:
        mask = np.zeros(rgb.shape[:2], dtype=np.bool_)
        for left, top, right, bottom in _windows(*rgb.shape[1::-1]):
            (inside,) = self._segmenter.segment([rgb[top:bottom, left:right]])
            mask[top:bottom, left:right] |= inside
        return mask


def _is_elongated(rgb: Image) -> bool:
    height, width = rgb.shape[:2]
    return bool(max(height, width) > _ELONGATED * min(height, width))


def _windows(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows (xyxy px) twice as long as they are wide, each half over the next."""
    longer, shorter = max(width, height), min(width, height)
    step = max(shorter, -(-longer // _MOST_LENGTHS))
    for start in range(0, max(longer - step, 1), step):
        end = min(start + 2 * step, longer)
        yield (start, 0, end, height) if width == longer else (0, start, width, end)


def _is_whole(detection: Detection, window: tuple[int, int, int, int], rgb: Image) -> bool:
    """Whether no edge of the window cuts the face: if one does, the next window has it whole."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = detection.box
    return bool(
        (window[0] == 0 or left > window[0])
        and (window[1] == 0 or top > window[1])
        and (window[2] == width or right < window[2])
        and (window[3] == height or bottom < window[3])
    )
