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

    @property
    def uncertainty(self) -> float:
        """Of ibug68: the expected NME of eyes, nose and mouth, for which there was a truth."""
        return float(self.expected[SHARED].mean())


@dataclass(frozen=True)
class Looks:
    """What the looks at one face say of ibug68; NaN and None stand for what is not known.

    points106, points478: (68, 2) px by each model, or None. mirror106, mirror478: (68,) distance of
    each point found on the face and on its mirror image. between: (68,) distance of the models.
    unit_px: the interocular distance, in which distances are given.
    """

    points106: Floats | None
    points478: Floats | None
    mirror106: Floats
    mirror478: Floats
    between: Floats
    unit_px: float

    @property
    def apart_px(self) -> float:
        """Mean distance of the mesh's eyes, nose and mouth from its mirror image's and, where there
        are any, from face106's, added. NaN where the mesh was not found both times.
        """
        between = 0 if self.points106 is None else self.between
        return float((self.mirror478 + between)[SHARED].mean() * self.unit_px)


def looks(of106: tuple[ArrayLike, ArrayLike] | None, mesh: Mesh | None) -> Looks | None:
    """The looks at one face; None where no model found points.

    of106: points (106, 2) px and their distances (106,) px from the mirror image's.
    """
    schema = load_schema("ibug68")
    unknown = np.full(len(schema.names), np.nan)
    first = schema.derive(of106[0], "face106") if of106 else None
    second = schema.derive(mesh.points, "mesh478") if mesh else None
    points = first if second is None else second
    if points is None:
        return None
    unit = schema.interocular_px(points)
    return Looks(
        points106=first,
        points478=second,
        mirror106=_derived_apart(of106[1], "face106") / unit if of106 else unknown,
        mirror478=_derived_apart(mesh.apart_px, "mesh478") / unit if mesh else unknown,
        between=(
            unknown
            if first is None or second is None
            else np.linalg.norm(first - second, axis=1) / unit
        ),
        unit_px=unit,
    )


def located68(seen: Looks) -> Located:
    """ibug68 by all that looked.

    With both models, jaw and brows are face106's; eyes, nose and mouth are the mesh's, drawn
    towards face106 by a third where the models agree, by less the further they lie apart: where one
    of them fails, in darkness or under a hand, it is face106. Raises ValueError without either.
    """
    first, second = seen.points106, seen.points478
    if first is None:
        if second is None:
            raise ValueError("landmarks need the points of one model at the least")
        return Located(second, expected_error(MESH478, seen.mirror478))
    expected = expected_error(FACE106, seen.mirror106)
    if second is None:
        return Located(first, expected)
    weight = _WEIGHT / (1 + (seen.between[SHARED].mean() / _HALVED_AT) ** 2)
    points = first.copy()
    points[SHARED] = weight * first[SHARED] + (1 - weight) * second[SHARED]
    expected[SHARED] = expected_error(JOINED, seen.mirror478[SHARED], seen.between[SHARED])
    return Located(points, expected)


def located106(points106: ArrayLike, apart_px: ArrayLike) -> Located:
    """face106: `points106` (106, 2) px, `apart_px` (106,) px from its mirror image's."""
    points = np.asarray(points106, dtype=np.float64)
    unit = load_schema("face106").interocular_px(points)
    return Located(points, expected_error(FACE106, np.asarray(apart_px) / unit))


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
