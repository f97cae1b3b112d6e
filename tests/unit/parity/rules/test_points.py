"""Landmarks laid back onto the image."""

import numpy as np
import pytest

from mirrorset.errors import InputError
from parity.rules.points import ImagePoints
from parity.rules.rule import Answer, Seen


def seen(values: int) -> Seen:
    """A net that gave so many numbers, of an input that is the image at half its size."""
    transform = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    answer = Answer({"points": np.arange(values, dtype=np.float32)}, transform)
    return Seen(lambda: np.zeros((1, 1, 3), np.uint8), {"marker": answer})


def test_points_are_laid_back_onto_the_image() -> None:
    rule = ImagePoints(rule="image_points", of=("marker",), count=2)
    np.testing.assert_allclose(rule(seen(6), seen(6)), [[0, 2], [6, 8]])


def test_an_output_of_another_size_is_said() -> None:
    rule = ImagePoints(rule="image_points", of=("marker",), count=999)
    with pytest.raises(InputError, match="points of marker holds 6 values, not 999 × 3"):
        rule(seen(6), seen(6))
