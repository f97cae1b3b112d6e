"""The 189-point templates of the Face Research Lab London Set, read as 68 points.

Points that both markups mean alike are taken as they are: eye and mouth corners, ends of the brows,
base of the nose, chin. The others lie on curves that the template draws, where the 68-point markup
divides them: along brows, lids and lips at the shares of dlib's mean face (image_transforms/
interpolation.h), down the jaw at those of OpenFace's template (align_dlib.py; both are means of
faces marked with 68 points). Nose points but its base have no counterpart.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Jaw, from its end at the ear to the chin: share of the way down from the eyes' line.
_JAW = {
    "left": [109, 185, 110, 186, 111, 125, 126, 127, 128, 129],
    "right": [112, 187, 113, 188, 114, 133, 132, 131, 130, 129],
}
_JAW_SHARES = [0.007, 0.169, 0.331, 0.491, 0.641, 0.771, 0.883, 0.960, 1.0]

# Curve of the template: points of the 68 and their shares of the way from its first to its last.
_CURVES: list[tuple[list[int], dict[int, float]]] = [
    ([71, 72, 73, 74, 75], {17: 0, 18: 0.191, 19: 0.460, 20: 0.739, 21: 1}),
    ([78, 79, 80, 81, 82], {22: 0, 23: 0.261, 24: 0.540, 25: 0.809, 26: 1}),
    ([18, 19, 20, 21, 22], {36: 0, 37: 0.307, 38: 0.677, 39: 1}),
    ([18, 28, 29, 30, 22], {41: 0.287, 40: 0.654}),
    ([23, 24, 25, 26, 27], {42: 0, 43: 0.323, 44: 0.693, 45: 1}),
    ([23, 31, 32, 33, 27], {47: 0.346, 46: 0.713}),
    (
        [87, 88, 89, 90, 91, 92, 93],
        {48: 0, 49: 0.184, 50: 0.370, 51: 0.5, 52: 0.630, 53: 0.816, 54: 1},
    ),
    (
        [87, 104, 105, 106, 107, 108, 93],
        {59: 0.178, 58: 0.359, 57: 0.5, 56: 0.641, 55: 0.822},
    ),
    (
        [87, 94, 95, 96, 97, 98, 93],
        {60: 0.077, 61: 0.369, 62: 0.5, 63: 0.631, 64: 0.923},
    ),
    ([87, 99, 100, 101, 102, 103, 93], {67: 0.366, 66: 0.5, 65: 0.634}),
]


def read_template(path: Path) -> Floats:
    """The points (189, 2) px of a .tem file: a count, then one point a line."""
    lines = path.read_text().splitlines()
    return np.array([[float(v) for v in line.split()] for line in lines[1 : 1 + int(lines[0])]])


def truth68(template: Floats) -> dict[int, Floats]:
    """Points (2,) px of ibug68 by index, from `template` (189, 2)."""
    eyes = template[[18, 27]]
    across = (eyes[1] - eyes[0]) / np.linalg.norm(eyes[1] - eyes[0])
    down = np.array([-across[1], across[0]])
    points = {33: template[55]}
    chin = (template[129] - eyes.mean(axis=0)) @ down
    for side, curve in _JAW.items():
        depths = (template[curve] - eyes.mean(axis=0)) @ down
        for place, share in enumerate(_JAW_SHARES):
            index = place if side == "left" else 16 - place
            points[index] = _at(template[curve], depths, share * chin)
            # The template's curve ends at the ear, a little below the markup's.
            points[index] = points[index] + min(share * chin - depths[0], 0) * down
    for curve, shares in _CURVES:
        way = template[curve[-1]] - template[curve[0]]
        progress = (template[curve] - template[curve[0]]) @ way / (way @ way)
        points |= {index: _at(template[curve], progress, share) for index, share in shares.items()}
    return points


def _at(curve: Floats, progress: Floats, wanted: float) -> Floats:
    order = np.argsort(progress, kind="stable")
    return np.array([np.interp(wanted, progress[order], curve[order, axis]) for axis in (0, 1)])
