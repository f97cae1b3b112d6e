"""Boxes, points and the maps between them. Boxes are xyxy px, points xy px, matrices 2×3."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def iou(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of every box of `a` (N, 4) with every box of `b` (M, 4): (N, M).

    Two boxes of no area have an IoU of 0.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(-1, 4)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = area(first)[:, None] + area(second)[None, :] - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def area(boxes: ArrayLike) -> Floats:
    """Areas (N,) of boxes (N, 4) in px²; an inverted box has none."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    areas: Floats = np.clip(corners[:, 2:] - corners[:, :2], 0, None).prod(axis=1)
    return areas


def expand(box: ArrayLike, factor: float) -> Floats:
    """The box (4,) with both sides multiplied by `factor` about its centre."""
    corners = np.asarray(box, dtype=np.float64)
    centre = (corners[:2] + corners[2:]) / 2
    half = (corners[2:] - corners[:2]) / 2 * factor
    return np.concatenate([centre - half, centre + half])


def square_around(box: ArrayLike, factor: float = 1.0) -> Floats:
    """The square (4,) about the box's centre whose side is `factor` × the box's longer side."""
    corners = np.asarray(box, dtype=np.float64)
    centre = (corners[:2] + corners[2:]) / 2
    half = float((corners[2:] - corners[:2]).max()) / 2 * factor
    return np.concatenate([centre - half, centre + half])


def similarity(source: ArrayLike, target: ArrayLike) -> Floats:
    """The scale, rotation and shift (2, 3) that best map `source` (K, 2) onto `target` (K, 2).

    Least squares without reflection: S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", PAMI 13(4), 1991. Raises ValueError for fewer than two
    points, unequal shapes, or points that all coincide.
    """
    src = np.asarray(source, dtype=np.float64)
    dst = np.asarray(target, dtype=np.float64)
    if src.shape != dst.shape or src.ndim != 2 or src.shape[0] < 2:
        raise ValueError(f"two equal lists of two or more points wanted: {src.shape}, {dst.shape}")
    src_mean, dst_mean = src.mean(axis=0), dst.mean(axis=0)
    src_centred, dst_centred = src - src_mean, dst - dst_mean
    variance = float((src_centred**2).sum())
    if variance == 0:
        raise ValueError("all source points coincide")
    u, singular, vt = np.linalg.svd(dst_centred.T @ src_centred)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scaled = rotation * ((singular * sign).sum() / variance)
    return np.hstack([scaled, (dst_mean - scaled @ src_mean)[:, None]])


def transform(points: ArrayLike, matrix: ArrayLike) -> Floats:
    """Points (K, 2) mapped by the affine `matrix` (2, 3)."""
    xy = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    affine = np.asarray(matrix, dtype=np.float64)
    return xy @ affine[:, :2].T + affine[:, 2]


def invert(matrix: ArrayLike) -> Floats:
    """The affine map (2, 3) that undoes `matrix` (2, 3)."""
    affine = np.asarray(matrix, dtype=np.float64)
    linear = np.linalg.inv(affine[:, :2])
    return np.hstack([linear, (-linear @ affine[:, 2])[:, None]])


def interocular_distance(points: ArrayLike, left: list[int], right: list[int]) -> float:
    """Distance in px between the means of the points indexed by `left` and by `right`.

    With the outer eye corners it is the 300-W convention; with all points of an eye, the pupils'.
    """
    xy = np.asarray(points, dtype=np.float64)
    return float(np.linalg.norm(xy[left].mean(axis=0) - xy[right].mean(axis=0)))
