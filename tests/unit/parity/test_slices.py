"""Every face has its cells; none is by age."""

import pytest

from mirrorset.records import Face, Lighting, Pose
from parity.slices import SliceParams, slices_of


@pytest.mark.parametrize(
    ("yaw_deg", "cell"), [(0, "frontal"), (15, "frontal"), (15.1, "right"), (-40, "left")]
)
def test_pose_cells_say_where_the_nose_points(yaw_deg: float, cell: str) -> None:
    face = Face(
        face_id="0",
        box=(0, 0, 10, 10),
        score=1,
        pose=Pose(yaw_deg=yaw_deg, pitch_deg=20, roll_deg=0),
        lighting=Lighting(side="left", level=0.5, evenness=0.5),
    )
    assert slices_of(face, 60, SliceParams()) == {
        "face_size": "medium",
        "lighting": "left",
        "pitch": "up",
        "pose": cell,
    }


def test_what_was_not_measured_has_no_cell() -> None:
    face = Face(face_id="0", box=(0, 0, 10, 10), score=1)
    assert slices_of(face, 20, SliceParams()) == {"face_size": "small"}
    assert slices_of(face, 120, SliceParams()) == {"face_size": "large"}
