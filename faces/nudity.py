"""Nudity, for the intimate gate alone: whether a picture shows what nobody is to be shown."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from faces.crop import cut_square
from faces.detection import Image
from faces.onnx import Floats32, Network, planar
from faces.registry import fetch, load_registry
from mirrorset.records import Record

_SIDE_PX = 320
# Classes of NudeNet 3.4 that count, by index: buttocks, female breast, female genitalia, anus and
# male genitalia, all exposed. A bare chest, belly, arm or foot is none of its own, nor is anything
# covered.
_EXPOSED = [2, 3, 4, 6, 14]
# An output row is a box's middle and size, and then the classes' scores.
_FIRST_CLASS = 4


class NudityParams(Record):
    """What the gate asks.

    model: "none" looks at no picture; decided_by names the person who answers for that.
    max_score: a picture in which an exposed part has more is intimate.
    body_heads: side of a second look, in heights of the face, where a face is small in the frame.
    """

    model: Literal["nudenet", "none"] = "nudenet"
    max_score: float = Field(default=0.4, gt=0, lt=1)
    body_heads: float = Field(default=8, ge=2)
    decided_by: str = ""

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of faces/models.yaml."""
        return () if self.model == "none" else (self.model,)

    @model_validator(mode="after")
    def _is_answered_for(self) -> Self:
        if self.model == "none" and not self.decided_by.strip():
            raise ValueError(
                "without a model intimate pictures pass: name in decided_by who answers for that"
            )
        return self


class NudityDetector:
    """NudeNet 320n, a YOLOv8 of 18 classes. One instance serves any number of threads."""

    def __init__(self, cache: Path, params: NudityParams | None = None) -> None:
        """Raises UnavailableError and IntegrityError as `faces.registry.fetch` does."""
        self._params = params or NudityParams()
        registry = load_registry()
        paths = [fetch(registry[name], cache) for name in self._params.weights]
        self._network = Network(paths[0], most_on_cpu=1) if paths else None

    def is_intimate(self, pictures: Sequence[tuple[Image, ArrayLike]]) -> list[bool]:
        """Whether each picture shows an exposed part: (H, W, 3) uint8 RGB, face boxes (n, 4) xyxy.

        The whole frame is looked at, and around each small face a square where its body may be:
        at 320 px a body that is small in the frame is not made out.
        """
        if self._network is None or not pictures:
            return [False] * len(pictures)
        looks = [list(self._looks(rgb, boxes)) for rgb, boxes in pictures]
        flat = [look for of_picture in looks for look in of_picture]
        (outputs,) = self._network(planar(flat, scale=255))
        scores = iter(exposed(outputs))
        return [
            max(next(scores) for _ in of_picture) > self._params.max_score for of_picture in looks
        ]

    def _looks(self, rgb: Image, boxes: ArrayLike) -> Iterator[Image]:
        height, width = rgb.shape[:2]
        longer = max(height, width)
        scale = _SIDE_PX / longer
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        frame = np.zeros((_SIDE_PX, _SIDE_PX, 3), dtype=np.uint8)
        frame[: size[1], : size[0]] = cv2.resize(rgb, size, interpolation=how)
        yield frame
        for left, top, right, bottom in np.asarray(boxes, dtype=np.float64).reshape(-1, 4):
            side = self._params.body_heads * (bottom - top)
            if side < longer / 2:
                x, y = (left + right - side) / 2, top - (bottom - top)
                yield cut_square(rgb, (x, y, x + side, y + side), _SIDE_PX)


def exposed(outputs: Floats32) -> list[float]:
    """The best score of an exposed part in each of `outputs` (N, 22, places), 0 to 1."""
    return [float(scores.max(initial=0)) for scores in outputs[:, _FIRST_CLASS:][:, _EXPOSED]]
