"""People by the average likeness of their faces, on made-up vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from curation import people as module
from curation.people import people


def unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float64)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def at(*degrees):
    """Vectors in a plane: the similarity of two is the cosine of the angle between them."""
    turns = np.radians(degrees)
    return unit(np.stack([np.cos(turns), np.sin(turns)], axis=1))


def drawn(seed, count, persons=6, size=128, spread=0.8):
    """Faces of some persons about the middle of each."""
    random = np.random.default_rng(seed)
    middles = unit(random.normal(size=(persons, size)))
    noise = random.normal(size=(count, size)) * spread / np.sqrt(size)
    return unit(middles[random.integers(persons, size=count)] + noise)


def sets(firsts):
    return {frozenset(np.flatnonzero(firsts == first).tolist()) for first in set(firsts.tolist())}


@given(st.integers(0, 10_000), st.integers(2, 60), st.floats(0.3, 0.9), st.floats(0.3, 1.5))
def test_they_are_the_clusters_of_average_linkage(seed, count, least, spread):
    vectors = drawn(seed, count, spread=spread)
    whole = np.rint(vectors.astype(np.float64) * 4000)
    distances = pdist(whole, lambda a, b: 1 - a @ b / 4000**2)
    wanted = fcluster(linkage(distances, "average"), 1 - least, "distance")
    assert sets(people(vectors, least).firsts) == sets(wanted)


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_faces_does_not_matter(seed, random):
    vectors = drawn(seed, 40)
    order = list(range(40))
    random.shuffle(order)
    found = people(vectors, 0.5)
    again = people(vectors[order], 0.5)
    assert {frozenset(order[i] for i in one) for one in sets(again.firsts)} == sets(found.firsts)
    assert again.look_alikes == found.look_alikes


def test_a_chain_of_look_alikes_does_not_reach_from_end_to_end():
    found = people(at(0, 20, 41, 61, 82, 102), np.cos(np.radians(25)))
    assert max(len(one) for one in sets(found.firsts)) == 2
    assert found.look_alikes == 2


def test_one_pair_of_look_alikes_joins_no_two_people():
    mine, yours = at(0, -10, -20, -30), at(25, 35, 45, 55)
    least = np.cos(np.radians(30))
    found = people(np.concatenate([mine, yours]), least)
    assert sets(found.firsts) == {frozenset({0, 1, 2, 3}), frozenset({4, 5, 6, 7})}
    assert found.look_alikes == 1
    assert len(sets(people(np.concatenate([mine[:1], yours[:1]]), least).firsts)) == 1


def test_a_face_is_of_the_person_it_is_like_on_average():
    found = people(at(0, 10, 90, 22), np.cos(np.radians(15)))
    assert found.firsts.tolist() == [0, 0, 2, 3]
    assert found.look_alikes == 1


@pytest.mark.parametrize("count", [0, 1])
def test_without_two_faces_there_is_nothing_to_tell_apart(count):
    assert people(at(0)[:count], 0.5).firsts.tolist() == list(range(count))


def test_copies_by_the_hundred_are_one_person():
    assert set(people(np.repeat(at(0, 90), 200, axis=0), 0.9).firsts.tolist()) == {0, 200}


def test_blocks_change_nothing(monkeypatch):
    vectors = drawn(3, 100, spread=1.2)
    whole = people(vectors, 0.4)
    monkeypatch.setattr(module, "_BLOCK", 7)
    blocks = people(vectors, 0.4)
    assert blocks.firsts.tolist() == whole.firsts.tolist()
    assert blocks.look_alikes == whole.look_alikes > 0


def test_products_of_float32_are_exact():
    """Whatever order a processor adds them up in."""
    whole = np.rint(drawn(0, 300, size=512) * 4000)
    exact = whole.astype(np.int64) @ whole.astype(np.int64).T
    assert np.array_equal(whole @ whole.T, exact)
    assert np.array_equal(whole[:, ::-1] @ whole[:, ::-1].T, exact)
    assert exact.max() < 2**24
