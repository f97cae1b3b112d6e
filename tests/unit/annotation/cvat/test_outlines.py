"""Polygons that cover what the mask covers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from annotation.cvat.outlines import outlines
from faces.masks import encode


def covered(polygons: list[np.ndarray], height: int, width: int, scale: int = 4) -> np.ndarray:
    """The area of polygons, in image pixels with (0, 0) the corner of the first, `scale` finer."""
    whole = np.zeros((height * scale, width * scale), dtype=bool)
    for polygon in polygons:
        whole |= polygon2mask(whole.shape, polygon[:, ::-1] * scale - 0.5)
    return whole


def iou(mask: np.ndarray, polygons: list[np.ndarray], scale: int = 4) -> float:
    fine = np.kron(mask, np.ones((scale, scale), dtype=bool))
    drawn = covered(polygons, *mask.shape, scale)
    return (fine & drawn).sum() / (fine | drawn).sum()


def outlined(mask: np.ndarray) -> list[np.ndarray]:
    record = encode(mask, "person")
    assert record is not None
    return outlines(record)


def test_a_square_has_its_own_corners() -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[10:40, 20:70] = True
    (polygon,) = outlined(mask)
    for corner in ((20, 10), (70, 10), (70, 40), (20, 40)):
        assert np.abs(polygon - corner).sum(axis=1).min() <= 1
    assert iou(mask, [polygon]) > 0.97


@given(x=st.floats(20, 60), y=st.floats(20, 60), rx=st.floats(20, 40), ry=st.floats(20, 40))
@settings(max_examples=15, deadline=None)
def test_an_ellipse_also_cut_by_the_frame_is_covered(
    x: float, y: float, rx: float, ry: float
) -> None:
    rows, columns = np.mgrid[:80, :80]
    mask = ((columns - x) / rx) ** 2 + ((rows - y) / ry) ** 2 <= 1
    polygons = outlined(mask)
    assert iou(mask, polygons) > 0.97
    for polygon in polygons:
        assert polygon.min() >= 0
        assert polygon.max() <= 80


def test_parts_are_polygons_of_their_own_and_holes_are_filled() -> None:
    mask = np.zeros((50, 90), dtype=bool)
    mask[5:45, 5:45] = True
    mask[5:45, 50:85] = True
    filled = mask.copy()
    mask[15:30, 15:30] = False
    polygons = outlined(mask)
    assert len(polygons) == 2
    assert iou(filled, polygons) > 0.97


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1)])
def test_the_thinnest_mask_still_is_a_polygon(height: int, width: int) -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[3 : 3 + height, 4 : 4 + width] = True
    (polygon,) = outlined(mask)
    assert len(polygon) >= 3
    assert polygon.min(axis=0) == pytest.approx((4, 3), abs=0.5)
    assert polygon.max(axis=0) == pytest.approx((4 + width, 3 + height), abs=0.5)
