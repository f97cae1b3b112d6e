"""Landmarks as records: two models joined, with a confidence that is measured."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.schema import load_schema
from mirrorset.records import Landmarks

Floats = NDArray[np.float64]

# From the eyes, the nose and the mouth of ibug68 the two models give the same points; brows and
# jaw of the mesh are other curves.
_SHARED = slice(27, 68)
# Disagreement, in interocular distances, at which confidence is exp(−½) = 0.61.
_TOLERANCE = 0.05


def joined_ibug68(
    points106: ArrayLike, disagreement_px: ArrayLike, mesh: ArrayLike | None
) -> tuple[Floats, Floats]:
    """ibug68 points (68, 2) px and their disagreement (68,) px.

    points106: (106, 2) px with `disagreement_px` (106,) between the face and its mirror image.
    mesh: (478, 2) px, or None where the mesh found no face. Jaw and brows are face106's; eyes, nose
    and mouth are the mean of both models, and the distance between the models counts as
    disagreement where it is the larger.
    """
    schema = load_schema("ibug68")
    points = schema.derive(points106, "face106")
    flips = np.asarray(disagreement_px, dtype=np.float64)
    disagreement = np.array([flips[list(i)].max() for i in schema.derived_from["face106"]])
    if mesh is None:
        return points, disagreement
    others = schema.derive(mesh, "mesh478")
    between = np.linalg.norm(points - others, axis=1)[_SHARED]
    disagreement[_SHARED] = np.maximum(disagreement[_SHARED], between)
    points[_SHARED] = (points[_SHARED] + others[_SHARED]) / 2
    return points, disagreement


def landmarks(
    points: ArrayLike,
    disagreement_px: ArrayLike,
    interocular_px: float,
    width_px: int,
    height_px: int,
) -> Landmarks:
    """The record of `points` (K, 2) px in an image of that size.

    confidence is exp(−½ (d / (0.05 · interocular_px))²), d being `disagreement_px` (K,): the shape
    of OKS with one σ for all points. A point is visible (2) inside the image and 0 outside it:
    no model here tells what is occluded. Points have 2 decimals, CVAT's precision.
    """
    xy = np.asarray(points, dtype=np.float64).round(2) + 0.0
    ratio = np.asarray(disagreement_px, dtype=np.float64) / (_TOLERANCE * interocular_px)
    is_inside = np.all((xy >= 0) & (xy <= (width_px, height_px)), axis=1)
    return Landmarks(
        points=tuple((float(x), float(y)) for x, y in xy),
        visibility=tuple(2 if inside else 0 for inside in is_inside),
        confidence=tuple(np.exp(-0.5 * ratio**2).round(4).tolist()),
    )
