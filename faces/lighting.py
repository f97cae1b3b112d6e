"""Lighting condition of a face: from which side, how bright, how even, of what colour.

All is measured in linear light, on skin that brows, eyes and most beards leave free: the cheeks,
the flanks and the ridge of the nose, the forehead above the brows, the chin; and on the eyes'
whites, whose reflectance differs little between people. Ratios are told in stops, log2.

Directions are read where the same skin faces two ways. Each is the median of three ratios, so that
one spoiled by a fringe, a beard or a shadow does not decide:

    across = median of log2 left / right of the cheeks, the nose's flanks, the forehead's halves
    down   = median of log2 forehead / cheeks, ridge / cheeks, ridge / chin

docs/measures.md tells from which angles on they show.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faces.region import LUMINANCE, FaceRegion, polygon
from faces.schema import load_schema
from mirrorset.records import Lighting, LightSide, Record

Floats = NDArray[np.float64]
LightLevel = Literal["low", "normal", "high"]

# Added to what is divided: three steps of 8 bits from black.
_FLOOR = 1e-3
_FEWEST_PX = 5

# Corners (i, j, t) of the zones on the image's left: on the way t from point i of ibug68 to j.
_CHEEK = ((41, 48, 0.3), (36, 3, 0.35), (48, 3, 0.6), (31, 3, 0.3))
_FLANK = ((28, 39, 0.3), (29, 40, 0.25), (30, 31, 0.85), (30, 31, 0.35), (28, 29, 0.5))
_CHIN = ((58, 7, 0.5), (57, 8, 0.3), (57, 8, 0.85), (56, 9, 0.5))
# The forehead is above these points, the ridge of the nose beside those; in px of the region's
# crop, where the eyes are 51 px apart.
_BROW, _ABOVE_BROW_PX = (18, 20, 21), (5, 17)
_RIDGE, _BESIDE_RIDGE_PX = (28, 30), 3


class LightingParams(Record):
    """Where one side becomes another, in stops.

    sided_from: `across`, either way, and `down`, from which light comes from a side or the top.
    back_from_eyes, back_from_face: background over the eyes' whites, and over the brightest
    hundredth of the face, from which the two together say that light comes from behind. The eyes
    are asked because dark skin before a white wall is not lit from behind. mixed_from: difference
    of the cheeks' log2 red / blue, or both cheeks over the ridge of the nose, from which there are
    two lights. low_below, high_above: mean luminance of the face. In one even studio light forty
    faces of all skins have .05 to .33; these are a stop beyond them, either way.
    """

    sided_from: float = 0.5
    back_from_eyes: float = 2.0
    back_from_face: float = 0.75
    mixed_from: float = 1.0
    low_below: float = 0.025
    high_above: float = 0.66


class LightRatios(NamedTuple):
    """What the side is judged by, in stops; NaN where the image does not show it.

    across: over 0 for light from the image's left. down: over 0 for light from above. behind_eyes,
    behind_face: background over the eyes' whites and over the brightest hundredth of the face.
    colour: the left cheek's log2 red / blue minus the right one's. rims: the darker cheek over the
    ridge of the nose.
    """

    across: float
    down: float
    behind_eyes: float
    behind_face: float
    colour: float
    rims: float


def lighting(region: FaceRegion, params: LightingParams | None = None) -> Lighting:
    """The lighting of the face in `region`.

    side: as `side_of`. level: mean luminance of the face. evenness: 2 to the power of −|across|.
    colour_cast: log2 red / blue of the eyes' whites; 0 for grey.
    """
    ratios = light_ratios(region)
    return Lighting(
        side=side_of(ratios, params or LightingParams()),
        level=round(float(region.luminance[region.is_face].mean()), 4),
        evenness=round(2.0 ** -abs(ratios.across), 4),
        colour_cast=round(_warmth(_eye_whites(region)), 3) + 0.0,
    )


def side_of(ratios: LightRatios, params: LightingParams) -> LightSide:
    """Where the light comes from.

    "back" where both background ratios are reached; else "mixed" where the cheeks differ in colour
    while neither side is twice as bright, or both outshine the ridge of the nose; else the larger
    of `across` and `down` where it reaches `sided_from`; else "front".
    """
    across = abs(ratios.across)
    # A comparison with NaN is false: what is not seen decides nothing.
    if ratios.behind_eyes >= params.back_from_eyes and ratios.behind_face >= params.back_from_face:
        return "back"
    if ratios.rims >= params.mixed_from or (abs(ratios.colour) >= params.mixed_from and across < 1):
        return "mixed"
    if max(across, ratios.down) < params.sided_from:
        return "front"
    if ratios.down > across:
        return "top"
    return "left" if ratios.across > 0 else "right"


def level_of(measured: Lighting, params: LightingParams | None = None) -> LightLevel:
    """How much light there is on a face, as far as it can be told without knowing its skin."""
    bounds = params or LightingParams()
    if measured.level < bounds.low_below:
        return "low"
    return "high" if measured.level > bounds.high_above else "normal"


def light_ratios(region: FaceRegion) -> LightRatios:
    """The ratios of the face in `region`; `across` and `down` are 0 where no zone shows them."""
    mirror = load_schema("ibug68").mirror
    left, right = region.points, region.points[list(mirror)]
    cheeks = [_colour(region, _corners(points, _CHEEK)) for points in (left, right)]
    flanks = [_luminance(region, _corners(points, _FLANK)) for points in (left, right)]
    foreheads = [_luminance(region, _forehead(points)) for points in (left, right)]
    cheek = [float(colour @ LUMINANCE) for colour in cheeks]
    ridge, chin = _luminance(region, _ridge(left)), _luminance(region, _corners(left, _CHIN))
    both_cheeks, both_foreheads = (float(np.sqrt(pair[0] * pair[1])) for pair in (cheek, foreheads))
    whites = float(_eye_whites(region) @ LUMINANCE)
    brightest = float(np.quantile(region.luminance[region.is_face], 0.99))
    background = np.nan if region.background is None else region.background
    return LightRatios(
        across=_median([_stops(*cheek), _stops(*flanks), _stops(*foreheads)]),
        down=_median(
            [
                _stops(both_foreheads, both_cheeks),
                _stops(ridge, both_cheeks),
                _stops(ridge, chin),
            ]
        ),
        behind_eyes=_stops(background, whites),
        behind_face=_stops(background, brightest),
        colour=_warmth(cheeks[0]) - _warmth(cheeks[1]),
        rims=_stops(float(np.min(cheek)), ridge),
    )


def _corners(points: Floats, zone: tuple[tuple[int, int, float], ...]) -> Floats:
    return np.array([(1 - t) * points[i] + t * points[j] for i, j, t in zone])


def _forehead(points: Floats) -> Floats:
    brow = points[list(_BROW)]
    return np.concatenate([brow - (0, above) for above in _ABOVE_BROW_PX])


def _ridge(points: Floats) -> Floats:
    ends = points[list(_RIDGE)]
    beside = np.array([_BESIDE_RIDGE_PX, 0])
    return np.concatenate([ends - beside, ends + beside])


def _luminance(region: FaceRegion, corners: Floats) -> float:
    pixels = region.luminance[polygon(corners)]
    return float(np.median(pixels)) if pixels.size >= _FEWEST_PX else float("nan")


def _colour(region: FaceRegion, corners: Floats) -> Floats:
    """Median light (3,) in the zone; NaN where it has too few pixels."""
    pixels = region.light[polygon(corners)]
    if len(pixels) < _FEWEST_PX:
        return np.full(3, np.nan)
    return np.asarray(np.median(pixels, axis=0))


def _eye_whites(region: FaceRegion) -> Floats:
    """Mean light (3,) of the brightest fifth of what is between the lids."""
    schema = load_schema("ibug68")
    left, right = (polygon(region.points[list(eye)]) for eye in (schema.eye_left, schema.eye_right))
    pixels = region.light[left | right]
    luminance = region.luminance[left | right]
    return np.asarray(pixels[luminance >= np.quantile(luminance, 0.8)].mean(axis=0))


def _warmth(light: Floats) -> float:
    return _stops(light[0], light[2])


def _stops(a: float, b: float) -> float:
    return float(np.log2((a + _FLOOR) / (b + _FLOOR)))


def _median(ratios: list[float]) -> float:
    seen = [ratio for ratio in ratios if not np.isnan(ratio)]
    return float(np.median(seen)) if seen else 0.0
