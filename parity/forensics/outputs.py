"""Guesses at how an output went wrong after the net had computed it, or by the net itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from parity.forensics.records import Cause
from parity.forensics.spread import Floats, Named, explained

# Beyond it the sigmoid is 0 or 1 in single precision.
_LARGEST_LOGIT = 100.0
# What fits a number or two to the values needs many more of them.
_FITTED_VALUES = 64
# What is cut off lies exactly at an end of its range; by chance a few values do.
_PILED_VALUES = 4
# A guess this right needs no other, a constant that it gives being one of rounding.
_SURE = 1 - 1e-9
# Of a deviation as large as from px to shares of a side, all that is small explains nearly all: a
# line that leaves so much less open goes first.
_LEAVES = 0.1
FITTED: tuple[Cause, ...] = ("clipped", "scale_or_offset")


@dataclass(frozen=True)
class Explained:
    """A guess with the share of the deviation that it explains."""

    cause: Cause
    detail: str
    share: float


@dataclass(frozen=True)
class PointsAs:
    """How an output holds points: `count` times `values`, x and y first; side: of the input, in
    the unit of x."""

    count: int
    values: int
    side: float


def seen_in(found: Floats) -> Explained | None:
    """What needs no guess: an output (n, …) that says nothing."""
    if not found.any():
        return Explained("zeros", "it is all zeros", 1.0)
    if len(found) > 1 and (found == found[:1]).all():
        return Explained("constant", "it is the same for every image", 1.0)
    return None


def told_of(
    said: Explained | None,
    output: str,
    found: Floats,
    expected: Named,
    points: PointsAs | None = None,
) -> Explained:
    """`said`, what is seen in all rows of `output`, or what `best_guess` says of some (n, …).

    One answer to all images may be what rounding leaves of different ones: a sigmoid of high
    logits is 1.
    """
    if said is not None and said.cause != "constant":
        return said
    guess = best_guess(output, found, expected, points)
    if said is None or (guess.share >= _SURE and guess.cause not in FITTED):
        return guess
    return said


def best_guess(
    output: str, found: Floats, expected: Named, points: PointsAs | None = None
) -> Explained:
    """What explains most of how `output` (n, …) departs from the expected; all outputs are given.

    points: how the output holds points, where it does. A line is laid through the values only where
    nothing simpler explains as much.
    """
    tried = [
        Explained(cause, detail, explained(found, expected[output], guess))
        for cause, detail, guess in _guesses(output, found, expected)
    ]
    if points is not None:
        own = np.asarray(expected[output], np.float64)
        tried += [
            Explained(cause, detail, explained(found, own, guess))
            for cause, detail, guess in _guesses_at_points(own, points)
        ]
    best = max(tried, key=lambda each: each.share)
    line = _line(found, np.asarray(expected[output], np.float64))
    if line.share > best.share + 0.01:
        return line
    leaves_less = 1 - line.share < _LEAVES * (1 - best.share)
    return line if leaves_less and best.share < _SURE else best


def _guesses(output: str, found: Floats, expected: Named) -> Iterator[tuple[Cause, str, Floats]]:
    own = np.asarray(expected[output], dtype=np.float64)
    yield "unexplained", "nothing explains it", own
    for words, guess in _transposed(own):
        yield "transposed", words, guess
    for other, values in expected.items():
        if other != output and values.shape == own.shape:
            detail = f"it holds what {other} should"
            yield "swapped_outputs", detail, np.asarray(values, dtype=np.float64)
    logits = np.clip(own, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    yield "sigmoid", "it went through a sigmoid", 1 / (1 + np.exp(-logits))
    if own.min() >= 0 and own.max() <= 1:
        yield "inverted", "it is 1 less what it should be", 1 - own
    if found.size < _FITTED_VALUES or _at_ends(found) < _at_ends(own) + _PILED_VALUES:
        return
    low, high = float(found.min()), float(found.max())
    detail = f"it is cut off below {low:.3g} and above {high:.3g}"
    yield "clipped", detail, np.clip(own, low, high)


def _guesses_at_points(own: Floats, points: PointsAs) -> Iterator[tuple[Cause, str, Floats]]:
    rows = own.reshape(len(own), points.count, points.values)
    swapped, mirrored = rows.copy(), rows.copy()
    swapped[..., :2] = rows[..., 1::-1]
    yield "swapped_axes", "its points come as y and x", swapped.reshape(own.shape)
    mirrored[..., 0] = points.side - rows[..., 0]
    detail = f"its points are mirrored: x is {points.side:g} less what it should be"
    yield "mirrored", detail, mirrored.reshape(own.shape)


def _at_ends(values: Floats) -> int:
    """How many values lie exactly at the lowest or the highest."""
    return int(((values == values.min()) | (values == values.max())).sum())


def _transposed(values: Floats) -> Iterator[tuple[str, Floats]]:
    """Other orders of an item's axes, those of one that lies flat too, and the shape as it was."""
    count, shape = len(values), values.shape[1:]
    for order in permutations(range(1, values.ndim)):
        if list(order) != sorted(order):
            words = "×".join(str(values.shape[axis]) for axis in order)
            yield f"its axes come as {words}", values.transpose(0, *order).reshape(values.shape)
    size = int(np.prod(shape))
    for side in range(2, size // 2 + 1):
        if size % side == 0:
            planes = values.reshape(count, side, size // side).transpose(0, 2, 1)
            words = f"its values come as {size // side}×{side}, not {side}×{size // side}"
            yield words, planes.reshape(values.shape)


def _line(found: Floats, expected: Floats) -> Explained:
    if found.size < _FITTED_VALUES:
        return Explained("scale_or_offset", "", 0.0)
    x, y = expected.ravel(), found.ravel()
    variance = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / variance) if variance else 1.0
    offset = float(y.mean() - slope * x.mean())
    detail = f"it is {slope:.4g} times what it should be, and {offset:+.4g}"
    return Explained(
        "scale_or_offset", detail, explained(found, expected, slope * expected + offset)
    )
