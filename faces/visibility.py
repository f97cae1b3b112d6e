"""Which points the head itself hides: the mesh's surface is in front of them.

Estimated from the mesh's geometry and from nothing else: what hair, a hand or glasses hide is left
to people.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.schema import LandmarkSchema, load_schema

Floats = NDArray[np.float64]

# In interocular distances. How far in front of a point the surface must lie to hide it: less is
# within what the mesh's depth is off by, and the lips of a closed mouth lie that near.
_DEPTH = 0.05
# How far the surface must reach beyond a point on all sides: a point this near to the outline that
# is seen is where a person would put it.
_REACH = 0.05
_SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])


def hidden_points(schema: LandmarkSchema, mesh: ArrayLike) -> NDArray[np.bool_]:
    """Whether the head hides each point of `schema`: (K,) bool.

    mesh: (478, 3) px, x to the right, y down, z away from the camera, which looks along z from afar
    (MediaPipe's depth is weakly perspective). A point is hidden where half and more of the vertices
    are that it is derived from. Raises KeyError where `schema` does not derive from mesh478.
    """
    xyz = np.asarray(mesh, dtype=np.float64)
    derivation = schema.derived_from["mesh478"]
    vertices = sorted({index for indices in derivation for index in indices})
    is_hidden = dict(zip(vertices, _are_behind(xyz[vertices], xyz), strict=True))
    return np.array(
        [np.mean([is_hidden[index] for index in indices]) >= 0.5 for indices in derivation]
    )


def _are_behind(points: Floats, mesh: Floats) -> NDArray[np.bool_]:
    """Whether the surface of `mesh` (478, 3) hides each of `points` (N, 3)."""
    unit = load_schema("mesh478").interocular_px(mesh[:, :2])
    around = np.repeat(points[:, None], len(_SIDES), axis=1)
    around[..., :2] += _REACH * unit * _SIDES
    around[..., 2] -= _DEPTH * unit
    return np.asarray(
        _are_covered(around.reshape(-1, 3), mesh).reshape(-1, len(_SIDES)).all(axis=1)
    )


def _are_covered(points: Floats, mesh: Floats) -> NDArray[np.bool_]:
    """Whether some triangle of `mesh` (478, 3) lies before each of `points` (N, 3): (N,) bool."""
    corners = mesh[_triangles()]
    low, high = corners[..., :2].min(axis=1), corners[..., :2].max(axis=1)
    x, y = points[:, 0, None], points[:, 1, None]
    is_boxed = (low[:, 0] < x) & (x < high[:, 0]) & (low[:, 1] < y) & (y < high[:, 1])
    which, triangle = np.nonzero(is_boxed)
    first, second, third = corners[triangle].swapaxes(0, 1)
    # Shares of the second and the third corner in the place of the point.
    area = _cross(second - first, third - first)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_second = _cross(points[which] - first, third - first) / area
        of_third = _cross(second - first, points[which] - first) / area
    depth = first[:, 2] + of_second * (second - first)[:, 2] + of_third * (third - first)[:, 2]
    is_inside = (of_second > 0) & (of_third > 0) & (of_second + of_third < 1)
    is_covered = np.zeros(len(points), dtype=np.bool_)
    is_covered[which[is_inside & (depth < points[which, 2])]] = True
    return is_covered


@cache
def _triangles() -> NDArray[np.intp]:
    """The triangles (852, 3) of MediaPipe's mesh, which lists the three sides of each."""
    from mediapipe.tasks.python import vision  # noqa: PLC0415  (a second, for every command)

    sides = vision.FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
    return np.array([side.start for side in sides], dtype=np.intp).reshape(-1, 3)


def _cross(a: Floats, b: Floats) -> Floats:
    """z of the cross product of the first two coordinates."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
