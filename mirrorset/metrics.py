"""The field's measures of agreement. Points are (K, 2) px unless said otherwise."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DRAWN_AT_ONCE = 5_000_000


def nme(predicted: ArrayLike, truth: ArrayLike, interocular_px: float) -> float:
    """Normalised mean error: mean distance of (K, 2) points over the interocular distance.

    Sagonas et al., "300 Faces in-the-wild challenge", 2013. Raises ValueError for unequal shapes
    or a distance that is not positive.
    """
    a = np.asarray(predicted, dtype=np.float64)
    b = np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"point lists differ in shape: {a.shape} and {b.shape}")
    if not interocular_px > 0:
        raise ValueError(f"the interocular distance must be positive, got {interocular_px}")
    return float(np.linalg.norm(a - b, axis=1).mean() / interocular_px)


def oks(
    predicted: ArrayLike,
    truth: ArrayLike,
    visibility: ArrayLike,
    area_px2: float,
    sigmas: ArrayLike,
) -> float:
    """Object keypoint similarity, 0 to 1, over points whose true `visibility` (K,) is above 0.

    sigmas (K,): per-point constants; similarity is exp(−d² / (2·area·(2σ)²)), as on the COCO
    keypoints page (cocodataset.org/#keypoints-eval). NaN where no point counts.
    """
    a = np.asarray(predicted, dtype=np.float64)
    b = np.asarray(truth, dtype=np.float64)
    counted = np.asarray(visibility) > 0
    if not counted.any():
        return float("nan")
    variance = (2 * np.asarray(sigmas, dtype=np.float64)) ** 2
    squared = ((a - b) ** 2).sum(axis=1)
    similarity = np.exp(-squared / (2 * area_px2 * variance))
    return float(similarity[counted].mean())


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two boolean masks of one shape; two empty masks agree (1)."""
    union = np.logical_or(a, b).sum()
    return 1.0 if union == 0 else float(np.logical_and(a, b).sum() / union)


def bootstrap_interval(
    values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (N,): (low, high).

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Deterministic for
    a seed. (NaN, NaN) for no values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    # In blocks: all resamples of a large sample at once would not fit in memory.
    rows = max(1, _DRAWN_AT_ONCE // sample.size)
    means = np.concatenate(
        [
            sample[generator.integers(0, sample.size, size=(count, sample.size))].mean(axis=1)
            for count in [rows] * (resamples // rows) + [resamples % rows]
            if count
        ]
    )
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def resampled(count: int, seed: int = 0, resamples: int = 2000) -> NDArray[np.int64]:
    """How often each of `count` units is drawn in each bootstrap resample: (resamples, count).

    The weights by which statistics other than a mean get an interval: whoever has many values of
    one image draws images, since the values of one image stand or fall together. Deterministic.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples)


def percentile_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of a statistic's resampled `values` (R,), those that are undefined aside.

    (NaN, NaN) where none is defined.
    """
    drawn = np.asarray(values, dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if drawn.size == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def kappa(tables: ArrayLike, is_weighted: bool = False) -> NDArray[np.float64]:
    """Cohen's kappa of contingency tables (…, C, C): (…); NaN where chance agrees always.

    Entry [i, j] counts what one rater called i and the other j. is_weighted: the classes are in
    order and a disagreement counts by their distance (linear weights). J. Cohen, "A coefficient of
    agreement for nominal scales", 1960; "Weighted kappa", 1968.
    """
    counts = np.asarray(tables, dtype=np.float64)
    classes = np.arange(counts.shape[-1])
    cost = np.abs(classes[:, None] - classes[None, :]).astype(np.float64)
    if not is_weighted:
        cost = (cost > 0).astype(np.float64)
    total = counts.sum(axis=(-2, -1))
    rows, columns = counts.sum(axis=-1), counts.sum(axis=-2)
    observed = (counts * cost).sum(axis=(-2, -1)) * total
    by_chance = np.einsum("...i,ij,...j->...", rows, cost, columns)
    unknown = np.full(by_chance.shape, np.nan)
    disagreement = np.divide(observed, by_chance, out=unknown, where=by_chance > 0)
    return np.asarray(1 - disagreement)


def resampled_kappa(
    tables: ArrayLike, is_weighted: bool = False, seed: int = 0
) -> NDArray[np.float64]:
    """The kappas of `tables` (N, …, C, C), one an image, in each bootstrap resample: (R, …).

    `percentile_interval` makes an interval of them.
    """
    each = np.asarray(tables, dtype=np.float64)
    drawn = resampled(each.shape[0], seed).astype(np.float64)
    return kappa(np.tensordot(drawn, each, axes=1), is_weighted)


def weighted_quantile(values: ArrayLike, weights: ArrayLike, share: float) -> NDArray[np.float64]:
    """The smallest of `values` (N,) that `share` of the weight does not exceed: (R,).

    weights: (R, N), how often each value counts. NaN where nothing counts.
    """
    sample = np.asarray(values, dtype=np.float64)
    counts = np.atleast_2d(np.asarray(weights))
    if sample.size == 0:
        return np.full(counts.shape[0], np.nan)
    order = np.argsort(sample, kind="stable")
    below = np.cumsum(counts[:, order], axis=1)
    reached = (below >= share * below[:, -1:]) & (below > 0)
    found = sample[order][reached.argmax(axis=1)]
    return np.asarray(np.where(below[:, -1] > 0, found, np.nan))


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a rate of `successes` among `trials`: (low, high).

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22,
    1927. (NaN, NaN) for no trials.
    """
    if trials == 0:
        return float("nan"), float("nan")
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate = successes / trials
    middle = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)
