"""Suppression, order, and windows over long pictures, without a network."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from insightface.model_zoo.scrfd import SCRFD

from faces.detection import Detection, Image, largest_first, unsuppressed
from faces.panorama import PanoramaDetector, PanoramaSegmenter
from mirrorset.metrics import mask_iou

BOXES = st.lists(
    st.tuples(*[st.floats(0, 100, width=32)] * 2, *[st.floats(1, 60, width=32)] * 2), max_size=25
).map(lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], dtype=np.float32))


@settings(deadline=None)
@given(boxes=BOXES, max_overlap=st.floats(0.1, 0.9))
def test_suppression_is_insightfaces(boxes: np.ndarray, max_overlap: float) -> None:
    boxes = boxes.reshape(-1, 4)
    scores = np.linspace(1, 0.5, len(boxes), dtype=np.float32)
    peer = SCRFD.__new__(SCRFD)
    peer.nms_thresh = max_overlap
    assert unsuppressed(boxes, max_overlap) == peer.nms(np.column_stack([boxes, scores]))


def detection(*box: float, score: float = 0.9) -> Detection:
    return Detection(np.array(box, dtype=np.float64), score, np.zeros((5, 2)))


def test_the_largest_comes_first() -> None:
    boxes = [(0, 0, 2, 2), (0, 0, 9, 9), (5, 5, 8, 8)]
    assert [one.box[2] for one in largest_first(detection(*box) for box in boxes)] == [9, 8, 2]


class WhiteSquares:
    """Finds the box of white pixels, unless it is a small part of the picture."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        self.seen += [rgb.shape[:2] for rgb in images]
        return [self._detect(rgb) for rgb in images]

    def _detect(self, rgb: Image) -> tuple[Detection, ...]:
        rows, columns = np.nonzero(rgb[:, :, 0])
        if len(rows) < rgb.shape[0] * rgb.shape[1] / 50:
            return ()
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return (detection(*(float(edge) for edge in box)),)


@pytest.mark.parametrize("left", [0, 130, 170, 200, 777, 1940])
@pytest.mark.parametrize("is_upright", [False, True])
def test_a_face_in_a_panorama_is_found_once_and_whole(left: int, is_upright: bool) -> None:
    picture = np.zeros((100, 2000, 3), dtype=np.uint8)
    picture[20:80, left : left + 60] = 255
    if is_upright:
        picture = picture.transpose(1, 0, 2)
    ((found,),) = PanoramaDetector(WhiteSquares(), 0.4).detect([picture])
    box = (20, left, 80, left + 60) if is_upright else (left, 20, left + 60, 80)
    assert found.box.tolist() == list(box)


def test_what_cameras_take_is_looked_at_once() -> None:
    inner = WhiteSquares()
    PanoramaDetector(inner, 0.4).detect([np.zeros((100, 300, 3), dtype=np.uint8)])
    assert inner.seen == [(100, 300)]


def test_the_thinnest_picture_costs_no_more_than_others() -> None:
    inner = WhiteSquares()
    PanoramaDetector(inner, 0.4).detect([np.zeros((2, 50_000, 3), dtype=np.uint8)])
    assert len(inner.seen) <= 65


class Squashing:
    """Takes for a person what is white once the picture has been scaled into 16×16."""

    def segment(self, images: Sequence[Image]) -> list[np.ndarray]:
        return [self._segment(rgb) for rgb in images]

    def _segment(self, rgb: Image) -> np.ndarray:
        small = cv2.resize(rgb[:, :, 0], (16, 16), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 127


@pytest.mark.parametrize("left", [0, 130, 777, 1940])
@pytest.mark.parametrize("is_upright", [False, True])
def test_a_person_in_a_panorama_is_masked_where_it_is(left: int, is_upright: bool) -> None:
    picture = np.zeros((100, 2000, 3), dtype=np.uint8)
    picture[20:80, left : left + 60] = 255
    if is_upright:
        picture = picture.transpose(1, 0, 2)
    (mask,) = PanoramaSegmenter(Squashing()).segment([picture])
    person = picture[:, :, 0] > 0
    assert mask.shape == person.shape
    assert mask_iou(mask, person) > 0.7
    assert not Squashing().segment([picture])[0].any()
