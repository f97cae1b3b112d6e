"""Anchors, scores and boxes of a single-shot detector → the one face that the chain looks at."""

from functools import cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mirrorset.errors import InputError
from mirrorset.geometry import area, invert, iou, transform
from parity.rules.rule import Floats, Kind, Rule, Seen

KEYPOINTS = 6
# Beyond it the sigmoid is 0 or 1 in single precision.
_LARGEST_LOGIT = 100.0


class SsdFace(Rule):
    """BlazeFace's decoding (Bazarevsky et al., "BlazeFace: sub-millisecond neural face detection on
    mobile GPUs", 2019): boxes that overlap are blended by their scores, the largest face is taken.

    strides, anchors_per_cell: of each feature map. regressors, scores: the net's outputs: (A, 16)
    offsets from the anchor in px of the input, x, y, width, height and six points, and (A, 1)
    logits. min_score: below it there is no face. min_overlap: IoU from which boxes are one face.
    Raises InputError where the outputs hold other numbers of values.

    Value: (17,) float64 px of the image: box xyxy, score, then x and y of the eyes on the image's
    left and right, the nose, the mouth, the ears. NaN where no face is found.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("net",)
    gives: ClassVar[Kind] = "face"

    rule: Literal["ssd_face"]
    regressors: str = "regressors"
    scores: str = "scores"
    side_px: Annotated[int, Field(gt=0)] = 128
    strides: tuple[int, ...] = (8, 16)
    anchors_per_cell: tuple[int, ...] = (2, 6)
    min_score: float = 0.5
    min_overlap: float = 0.3

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """See the base."""
        return self.regressors, self.scores

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        answer = seen.answer(self.of[0])
        anchors = _anchors(self.side_px, self.strides, self.anchors_per_cell)
        for name, each in ((self.scores, 1), (self.regressors, 4 + 2 * KEYPOINTS)):
            if answer.outputs[name].size != len(anchors) * each:
                raise InputError(
                    f"The output {name} of {self.of[0]} holds {answer.outputs[name].size} values, "
                    f"not {each} for each of {len(anchors)} anchors: correct side_px, strides, "
                    "anchors_per_cell and the names of outputs where the chain says ssd_face."
                )
        logits = np.asarray(answer.outputs[self.scores], dtype=np.float64).reshape(-1)
        with np.errstate(invalid="ignore"):
            scores = 1 / (1 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
            likely = np.flatnonzero(scores >= self.min_score)
        offsets = np.asarray(answer.outputs[self.regressors], dtype=np.float64)
        offsets = offsets.reshape(len(logits), -1)[likely]
        is_whole = np.isfinite(offsets).all(axis=1)
        likely, offsets = likely[is_whole], offsets[is_whole]
        if not likely.size or not answer.has_run:
            return np.full(5 + 2 * KEYPOINTS, np.nan)
        places = anchors[likely]
        centres, half = places + offsets[:, :2], np.abs(offsets[:, 2:4]) / 2
        points = offsets[:, 4 : 4 + 2 * KEYPOINTS] + np.tile(places, KEYPOINTS)
        rows = np.hstack([centres - half, centres + half, scores[likely, None], points])
        faces = _blended(rows, self.min_overlap)
        face = faces[int(np.argmax(area(faces[:, :4])))]
        back = invert(answer.transform)
        return np.concatenate(
            [
                transform(face[:4].reshape(2, 2), back).ravel(),
                face[4:5],
                transform(face[5:].reshape(-1, 2), back).ravel(),
            ]
        )


def _blended(rows: Floats, min_overlap: float) -> Floats:
    """Of each heap of overlapping detections (n, 17) the mean, weighted by score, best first."""
    rest = rows[np.argsort(-rows[:, 4], kind="stable")]
    faces = []
    while len(rest):
        is_same = iou(rest[0, :4], rest[:, :4])[0] > min_overlap
        # A box of no area overlaps nothing, itself included.
        is_same[0] = True
        heap = rest[is_same]
        face = np.average(heap, axis=0, weights=heap[:, 4])
        face[4] = heap[0, 4]
        faces.append(face)
        rest = rest[~is_same]
    return np.array(faces)


@cache
def _anchors(
    side_px: int, strides: tuple[int, ...], anchors_per_cell: tuple[int, ...]
) -> NDArray[np.float64]:
    """Centres (A, 2) px of all anchors, cell by cell in row order."""
    places = []
    for stride, count in zip(strides, anchors_per_cell, strict=True):
        cells = -(-side_px // stride)
        rows, columns = np.divmod(np.arange(cells * cells), cells)
        centres = (np.column_stack([columns, rows]) + 0.5) * (side_px / cells)
        places.append(np.repeat(centres, count, axis=0))
    return np.concatenate(places)
