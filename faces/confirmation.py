"""A second opinion on every detection: what a detector takes for a face may be a dog's.

The detector looks again, at the face alone: at its crop and at the crop's mirror image. Where the
landmarks of different models and of the mirror image agree as well, a lower score will do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.crop import cut_square
from faces.detection import Detection, Detector, Image
from mirrorset.geometry import iou, square_around
from mirrorset.records import Record

Floats = NDArray[np.float64]

# The value that the brightest hundredth of a crop reaches at the least.
_WELL_LIT = 160


class ConfirmationParams(Record):
    """min_score: for the lower of the second scores, by itself. min_score_agreed: where the
    landmarks lie no more than `max_apart` apart, in sides of the face's box. crop_factor: side of
    the crop over the longer side of the box. crop_side_px: the crop is scaled to it, which must be
    what the detector looks at. min_overlap: IoU from which what is found in the crop is that face.
    """

    min_score: float
    min_score_agreed: float
    max_apart: float = 0.05
    crop_factor: float = 2.0
    crop_side_px: int
    min_overlap: float = 0.5


# By detector; docs/models.md has the scores of true and of false faces that these lie between.
CONFIRMATIONS = {
    "scrfd_500m_bnkps": ConfirmationParams(min_score=0.7, min_score_agreed=0.45, crop_side_px=128),
    # As its smaller sister: this file was not to be had where these were measured.
    "det_10g": ConfirmationParams(min_score=0.7, min_score_agreed=0.45, crop_side_px=128),
    # Its mesh is compared with its mirror image alone.
    "yunet": ConfirmationParams(
        min_score=0.9, min_score_agreed=0.87, max_apart=0.02, crop_side_px=160
    ),
}


class Confirmation:
    """One instance serves any number of threads."""

    def __init__(self, detector: Detector, params: ConfirmationParams) -> None:
        """detector: with a low threshold, looking at the crop's size."""
        self._detector = detector
        self._params = params

    def confirm(
        self, faces: Sequence[tuple[Image, ArrayLike]], apart_px: Sequence[float]
    ) -> list[bool]:
        """Whether each of `faces` is one: (H, W, 3) uint8 RGB and the box in it, xyxy px.

        apart_px: for each, how far its landmarks lie apart (`faces.landmarks.Disagreements`), NaN
        where that is not known.
        """
        wanted = self._params
        return [
            score >= wanted.min_score
            or (score >= wanted.min_score_agreed and apart <= wanted.max_apart * _side(box))
            for score, (_, box), apart in zip(
                self.second_scores(faces), faces, apart_px, strict=True
            )
        ]

    def second_scores(self, faces: Sequence[tuple[Image, ArrayLike]]) -> list[float]:
        """The lower of the scores on the crop and on its mirror image; 0 where one has no face."""
        views = []
        for rgb, box in faces:
            square = square_around(box, self._params.crop_factor)
            crop = _lit(cut_square(rgb, square, self._params.crop_side_px))
            views += [crop, np.ascontiguousarray(crop[:, ::-1])]
        found = iter(self._detector.detect(views))
        scores = []
        for _, box in faces:
            # In the middle of the crop, and so of its mirror image.
            there = _middle(box, self._params.crop_factor, self._params.crop_side_px)
            scores.append(min(self._score(next(found), there) for _ in range(2)))
        return scores

    def _score(self, found: Sequence[Detection], box: Floats) -> float:
        overlapping = [
            detection.score
            for detection in found
            if iou(detection.box, box)[0, 0] >= self._params.min_overlap
        ]
        return max(overlapping, default=0.0)


def _lit(crop: Image) -> Image:
    """A dark crop brought to the range of a well-lit one: detectors see little in the dark."""
    brightest = max(float(np.quantile(crop, 0.99)), 1.0)
    if brightest >= _WELL_LIT:
        return crop
    return np.asarray(np.minimum(crop * (_WELL_LIT / brightest), 255).round(), dtype=np.uint8)


def _middle(box: ArrayLike, crop_factor: float, side_px: int) -> Floats:
    """Where the box lies, xyxy px, in its square crop of that factor and side."""
    corners = np.asarray(box, dtype=np.float64)
    half = (corners[2:] - corners[:2]) / _side(box) / crop_factor / 2 * side_px
    return np.concatenate([side_px / 2 - half, side_px / 2 + half])


def _side(box: ArrayLike) -> float:
    left, top, right, bottom = np.asarray(box, dtype=np.float64)
    return float(max(right - left, bottom - top))
