"""The person mask: MediaPipe's selfie segmentation in LiteRT."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from faces.detection import Image
from faces.lending import Lending
from faces.quiet import native_notes_withheld
from mirrorset.records import Record


class PersonMaskParams(Record):
    """min_probability: a pixel at or above it belongs to a person."""

    min_probability: float = 0.5


class PersonSegmenter:
    """Selfie segmentation, general model. One of its operations is XNNPACK's own, so it runs in no
    other kernel. One instance serves any number of threads.
    """

    def __init__(self, path: Path, params: PersonMaskParams | None = None) -> None:
        self._params = params or PersonMaskParams()
        self._interpreters = Lending(lambda: _interpreter(path))

    def segment(self, images: Sequence[Image]) -> list[NDArray[np.bool_]]:
        """True where each of `images`, (H, W, 3) uint8 RGB, shows a person: (H, W) bool.

        The network sees the image stretched to 256×256; its probabilities are stretched back
        linearly and then cut.
        """
        with self._interpreters.borrowed() as interpreter:
            return [self._segment(interpreter, rgb) for rgb in images]

    def _segment(self, interpreter: Interpreter, rgb: Image) -> NDArray[np.bool_]:
        height, width = rgb.shape[:2]
        given = interpreter.get_input_details()[0]
        _, rows, columns, _ = given["shape"]
        small = cv2.resize(rgb, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
        interpreter.set_tensor(given["index"], (small / np.float32(255))[None])
        interpreter.invoke()
        output = interpreter.get_output_details()[0]["index"]
        probability = interpreter.get_tensor(output)[0, :, :, 0]
        whole = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole >= self._params.min_probability)


def _interpreter(path: Path) -> Interpreter:
    with native_notes_withheld():
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter
