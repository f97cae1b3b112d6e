"""Run lengths: CVAT's order, and nothing lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from faces.masks import decode, encode
from mirrorset.records import Mask

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(masks)
def test_round_trip(mask: NDArray[np.bool_]) -> None:
    record = encode(mask, "person")
    if record is None:
        assert not mask.any()
        return
    np.testing.assert_array_equal(decode(record, *mask.shape), mask)


@given(masks)
def test_runs_alternate_and_the_box_is_tight(mask: NDArray[np.bool_]) -> None:
    record = encode(mask, "person")
    if record is None:
        return
    assert all(run > 0 for run in record.rle[1:])
    assert sum(record.rle[1::2]) == mask.sum()
    rows, columns = np.nonzero(mask)
    assert (record.left, record.right) == (columns.min(), columns.max())
    assert (record.top, record.bottom) == (rows.min(), rows.max())


def test_by_hand() -> None:
    mask = np.zeros((4, 5), dtype=np.bool_)
    mask[1, 2:4] = mask[2, 1:3] = True
    record = encode(mask, "person")
    assert record == Mask(label="person", left=1, top=1, right=3, bottom=2, rle=(1, 4, 1))


def test_a_mask_that_starts_with_foreground_starts_with_an_empty_run() -> None:
    record = encode(np.ones((2, 2), dtype=np.bool_), "person")
    assert record is not None
    assert record.rle == (0, 4)


@given(st.integers(1, 5), st.integers(1, 5))
def test_a_box_outside_the_image_is_refused(height_px: int, width_px: int) -> None:
    mask = Mask(label="person", left=0, top=0, right=5, bottom=5, rle=(0, 36))
    with pytest.raises(ValueError, match="outside"):
        decode(mask, height_px, width_px)
