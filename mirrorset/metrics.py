"""The field's measures of agreement. Points are (K, 2) px unless said otherwise."""

import math
from collections.abc import Iterator
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
    # Counting is many times faster than summing.
    union = np.count_nonzero(np.logical_or(a, b))
    return 1.0 if union == 0 else np.count_nonzero(np.logical_and(a, b)) / union


def bootstrap_interval(
    values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """`bootstrap_intervals` of the mean of one column `values` (N,): (low, high)."""
    column = np.asarray(values, dtype=np.float64)[:, np.newaxis]
    low, high = bootstrap_intervals(column, level, seed, resamples)[:, 0].tolist()
    return low, high


def bootstrap_intervals(
    values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> NDArray[np.float64]:
    """Intervals of the means of columns `values` (N, M): lows and highs (2, M).

    The wider one, at either end, of bootstrap-t (Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 12.5: a resample's mean is measured in its own deviations) and of
    Student's t. The first holds for skewed values and is too narrow for long tails, the second the
    other way round; of 10 to 100 normal, lognormal, paired and t-distributed values both together
    held the mean in 94 to 97 % of draws, percentiles in 89 to 95 %. Columns are drawn together: row
    by row they are of one image. Deterministic for a seed. NaN for less than two values; equal
    values have no spread.
    """
    # It takes longer to import than all else here, and commands without an interval need none.
    from scipy.special import stdtrit  # noqa: PLC0415

    sample = np.asarray(values, dtype=np.float64)
    count, columns = sample.shape
    if count < 2:
        return np.full((2, columns), np.nan)
    means, spreads = sample.mean(axis=0), sample.std(axis=0)
    is_equal = (np.ptp(sample, axis=0) == 0) | (spreads == 0)  # of the smallest floats, too
    scaled = (sample - means) / np.where(is_equal, 1.0, spreads)
    moments = np.hstack([scaled, scaled**2])
    apart = np.concatenate(
        [_studentised(weights @ moments / count) for weights in _drawn(count, seed, resamples)]
    )
    tail = (1 - level) / 2
    least, most = np.quantile(apart, [tail, 1 - tail], axis=0, method="inverted_cdf")
    students = stdtrit(count - 1, 1 - tail) / np.sqrt(count - 1)
    # Where resamples of a few values have no spread Student's bound alone remains.
    below = np.where(np.isfinite(most), np.maximum(most, students), students)
    above = np.where(np.isfinite(least), np.minimum(least, -students), -students)
    intervals = means - np.stack([below, above]) * spreads
    return np.asarray(np.where(is_equal, sample[0], intervals))


def _studentised(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over deviations (R, M) of resamples' first and second moments (R, 2M)."""
    means, squares = np.hsplit(moments, 2)
    variances = squares - means**2
    # A resample of one value drawn again and again has no deviation, but for rounding.
    beyond = np.copysign(np.inf, means)
    deviations = np.sqrt(np.maximum(variances, 0))
    return np.asarray(np.divide(means, deviations, out=beyond, where=variances > 1e-9))


def resampled(count: int, seed: int = 0, resamples: int = 2000) -> NDArray[np.int64]:
    """How often each of `count` units is drawn in each bootstrap resample: (resamples, count).

    The weights by which statistics other than a mean get an interval: whoever has many values of
    one image draws images, since the values of one image stand or fall together. Deterministic.
    """
    return np.concatenate(list(_drawn(count, seed, resamples)))


def _drawn(count: int, seed: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """`resampled` in blocks of rows: all resamples of a large sample would not fit in memory."""
    generator = np.random.default_rng(seed)
    rows = max(1, _DRAWN_AT_ONCE // count)
    for start in range(0, resamples, rows):
        size = (min(rows, resamples - start), count)
        units = generator.integers(0, count, size) + np.arange(size[0])[:, np.newaxis] * count
        yield np.bincount(units.ravel(), minlength=size[0] * count).reshape(size)


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
    # With none or all the one end is 0 or 1, which rounding would miss.
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == trials else (middle + half) / scale
    return low, high


def rate_change_interval(
    gained: int, lost: int, trials: int, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the change of a rate between two looks at the same `trials`: (low, high).

    gained, lost: trials that succeed only in the second and only in the first look; the change is
    their difference over all. D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for
    a difference of binomial proportions based on paired data", JEBS 37, 2012. (NaN, NaN) for no
    trials.
    """
    if trials == 0:
        return float("nan"), float("nan")
    z = NormalDist().inv_cdf((1 + level) / 2)
    up, down = (gained + 1) / (trials + 2), (lost + 1) / (trials + 2)
    half = z * math.sqrt((up + down - (up - down) ** 2) / (trials + 2))
    return max(up - down - half, -1.0), min(up - down + half, 1.0)
