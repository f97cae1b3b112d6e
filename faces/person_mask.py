"""The person mask: MediaPipe's selfie segmentation in LiteRT."""

from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from faces.quiet import native_notes_withheld
from mirrorset.records import Record


class PersonMaskParams(Record):
    """min_probability: a pixel at or above it belongs to a person."""

    min_probability: float = 0.5


class PersonSegmenter:
    """Selfie segmentation, general model. One of its operations is XNNPACK's own, so it runs in no
    other kernel.
    """

    def __init__(self, path: Path, params: PersonMaskParams | None = None) -> None:
        self._params = params or PersonMaskParams()
        with native_notes_withheld():
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def segment(self, rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """True where `rgb` (H, W, 3) uint8 shows a person: (H, W) bool.

        The network sees the image stretched to 256×256; its probabilities are stretched back
        linearly and then cut.
        """
        height, width = rgb.shape[:2]
        _, rows, columns, _ = self._input["shape"]
        small = cv2.resize(rgb, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
        self._interpreter.set_tensor(self._input["index"], (small / np.float32(255))[None])
        self._interpreter.invoke()
        probability = self._interpreter.get_tensor(self._output)[0, :, :, 0]
        whole = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole >= self._params.min_probability)
