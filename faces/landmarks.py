"""Landmarks as records: two models joined, and how far each point is expected to be off."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.mesh import Mesh
from faces.schema import load_schema
from faces.uncertainty import FACE106, JOINED, MESH478, confidence, expected_error
from mirrorset.records import Landmarks

Floats = NDArray[np.float64]

# From the eyes, the nose and the mouth of ibug68 the two models give the same points; brows and
# jaw of the mesh are other curves.
SHARED = slice(27, 68)
# What face106 weighs against the mesh where they agree, and the mean distance of the two, in
# interocular distances, at which it weighs half of that (docs/landmarks.md).
_WEIGHT = 1 / 3
_HALVED_AT = 0.03


@dataclass(frozen=True)
class Located:
    """points: (K, 2) float64 px. expected: (K,) float64, how far each is expected to be from the
    truth, in interocular distances of the face.
    """

    points: Floats
    expected: Floats


def located106(points106: ArrayLike, apart_px: ArrayLike) -> Located:
    """face106: `points106` (106, 2) px, `apart_px` (106,) between the face and its mirror image."""
    points = np.asarray(points106, dtype=np.float64)
    unit = load_schema("face106").interocular_px(points)
    return Located(points, expected_error(FACE106, np.asarray(apart_px) / unit))


def located68(
    points106: ArrayLike | None, apart106_px: ArrayLike | None, mesh: Mesh | None
) -> Located:
    """ibug68 from face106, from the mesh, or from both.

    points106: (106, 2) px with `apart106_px` (106,) between the face and its mirror image, or None.
    mesh: None where it found no face. With both, jaw and brows are face106's; eyes, nose and mouth
    are the mesh's, drawn towards face106 by a third where the models agree, by less the further
    they lie apart: where one of them fails, in darkness or under a hand, it is face106. Raises
    ValueError where both are None.
    """
    schema = load_schema("ibug68")
    if points106 is None or apart106_px is None:
        if mesh is None:
            raise ValueError("landmarks need the points of one model at the least")
        points = schema.derive(mesh.points, "mesh478")
        apart = _derived_apart(mesh.apart_px, "mesh478") / schema.interocular_px(points)
        return Located(points, expected_error(MESH478, apart))
    points = schema.derive(points106, "face106")
    apart106 = _derived_apart(apart106_px, "face106")
    if mesh is None:
        return Located(points, expected_error(FACE106, apart106 / schema.interocular_px(points)))
    others = schema.derive(mesh.points, "mesh478")
    unit = schema.interocular_px(others)
    between = np.linalg.norm(points - others, axis=1)[SHARED] / unit
    weight = _WEIGHT / (1 + (between.mean() / _HALVED_AT) ** 2)
    points[SHARED] = others[SHARED] + weight * (points - others)[SHARED]
    expected = expected_error(FACE106, apart106 / unit)
    apart478 = _derived_apart(mesh.apart_px, "mesh478")[SHARED] / unit
    expected[SHARED] = expected_error(JOINED, apart478, between)
    return Located(points, expected)


def distance_between(points106: ArrayLike, mesh: Mesh) -> float:
    """Mean distance in px of the points that both models give of eyes, nose and mouth."""
    schema = load_schema("ibug68")
    apart = schema.derive(points106, "face106") - schema.derive(mesh.points, "mesh478")
    return float(np.linalg.norm(apart, axis=1)[SHARED].mean())


def mirror_distance(mesh: Mesh) -> float:
    """Mean distance in px of the mesh's eyes, nose and mouth from its mirror image's."""
    return float(_derived_apart(mesh.apart_px, "mesh478")[SHARED].mean())


def landmarks(
    located: Located,
    width_px: int,
    height_px: int,
    is_hidden: NDArray[np.bool_] | None = None,
) -> Landmarks:
    """The record of `located` in an image of that size.

    confidence is `faces.uncertainty.confidence` of the expected error. A point is 0 outside the
    image, 1 where the head hides it (`is_hidden` (K,), faces.visibility; None where nothing tells),
    else visible, 2. Points have 2 decimals, CVAT's precision.
    """
    xy = located.points.round(2) + 0.0
    is_inside = np.all((xy >= 0) & (xy <= (width_px, height_px)), axis=1)
    seen = True if is_hidden is None else ~is_hidden
    return Landmarks(
        points=tuple((float(x), float(y)) for x, y in xy),
        visibility=tuple(np.where(is_inside, np.where(seen, 2, 1), 0).tolist()),
        confidence=tuple(confidence(located.expected).round(4).tolist()),
    )


def _derived_apart(apart_px: ArrayLike, source: str) -> Floats:
    """For each point of ibug68 the mean disagreement, px, of those of `source` it is made of."""
    apart = np.asarray(apart_px, dtype=np.float64)
    return np.array([apart[list(i)].mean() for i in load_schema("ibug68").derived_from[source]])
