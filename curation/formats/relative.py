"""A face over the width and height of its image: (0, 0) the outer corner of the top-left pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.schema import LandmarkSchema
from mirrorset.geometry import area
from mirrorset.load import Item
from mirrorset.records import Face


@dataclass(frozen=True)
class RelativeFace:
    """box: xyxy (4,), which ends at the image's edge. points: x, y (N, 2). All lie in 0 to 1.

    visibility (N,) int: 2 visible, 1 hidden, 0 outside the image or not labelled, then x = y = 0.
    """

    box: NDArray[np.float64]
    points: NDArray[np.float64]
    visibility: NDArray[np.int64]


def relative(face: Face, item: Item, schema: LandmarkSchema) -> RelativeFace | None:
    """`face` of the image `item`, or None where its box lies outside the image altogether."""
    size = np.array([item.width_px, item.height_px])
    box = np.clip(np.reshape(face.box, (2, 2)), 0, size)
    if area(box.ravel())[0] == 0:
        return None
    points = np.zeros((len(schema.names), 2))
    visibility = np.zeros(len(schema.names), dtype=np.int64)
    if landmarks := face.landmarks.get(schema.name):
        points = np.array(landmarks.points) / size
        is_inside = ((points >= 0) & (points <= 1)).all(axis=1)
        visibility = np.where(is_inside, landmarks.visibility, 0)
        points = np.where(visibility[:, None] > 0, points, 0)
    return RelativeFace((box / size).ravel(), points, visibility)
