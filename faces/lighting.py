"""Lighting condition of a face: from which side, how bright, how even."""

from faces.region import FaceRegion
from mirrorset.records import Lighting, Record


class LightingParams(Record):
    """min_evenness: below it the light comes from a side."""

    min_evenness: float = 0.75


def lighting(region: FaceRegion, params: LightingParams | None = None) -> Lighting:
    """The lighting of the face in `region`.

    level: mean luminance of the face. evenness: mean luminance of its darker half over that of its
    brighter half (1 for a face of no light at all, and for a profile that shows one half only).
    side: the brighter half's, in image terms.
    """
    limit = (params or LightingParams()).min_evenness
    level = float(region.luminance[region.is_face].mean())
    left, right = (
        float(half.mean()) if half.size else level
        for half in (
            region.luminance[region.is_face & region.is_left],
            region.luminance[region.is_face & ~region.is_left],
        )
    )
    brighter = max(left, right)
    evenness = min(left, right) / brighter if brighter > 0 else 1.0
    sided = "left" if left > right else "right"
    return Lighting(
        side="even" if evenness >= limit else sided,
        level=round(level, 4),
        evenness=round(evenness, 4),
    )
