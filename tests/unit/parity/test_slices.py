"""Every face has its cells; none is by age."""

from typing import get_args

import pytest

from mirrorset.records import Face, Lighting, LightSide, Pose
from parity.slices import AXES, SliceParams, known_slice, slices_of


@pytest.mark.parametrize(
    ("yaw_deg", "cell"), [(0, "frontal"), (15, "frontal"), (15.1, "right"), (-40, "left")]
)
def test_pose_cells_say_where_the_nose_points(yaw_deg: float, cell: str) -> None:
    face = Face(
        face_id="0",
        box=(0, 0, 10, 10),
        score=1,
        pose=Pose(yaw_deg=yaw_deg, pitch_deg=20, roll_deg=0),
        lighting=Lighting(side="left", level=0.5, evenness=0.5, colour_cast=0.0),
    )
    assert slices_of(face, 60, "likely", SliceParams()) == {
        "face_size": "medium",
        "lighting": "left",
        "pitch": "up",
        "pose": cell,
        "selfie": "likely",
    }


def test_what_was_not_measured_has_no_cell() -> None:
    face = Face(face_id="0", box=(0, 0, 10, 10), score=1)
    assert slices_of(face, 20, "unknown", SliceParams()) == {"face_size": "small"}
    assert slices_of(face, 120, "unknown", SliceParams()) == {"face_size": "large"}


@pytest.mark.parametrize("angle_deg", [-40, 0, 40])
@pytest.mark.parametrize("side", get_args(LightSide))
@pytest.mark.parametrize("selfie", ["likely", "possible", "unlikely"])
def test_every_cell_of_a_face_can_be_named_in_a_gate(
    angle_deg: float, side: LightSide, selfie: str
) -> None:
    face = Face(
        face_id="0",
        box=(0, 0, 10, 10),
        score=1,
        pose=Pose(yaw_deg=angle_deg, pitch_deg=angle_deg, roll_deg=0),
        lighting=Lighting(side=side, level=0.5, evenness=0.5, colour_cast=0.0),
    )
    cells = slices_of(face, 60, selfie, SliceParams())
    assert set(cells) == set(AXES)
    for axis, cell in cells.items():
        assert known_slice(f"{axis}={cell}") == f"{axis}={cell}"
