"""Which slice of the test set a face belongs to. There is no slice by age."""

from typing import get_args

from pydantic_core import PydanticCustomError

from faces.slices import FRONTAL_WITHIN_DEG, UNKNOWN
from mirrorset.records import Face, LightSide, Record

# The slice of every image.
ALL = "all"
# Every axis with its cells, from low to high where they are measured.
AXES: dict[str, tuple[str, ...]] = {
    "face_size": ("small", "medium", "large"),
    "lighting": get_args(LightSide),
    "pitch": ("down", "level", "up"),
    "pose": ("left", "frontal", "right"),
    "selfie": ("unlikely", "possible", "likely"),
}


class SliceParams(Record):
    """Borders between cells.

    frontal_yaw_deg, level_pitch_deg: up to here, either way, a pose is "frontal" and "level".
    face_size_px: interocular distances where "medium" and "large" faces begin.
    """

    frontal_yaw_deg: float = FRONTAL_WITHIN_DEG
    level_pitch_deg: float = 15.0
    face_size_px: tuple[float, float] = (60.0, 120.0)


def slices_of(
    face: Face, interocular_px: float, selfie: str, params: SliceParams
) -> dict[str, str]:
    """The face's cell on every axis of `AXES` whose measure it has.

    pose: where the nose points; lighting: where the light comes from; both in image terms.
    selfie: the image's cell by `faces.slices.selfie_slice_of`.
    """
    reached = sum(interocular_px >= border_px for border_px in params.face_size_px)
    cells = {"face_size": AXES["face_size"][reached]}
    if face.pose is not None:
        cells["pose"] = _cell("pose", face.pose.yaw_deg, params.frontal_yaw_deg)
        cells["pitch"] = _cell("pitch", face.pose.pitch_deg, params.level_pitch_deg)
    if face.lighting is not None:
        cells["lighting"] = face.lighting.side
    if selfie != UNKNOWN:
        cells["selfie"] = selfie
    return dict(sorted(cells.items()))


def known_slice(name: str) -> str:
    """`name` where it is "all", an axis or "axis=cell" of `AXES`; else a validation error."""
    axis, separator, cell = name.partition("=")
    is_known = axis in AXES and (not separator or cell in AXES[axis])
    if name != ALL and not is_known:
        choices = ", ".join(f"{axis} ({', '.join(cells)})" for axis, cells in AXES.items())
        raise PydanticCustomError(
            "slice",
            "{name} is no slice: give all, an axis or axis=cell of {choices}",
            {"name": name, "choices": choices},
        )
    return name


def _cell(axis: str, value: float, border: float) -> str:
    below, within, above = AXES[axis]
    if abs(value) <= border:
        return within
    return above if value > 0 else below
