"""How much a picture is like a selfie: one main face, large, seen from an arm's length.

The perspective is read from proportions. The eyes are nearer to a camera than the outline of the
face, by Δ; through a pinhole at distance d the distance of the outer eye corners, over the width of
the face, is ratio∞ · (1 + Δ / d). Near cameras therefore narrow faces, as Bryan, Perona and Adolphs
describe ("Perspective distortion from interpersonal distance is an implicit visual cue for social
judgments of faces", PLoS ONE 7(9), 2012), and widen noses against cheekbones by 30 % at 12 inches
(Ward et al., "Nasal distortion in short-distance photographs: the selfie effect", JAMA Facial
Plastic Surgery 20(4), 2018). Eyes are measured here rather than noses: they alone rose with every
step nearer on the photographs at hand, and smiles leave them alone. People differ by more than the
effect (Burgos-Artizzu, Ronchi and Perona, "Distance estimation of an unknown person from a
portrait", ECCV 2014), so one picture proves nothing: this is for slices, not for gates.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from mirrorset.geometry import area
from mirrorset.records import Face

# The main face's share of the frame: 0.084 at 60 cm from a phone, so 0.021 at 1.2 m (as 1/d²).
_SHARE_NONE, _SHARE_FULL = 0.02, 0.08
# Area of the second face over that of the first: a passer-by twice as far away, and a neighbour.
_RIVAL_FULL, _RIVAL_NONE = 0.25, 0.75
# On a head turned further, the outline on one side is no longer the face's.
_MAX_YAW_DEG = 25.0
# Of the ratio on 503 portraits (FRL London Set, 1,000 Faces, Congressional Pictorial Directory).
_PORTRAIT_MEAN, _PORTRAIT_DEVIATION = 0.635, 0.0214
# By how much it rises from afar to 40 cm: it is 0.676 + 0.62 cm / d on photographs of one person
# at 15, 30, 45 and 60 cm.
_ARM_RISE = 0.62 / 40


class SelfieLikeness(NamedTuple):
    """Three marks, 0 to 1.

    frame: for the main face's share of the frame. dominance: 1 where no other face comes near the
    main one's size. perspective: probability of 40 cm against a portrait's distance, both held
    equally likely before; None where the head is turned too far or its landmarks or pose lack.
    """

    frame: float
    dominance: float
    perspective: float | None

    @property
    def score(self) -> float | None:
        """The product of the three, 0 to 1; None where the perspective is not known."""
        return None if self.perspective is None else self.at_most * self.perspective

    @property
    def at_most(self) -> float:
        """What the score cannot exceed, whatever the perspective."""
        return self.frame * self.dominance


def selfie_likeness(faces: Sequence[Face], width_px: int, height_px: int) -> SelfieLikeness:
    """The likeness of an image of that size, upright; `faces` in any order, at least one."""
    main, *others = sorted(faces, key=_area_px, reverse=True)
    share = _area_px(main) / (width_px * height_px)
    rival = _area_px(others[0]) / _area_px(main) if others and _area_px(main) else 0.0
    ratio = eyes_to_face_width(main)
    return SelfieLikeness(
        frame=_ramp(share, _SHARE_NONE, _SHARE_FULL),
        dominance=_ramp(rival, _RIVAL_NONE, _RIVAL_FULL),
        perspective=None if ratio is None else _perspective(ratio),
    )


def eyes_to_face_width(face: Face) -> float | None:
    """Distance of the outer eye corners over the width of the face, by its ibug68 landmarks.

    Undone is the foreshortening of the eyes by yaw; the outline of a round head has none. None
    beyond a yaw of 25°, and where landmarks or pose lack.
    """
    labels = face.landmarks.get("ibug68")
    if labels is None or face.pose is None or abs(face.pose.yaw_deg) > _MAX_YAW_DEG:
        return None
    points = labels.points
    width = max(math.dist(points[left], points[16 - left]) for left in range(8))
    eyes = math.dist(points[36], points[45]) / math.cos(math.radians(face.pose.yaw_deg))
    return eyes / width if width else None


def _perspective(ratio: float) -> float:
    """Posterior of two normal distributions of equal deviation, `_ARM_RISE` apart."""
    midpoint = _PORTRAIT_MEAN + _ARM_RISE / 2
    log_odds = _ARM_RISE * (ratio - midpoint) / _PORTRAIT_DEVIATION**2
    return (1 + math.tanh(log_odds / 2)) / 2


def _ramp(value: float, none: float, full: float) -> float:
    """0 at `none`, 1 at `full`, linear between."""
    return min(max((value - none) / (full - none), 0.0), 1.0)


def _area_px(face: Face) -> float:
    return float(area(face.box)[0])
