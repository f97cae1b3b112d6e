"""The intimate gate on made-up outputs: no intimate picture is at hand, and none is wanted."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from faces.nudity import NudityDetector, NudityParams, exposed

CLASSES = {
    "female genitalia, covered": 0,
    "face, female": 1,
    "male breast": 5,
    "feet": 7,
    "armpits": 11,
    "face, male": 12,
    "belly": 13,
    "female breast, covered": 16,
    "buttocks, covered": 17,
}
EXPOSED = [2, 3, 4, 6, 14]
PLACES = 2100


def output(index: int, score: float) -> np.ndarray:
    """A network's output (1, 22, PLACES) with one thing seen, at some place."""
    found = np.zeros((1, 22, PLACES), dtype=np.float32)
    found[0, :4, 77] = (160, 160, 90, 90)
    found[0, 4 + index, 77] = score
    return found


@pytest.mark.parametrize("index", EXPOSED)
def test_an_exposed_part_counts(index: int) -> None:
    assert exposed(output(index, 0.7)) == pytest.approx([0.7])


@pytest.mark.parametrize("name", CLASSES)
def test_faces_feet_and_whatever_is_covered_do_not(name: str) -> None:
    assert exposed(output(CLASSES[name], 0.99)) == [0]


def test_boxes_are_no_scores() -> None:
    assert exposed(output(1, 0.9)) == [0]


def test_each_output_for_itself() -> None:
    outputs = np.concatenate([output(3, 0.2), output(1, 0.9), output(14, 0.6)])
    assert exposed(outputs) == pytest.approx([0.2, 0, 0.6])


def seeing(scores: list[float]) -> tuple[NudityDetector, list[np.ndarray]]:
    """A detector whose network gives these scores, one a look, and what it was shown."""
    shown: list[np.ndarray] = []

    def network(looks: np.ndarray) -> list[np.ndarray]:
        shown.append(looks)
        return [np.concatenate([output(3, score) for score in scores[: len(looks)]])]

    detector = NudityDetector(
        Path(), NudityParams(model="none", max_score=0.5, decided_by="a test")
    )
    detector._network = network
    return detector, shown


def test_a_small_face_has_its_body_looked_at() -> None:
    detector, shown = seeing([0.1, 0.1, 0.6])
    crowd = np.zeros((1000, 1600, 3), dtype=np.uint8)
    portrait = np.zeros((300, 200, 3), dtype=np.uint8)
    small, large = (700, 100, 740, 150), (50, 60, 150, 180)
    assert detector.is_intimate([(portrait, [large]), (crowd, [small])]) == [False, True]
    (looks,) = shown
    assert looks.shape == (3, 3, 320, 320)


def test_the_frame_keeps_its_shape_in_the_upper_left() -> None:
    detector, shown = seeing([0])
    white = np.full((100, 400, 3), 255, dtype=np.uint8)
    assert detector.is_intimate([(white, [])]) == [False]
    (look,) = shown[0]
    assert look[:, :80].min() == 1
    assert look[:, 80:].max() == 0


def test_a_body_at_the_edge_can_be_looked_at() -> None:
    detector, shown = seeing([0, 0])
    wide = np.zeros((400, 2000, 3), dtype=np.uint8)
    assert detector.is_intimate([(wide, [(-10, 0, 20, 30)])]) == [False]
    assert len(shown[0]) == 2


def test_at_the_limit_it_passes() -> None:
    detector, _ = seeing([0.5])
    assert detector.is_intimate([(np.zeros((9, 9, 3), dtype=np.uint8), [])]) == [False]


def test_nobody_looks_only_where_somebody_answers_for_it(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="name in decided_by who answers"):
        NudityParams(model="none", decided_by=" ")
    blind = NudityDetector(tmp_path, NudityParams(model="none", decided_by="Jane Doe"))
    assert blind.is_intimate([(np.zeros((9, 9, 3), dtype=np.uint8), [])] * 2) == [False, False]
    assert not list(tmp_path.iterdir())
