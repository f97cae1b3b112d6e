"""Face parsing: which pixels are skin, brows, eyes, lips, hair… (optional, not for commerce)."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.bisenet import SIDE_PX, bisenet
from faces.checkpoint import read_checkpoint
from faces.crop import cut_square
from faces.detection import Detection, Image
from faces.masks import encode
from faces.onnx import Network
from mirrorset.geometry import square_around
from mirrorset.records import Mask, Record

# The classes of CelebAMask-HQ (Lee et al., "MaskGAN: towards diverse and interactive facial image
# manipulation", CVPR 2020) in the network's order; 0 is the background. There, and only there, l_
# and r_ are the person's left and right: on a face that looks into the camera, l_ is the image's
# right.
CLASSES = (
    *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear"),
    *("ear_r", "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat"),
)

_PAIRS = tuple(
    (CLASSES.index(f"l_{part}"), CLASSES.index(f"r_{part}")) for part in ("brow", "eye", "ear")
)

# Statistics of ImageNet, in the order R, G, B, for values 0 to 1.
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class ParsingParams(Record):
    """crop_factor: side of the square crop over the longer side of the face's box: the network
    learned from portraits with hair and neck.
    """

    crop_factor: float = 1.8


class FaceParser:
    """BiSeNet, trained on CelebAMask-HQ. The checkpoint is turned into a graph as it is opened.
    One instance serves any number of threads.
    """

    def __init__(self, path: Path, params: ParsingParams | None = None) -> None:
        """Raises InputError where `path` holds no checkpoint."""
        self._params = params or ParsingParams()
        self._network = Network(bisenet(read_checkpoint(path.read_bytes())), most_on_cpu=1)

    def parse(self, rgb: Image, faces: Sequence[Detection]) -> tuple[Mask, ...]:
        """The masks of `rgb` (H, W, 3) uint8, one a class that is there, in the order of `CLASSES`.

        Where the crops of two of the `faces` meet, the later one has its say.
        """
        classes = np.zeros(rgb.shape[:2], dtype=np.uint8)
        for face in faces:
            self._paint(classes, rgb, face)
        masks = (encode(classes == index, CLASSES[index]) for index in range(1, len(CLASSES)))
        return tuple(mask for mask in masks if mask)

    def _paint(self, classes: NDArray[np.uint8], rgb: Image, face: Detection) -> None:
        """Write the classes around one face into `classes` (H, W)."""
        left, top, right, _ = square_around(face.box, self._params.crop_factor).round().astype(int)
        side = max(int(right - left), 1)
        crop = cut_square(rgb, (left, top, left + side, top + side), SIDE_PX)
        image = np.asarray((crop / 255 - _MEAN) / _DEVIATION, dtype=np.float32)
        logits = self._network(image.transpose(2, 0, 1)[None])[0][0]
        found = sided(_best(logits, side), face.five_points - (left, top))
        height, width = classes.shape
        rows = slice(max(top, 0), min(top + side, height))
        columns = slice(max(left, 0), min(left + side, width))
        seen = found[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        np.copyto(classes[rows, columns], seen, where=seen > 0)


def sided(classes: NDArray[np.uint8], five_points: ArrayLike) -> NDArray[np.uint8]:
    """The classes (H, W) with brows, eyes and ears sided by the face's axis.

    five_points: (5, 2) px, schema face5; the axis runs from between the eyes to between the mouth
    corners. The network itself takes left for right on every tenth face.
    """
    points = np.asarray(five_points, dtype=np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down_x, down_y = mouth - eyes
    rows, columns = np.ogrid[: classes.shape[0], : classes.shape[1]]
    is_image_right = (columns - eyes[0]) * down_y > (rows - eyes[1]) * down_x
    mended = classes.copy()
    for persons_left, persons_right in _PAIRS:
        is_pair = (classes == persons_left) | (classes == persons_right)
        mended[is_pair & is_image_right] = persons_left
        mended[is_pair & ~is_image_right] = persons_right
    return mended


def _best(logits: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """The class of largest logit, (side, side), from (19, 512, 512), enlarged one at a time."""
    best = np.full((side, side), -np.inf, dtype=np.float32)
    classes = np.zeros((side, side), dtype=np.uint8)
    for index, plane in enumerate(logits):
        value = cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR)
        is_better = value > best
        best[is_better] = value[is_better]
        classes[is_better] = index
    return classes
