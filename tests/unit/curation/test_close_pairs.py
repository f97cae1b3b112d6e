import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from thorough import thorough

from curation.close_pairs import MISSED, close_pairs
from curation.hashes import words
from mirrorset.pixels import hamming

rows = st.lists(st.integers(0, 2**128 - 1).map(lambda value: f"{value:032x}"), max_size=30)


def every(i, _):
    return np.ones(len(i), dtype=np.bool_)


@given(rows, st.integers(0, 80), st.integers(1, 4))
def test_among_few_rows_they_are_all_pairs_within_the_radius(rows, radius, step):
    hashes = np.array([words(row) for row in rows], dtype=np.uint64).reshape(-1, 2)
    found = close_pairs(hashes, radius, lambda i, j: np.abs(i - j) % step == 0)
    assert found.tolist() == [
        [i, j]
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
        if hamming(rows[i], rows[j]) <= radius and (j - i) % step == 0
    ]


def planted(count, width, radius, random):
    """Rows with 30 % of their bits off a common one, as faces have; the last tenth are copies."""
    turned = random.random((count, width * 64)) < 0.3
    copies = count // 10
    turned[-copies:] = turned[:copies]
    for row in turned[-copies:]:
        row[random.choice(width * 64, radius, replace=False)] ^= True
    return np.packbits(turned, axis=1).view(np.uint64), copies


@pytest.mark.parametrize(("width", "radius"), [(8, 48), (1, 4)])
def test_among_many_hardly_any_pair_at_the_radius_is_missed(width, radius):
    count = 20_000
    hashes, copies = planted(count, width, radius, np.random.default_rng(0))
    pairs = close_pairs(hashes, radius, every)
    found = set(map(tuple, pairs.tolist()))
    hit = sum((i, count - copies + i) in found for i in range(copies))
    # Six standard deviations beyond the chance that is meant.
    assert hit >= copies * (1 - MISSED) - 6 * np.sqrt(copies * MISSED)
    distances = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(axis=1)
    assert distances.max() <= radius
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert np.array_equal(close_pairs(hashes, radius, every), pairs)


@pytest.mark.parametrize("copies", [1000, *thorough(5000)])
def test_many_copies_of_one_picture_stay_few_pairs_and_one_set(copies):
    # In all more rows than are compared each with each.
    others = 4000
    hashes = np.zeros((copies + others, 8), dtype=np.uint64)
    hashes[copies:] = np.random.default_rng(0).integers(0, 2**64, (others, 8), dtype=np.uint64)
    pairs = close_pairs(hashes, 48, every)
    assert len(pairs) < 300 * copies
    joined = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(hashes), len(hashes)))
    assert connected_components(joined, directed=False, return_labels=False) == others + 1
