"""Rows of bits that lie close together, among millions, without comparing each with each."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Rows = NDArray[np.int64]
#: Which of the pairs of rows (P,), (P,) are asked for, as (P,) booleans.
IsWanted = Callable[[Rows, Rows], NDArray[np.bool_]]

#: The chance at which a pair at the radius itself may be missed; nearer ones are missed far less.
MISSED = 1e-3
# What sorting a row once costs, in comparisons of two rows.
_SORT_COST = 3
# Among so many rows every pair is compared.
_ALL = 4096
# Of more rows with one key each is compared with so many next ones: copies of one picture are
# joined by these as well, without as many pairs as the square of their number.
_FARTHEST = 256
_BLOCK = 2**14  # rows whose keys are made at once, in the processor's cache


def close_pairs(hashes: Words, radius: int, is_wanted: IsWanted) -> NDArray[np.int64]:
    """Pairs i < j of rows within Hamming distance `radius`, as (P, 2), sorted by i, then j.

    hashes: (N, W) uint64. Locality-sensitive hashing by sampled bits (P. Indyk and R. Motwani,
    "Approximate nearest neighbors", 1998): the rows are sorted by some of their bits, those that
    agree in all of these are compared, and this is done again with other bits until a pair at the
    radius is missed with a chance of MISSED. Fewer bits take fewer rounds and leave more to
    compare; as many are taken as make the work smallest. Up to 4,096 rows are all compared with one
    another. The same input gives the same pairs.
    """
    count, size = hashes.shape[0], hashes.shape[1] * 64
    if count < 2:
        return np.empty((0, 2), dtype=np.int64)
    columns = np.ascontiguousarray(hashes.T)
    width, rounds = _width(columns, size, radius)
    found = np.empty(0, dtype=np.int64)  # i · N + j
    for bits, _ in zip(_samples(size, width), range(rounds), strict=False):
        keys, rows = _sorted(columns, bits)
        new = [found]
        ordered = hashes.take(rows, axis=0)
        for places in _alike(keys):
            asked = is_wanted(*rows.take(places))
            here, there = places.compress(asked, axis=1)
            distances = _distances(ordered.take(here, axis=0), ordered.take(there, axis=0))
            close = distances <= radius
            i, j = rows.take(here[close]), rows.take(there[close])
            new.append(np.minimum(i, j) * count + np.maximum(i, j))
        found = np.unique(np.concatenate(new))
    return np.column_stack(np.divmod(found, count))


def _width(columns: Words, size: int, radius: int) -> tuple[int, int]:
    """How many bits are to agree, and in how many rounds, for the least work."""
    count = columns.shape[1]
    if count <= _ALL:
        return 0, 1
    widest = min(64 - _index_bits(count), size - radius)
    keys, _ = _sorted(columns, next(_samples(size, widest)))
    # What agrees in all of these bits are copies, which any number of bits leaves together.
    copies = _pairs(keys)
    best = (math.inf, 0, 1)
    for width in range(1, widest + 1):
        rounds = _rounds(size, radius, width)
        strangers = _pairs(keys >> np.uint64(widest - width)) - copies
        best = min(best, (rounds * (_SORT_COST * count + strangers), width, rounds))
    return best[1], best[2]


def _pairs(keys: Words) -> float:
    """How many pairs of the sorted `keys` are the same."""
    ends = np.flatnonzero(np.diff(keys)) + 1
    runs = np.diff(ends, prepend=0, append=len(keys)).astype(np.float64)
    return float((runs * (runs - 1) / 2).sum())


def _rounds(size: int, radius: int, width: int) -> int:
    """Rounds after which a pair that differs in `radius` of `size` bits was missed with MISSED."""
    agreeing = math.comb(size - radius, width) / math.comb(size, width)
    return 1 if agreeing == 1 else math.ceil(math.log(MISSED) / math.log1p(-agreeing))


def _samples(size: int, width: int) -> Iterator[NDArray[np.int64]]:
    """Sets of `width` bits; those of one permutation have none in common."""
    random = np.random.RandomState(0)  # whose numbers stay the same in every version of numpy
    while True:
        order = random.permutation(size)
        yield from order[: size // width * width].reshape(-1, width) if width else [order[:0]]


def _sorted(columns: Words, bits: NDArray[np.int64]) -> tuple[Words, Rows]:
    """The keys of all rows in order, and whose they are: keys are `bits` of columns (W, N)."""
    count = columns.shape[1]
    index_bits = _index_bits(count)
    keys = np.zeros(count, dtype=np.uint64)
    one = np.uint64(1)
    for start in range(0, count, _BLOCK):
        block = keys[start : start + _BLOCK]
        for bit in bits.tolist():
            word = columns[bit // 64, start : start + _BLOCK]
            block <<= one
            block |= (word >> np.uint64(bit % 64)) & one
        block <<= np.uint64(index_bits)
        block |= np.arange(start, start + len(block), dtype=np.uint64)
    keys.sort()
    rows = (keys & np.uint64(2**index_bits - 1)).astype(np.int64)
    keys >>= np.uint64(index_bits)
    return keys, rows


def _alike(keys: Words) -> Iterator[Rows]:
    """Pairs of places (2, P) in the sorted `keys` that hold the same, each once."""
    here = np.arange(len(keys) - 1)
    for step in range(1, (_ALL if len(keys) <= _ALL else _FARTHEST) + 1):
        here = here[: np.searchsorted(here, len(keys) - step)]
        here = here[keys.take(here) == keys.take(here + step)]
        if not len(here):
            return
        for start in range(0, len(here), _BLOCK):
            block = here[start : start + _BLOCK]
            yield np.stack([block, block + step])


def _distances(some: Words, others: Words) -> NDArray[np.int64]:
    counts = np.bitwise_count(some ^ others)
    # A product takes a fourth of the time of a sum along so short an axis.
    return (counts @ np.ones(counts.shape[1], dtype=np.float32)).astype(np.int64)


def _index_bits(count: int) -> int:
    return max(1, (count - 1).bit_length())
