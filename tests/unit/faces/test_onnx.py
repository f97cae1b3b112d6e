"""Which processor runs a network, and what it is given."""

import cv2
import numpy as np
import pytest

from faces.onnx import execution_providers, planar

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.mark.parametrize(
    ("available", "used"),
    [
        ([CPU], [CPU]),
        (["AzureExecutionProvider", CPU], [CPU]),
        ([CUDA, CPU], [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], [TENSORRT, CUDA, CPU]),
        (["ROCMExecutionProvider", CPU], ["ROCMExecutionProvider", CPU]),
        ([], [CPU]),
    ],
)
def test_graphics_processors_come_first_and_the_cpu_last(
    available: list[str], used: list[str]
) -> None:
    assert execution_providers(available) == used


@pytest.mark.parametrize(
    ("mean", "scale"), [((0, 0, 0), 1), ((127.5,) * 3, 128), ((122.782, 117.001, 104.298), 256)]
)
def test_planes_are_those_of_opencv(mean: tuple[float, float, float], scale: float) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8))
    # As a mirrored view comes.
    images[1] = images[1][:, ::-1]
    expected = cv2.dnn.blobFromImages(images, 1 / scale, mean=mean)
    np.testing.assert_array_equal(planar(images, mean, scale), expected)
