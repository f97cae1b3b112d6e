"""ONNX networks: opened on the fastest processor there is, run on as many inputs as suits it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from faces.graph import rewritten

Floats32 = NDArray[np.float32]

# ONNX Runtime's names, fastest first. Whatever the first cannot run falls to the last.
_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "ROCMExecutionProvider")
_CPU = "CPUExecutionProvider"
# ONNX Runtime's levels: 2 warns of 2d106's declared output shape at every call, 3 is errors.
_ERRORS_ONLY = 3
# A graphics processor is idle between small inputs.
_MOST_ON_GPU = 32


def execution_providers(available: Sequence[str]) -> list[str]:
    """Of the `available` execution providers those to use, in order; the CPU's is always last."""
    return [name for name in _PROVIDERS if name in available] + [_CPU]


def planar(
    images: Sequence[NDArray[np.uint8]],
    mean: tuple[float, float, float] = (0, 0, 0),
    scale: float = 1,
) -> Floats32:
    """(x − mean) / scale of `images`, n of (H, W, 3) and one size, as (n, 3, H, W) float32.

    Channel by channel: in a quarter of the time of cv2.dnn.blobFromImages, the same numbers.
    """
    tensor = np.empty((len(images), 3, *images[0].shape[:2]), dtype=np.float32)
    for image, planes in zip(images, tensor, strict=True):
        for channel, plane, middle in zip(cv2.split(image), planes, mean, strict=True):
            np.subtract(channel, middle, out=plane, dtype=np.float32)
    tensor /= np.float32(scale)
    return tensor


class Network:
    """An ONNX model with one input (N, …) float32, whose outputs all begin with N.

    On the CPU it runs in the thread that calls it: two such threads outrun one call in two
    (docs/models.md). One instance serves any number of threads.
    """

    def __init__(self, model: Path | bytes, most_on_cpu: int) -> None:
        """model: a file, or its content. most_on_cpu: inputs a run; more outgrow the caches.

        Raises what ONNX Runtime raises.
        """
        providers = execution_providers(onnxruntime.get_available_providers())
        is_on_cpu = providers == [_CPU]
        content = model if isinstance(model, bytes) else model.read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(
            rewritten(content) if is_on_cpu else content, options, providers=providers
        )
        (first, *_) = self._session.get_inputs()
        self._input = first.name
        self._most = most_on_cpu if is_on_cpu else _MOST_ON_GPU
        if isinstance(first.shape[0], int):  # a graph that takes so many inputs and no others
            self._most = first.shape[0]

    def __call__(self, inputs: Floats32) -> list[Floats32]:
        """All outputs for `inputs` (N, …), N at least 1: the same as for each alone."""
        runs = [
            self._session.run(None, {self._input: inputs[start : start + self._most]})
            for start in range(0, len(inputs), self._most)
        ]
        if len(runs) == 1:
            return list(runs[0])
        return [np.concatenate(parts) for parts in zip(*runs, strict=True)]
