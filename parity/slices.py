"""Which slice of the test set a face belongs to. There is no slice by age."""

from faces.slices import FRONTAL_WITHIN_DEG
from mirrorset.records import Face, Record


class SliceParams(Record):
    """Borders between cells.

    frontal_yaw_deg, level_pitch_deg: up to here, either way, a pose is "frontal" and "level".
    face_size_px: interocular distances where "medium" and "large" faces begin.
    """

    frontal_yaw_deg: float = FRONTAL_WITHIN_DEG
    level_pitch_deg: float = 15.0
    face_size_px: tuple[float, float] = (60.0, 120.0)


def slices_of(face: Face, interocular_px: float, params: SliceParams) -> dict[str, str]:
    """The face's cell on every axis whose measure it has.

    pose: frontal, left, right (where the nose points, in image terms). pitch: level, up, down.
    lighting: left, right, even. face_size: small, medium, large.
    """
    medium_px, large_px = params.face_size_px
    cells = {
        "face_size": "small"
        if interocular_px < medium_px
        else "medium"
        if interocular_px < large_px
        else "large"
    }
    if face.pose is not None:
        cells["pose"] = _cell(face.pose.yaw_deg, params.frontal_yaw_deg, "left", "frontal", "right")
        cells["pitch"] = _cell(face.pose.pitch_deg, params.level_pitch_deg, "down", "level", "up")
    if face.lighting is not None:
        cells["lighting"] = face.lighting.side
    return dict(sorted(cells.items()))


def _cell(value: float, border: float, below: str, within: str, above: str) -> str:
    if abs(value) <= border:
        return within
    return above if value > 0 else below
