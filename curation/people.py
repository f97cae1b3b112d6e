"""People: faces that are so alike, and so alike to one another's others, that one is shown."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
#: Of each face (N,) the first face of the same person.
Firsts = NDArray[np.int64]

# Vectors are rounded to whole numbers of this length. All sums within a product of two are below
# 2^24, where float32 is exact: the same in whatever order a processor adds them up.
_LENGTH = 4000
_BLOCK = 2048


class People(NamedTuple):
    """firsts: of each face. look_alikes: pairs of faces that are alike enough and kept apart, since
    the others of their people are not.
    """

    firsts: Firsts
    look_alikes: int


def people(vectors: Floats32, min_similarity: float) -> People:
    """The people among faces with these unit vectors (N, D), cosines being similarities.

    Two people become one only where the mean similarity of all faces of one with all of the other
    is `min_similarity` or more, the most alike first (average linkage: R. Sokal and C. Michener,
    "A statistical method for evaluating systematic relationships", 1958): one pair of look-alikes
    joins no two people, and no chain of them swallows strangers. Time grows with the square of N,
    in products of blocks; memory holds the vectors twice.
    """
    whole = np.rint(vectors * _LENGTH)
    at_least = min_similarity * _LENGTH**2
    firsts = np.arange(len(whole))
    apart = 0
    for members in _chained(whole, at_least):
        own = whole[members]
        of_own = _average_linkage(own, at_least)
        firsts[members] = members[of_own]
        apart += sum(int((of_own[i] != of_own[j]).sum()) for i, j in _alike(own, at_least))
    return People(firsts, apart)


def _chained(whole: Floats32, at_least: float) -> Iterator[Firsts]:
    """The faces, two or more, that pairs alike enough chain together: nobody reaches beyond."""
    # Whoever reads params needs no SciPy.
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    count = len(whole)
    chain_of = np.arange(count)
    for i, j in _alike(whole, at_least):
        ends = chain_of[i], chain_of[j]
        links = coo_array((np.ones(len(i), dtype=np.int8), ends), shape=(count, count))
        chain_of = connected_components(links, directed=False)[1][chain_of]
    order = np.argsort(chain_of, kind="stable")
    borders = np.flatnonzero(np.diff(chain_of[order])) + 1
    yield from (members for members in np.split(order, borders) if len(members) > 1)


def _alike(whole: Floats32, at_least: float) -> Iterator[tuple[Firsts, Firsts]]:
    """Pairs i < j of rows whose product is `at_least`, block after block, none empty."""
    for top in range(0, len(whole), _BLOCK):
        for left in range(top, len(whole), _BLOCK):
            products = whole[top : top + _BLOCK] @ whole[left : left + _BLOCK].T
            i, j = np.nonzero(products >= at_least)
            i, j = i + top, j + left
            is_once = i < j
            if is_once.any():
                yield i[is_once], j[is_once]


def _average_linkage(whole: Floats32, at_least: float) -> Firsts:
    """Of each row (n,) the first of its cluster, by the chain of nearest neighbours.

    A chain leads from a cluster to its nearest, and on, until two are each other's nearest: these
    are merged. No merge brings a third cluster nearer than its nearest was, so the rest of the
    chain holds, and what has no neighbour will get none (F. Murtagh, "A survey of recent advances
    in hierarchical clustering algorithms", 1983).
    """
    sums, sizes = whole.astype(np.float64), np.ones(len(whole))
    firsts = np.arange(len(whole))
    is_open = np.ones(len(whole), dtype=np.bool_)
    chain: list[int] = []
    while chain or is_open.any():
        if not chain:
            chain.append(int(is_open.argmax()))
        last = chain[-1]
        means = (sums @ sums[last]) / (sizes * sizes[last])
        means[~is_open] = means[last] = -np.inf
        nearest = int(means.argmax())
        if len(chain) > 1 and means[chain[-2]] == means[nearest]:
            nearest = chain[-2]
        if means[nearest] < at_least:
            is_open[chain.pop()] = False
        elif len(chain) > 1 and nearest == chain[-2]:
            first, second = sorted((chain.pop(), chain.pop()))
            sums[first] += sums[second]
            sizes[first] += sizes[second]
            is_open[second] = False
            firsts[firsts == second] = first
        else:
            chain.append(nearest)
    return firsts
