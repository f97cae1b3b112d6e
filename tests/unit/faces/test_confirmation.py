"""The rule of the second look, with a detector that says what it is told to."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from faces.confirmation import Confirmation, ConfirmationParams
from faces.detection import Detection, Image

RGB = np.zeros((100, 200, 3), dtype=np.uint8)
BOX = (40.0, 20.0, 60.0, 60.0)
PARAMS = ConfirmationParams(min_score=0.7, min_score_agreed=0.4, crop_side_px=80)
# BOX is 20 × 40 px in a crop of 80: in its middle, as large.
THERE = np.array([30.0, 20, 50, 60])


class Told:
    """The detections given, for crop and mirror image in turn; what it was shown."""

    def __init__(self, *answers: tuple[Detection, ...]) -> None:
        self._answers = answers
        self.shown: list[Image] = []

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        self.shown = list(images)
        return list(self._answers)


def seen(score: float, shift_px: float = 0) -> tuple[Detection, ...]:
    return (Detection(THERE + shift_px, score, np.zeros((5, 2))),)


@pytest.mark.parametrize(
    ("straight", "mirrored", "apart_px", "expected"),
    [
        (0.8, 0.75, math.nan, True),
        (0.8, 0.65, math.nan, False),
        (0.65, 0.8, math.nan, False),
        (0.5, 0.5, 1.9, True),
        (0.5, 0.5, 2.1, False),
        (0.5, 0.3, 0.0, False),
    ],
)
def test_the_lower_score_counts_and_agreement_lowers_the_bar(
    straight: float, mirrored: float, apart_px: float, *, expected: bool
) -> None:
    confirmation = Confirmation(Told(seen(straight), seen(mirrored)), PARAMS)
    assert confirmation.confirm([(RGB, BOX)], [apart_px]) == [expected]


def test_a_neighbours_face_confirms_nothing() -> None:
    told = Told(seen(0.9), seen(0.9, shift_px=30))
    assert Confirmation(told, PARAMS).second_scores([(RGB, BOX)]) == [0]


def test_the_face_is_in_the_middle_of_the_crop_and_of_its_mirror_image() -> None:
    rgb = RGB.copy()
    rgb[20:60, 40:50] = 255
    told = Told((), ())
    Confirmation(told, PARAMS).second_scores([(rgb, BOX)])
    crop, mirrored = (shown[:, :, 0] > 0 for shown in told.shown)
    assert crop.shape == (80, 80)
    assert [int(edge) for edge in (*np.flatnonzero(crop.any(0))[[0, -1]],)] == [30, 39]
    assert [int(edge) for edge in (*np.flatnonzero(crop.any(1))[[0, -1]],)] == [20, 59]
    np.testing.assert_array_equal(mirrored, crop[:, ::-1])


def test_a_dark_crop_is_shown_in_full_range_and_a_light_one_as_it_is() -> None:
    for brightest, shown in ((16, 160), (200, 200)):
        rgb = np.linspace(0, brightest, RGB.size).reshape(RGB.shape).astype(np.uint8)
        rgb[20:60, 40:60] = brightest
        told = Told((), ())
        Confirmation(told, PARAMS).second_scores([(rgb, BOX)])
        assert told.shown[0].max() == shown


def test_no_faces_no_looks() -> None:
    assert Confirmation(Told(), PARAMS).confirm([], []) == []
