"""Packed columns say what sets and dictionaries of Python objects would."""

from collections import defaultdict
from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mirrorset import columns
from mirrorset.columns import IdColumn, IdSet, KeyColumn, TextColumn, hex_ids, in_several, runs

# Zeros at the end are what numpy takes off: they must come back.
ids = st.binary(min_size=32, max_size=32).map(lambda b: b[:30].hex() + "0000") | st.binary(
    min_size=32, max_size=32
).map(bytes.hex)


def packed(image_ids):
    column = IdColumn()
    for image_id in image_ids:
        column.append(image_id)
    return column.array()


@given(st.lists(ids))
def test_ids_come_back_in_order_and_sort_as_their_digits(image_ids):
    assert list(hex_ids(packed(image_ids))) == image_ids
    assert list(hex_ids(np.sort(packed(image_ids)))) == sorted(image_ids)


@given(st.lists(ids, max_size=20), ids)
def test_a_set_of_ids_holds_what_was_put_into_it(image_ids, other):
    kept = IdSet(image_ids)
    assert len(kept) == len(image_ids)
    assert all(image_id in kept for image_id in image_ids)
    assert (other in kept) == (other in image_ids)


@given(st.lists(st.integers(0, 5), max_size=40).map(sorted))
def test_runs_are_where_equal_values_lie(values):
    expected = [len(list(run)) for _, run in groupby(values)]
    assert [end - start for start, end in runs(np.array(values))] == expected


def test_runs_and_texts_go_on_from_block_to_block(monkeypatch):
    monkeypatch.setattr(columns, "_BLOCK", 3)
    values = np.array([0, 1, 1, 2, 3, 4, 4, 5, 6])
    assert [values[start] for start, end in runs(values)] == list(range(7))
    assert list(runs(values))[-1] == (8, 9)
    texts = TextColumn()
    for text in ("a", "bcd", "é", "efgh", "", "i", "j"):
        texts.append(text)
    assert [one.decode() for one in texts.array()] == ["a", "bcd", "é", "efgh", "", "i", "j"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2)), max_size=30))
def test_what_lies_in_several_places_is_counted(found):
    places, keys = defaultdict(set), KeyColumn()
    for thing, place in found:
        places[thing].add(place)
        keys.append(thing)
    at = np.array([place for _, place in found], dtype=np.uint8)
    assert in_several(keys.array(), at) == sum(len(one) > 1 for one in places.values())
