"""BiSeNet for face parsing, written down as an ONNX graph around the checkpoint's weights.

The network of Yu et al., "BiSeNet: bilateral segmentation network for real-time semantic
segmentation", ECCV 2018, on ResNet-18 (He et al., CVPR 2016). The checkpoint has no spatial path:
the second stage of ResNet, at an eighth of the input's side, stands in for it. Batch normalisation
is folded into the convolutions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, NDArray[np.float32]]

SIDE_PX = 512
CLASSES = 19
_OPSET = 18
_IR_VERSION = 10
# PyTorch's default.
_EPSILON = 1e-5


def bisenet(weights: Weights) -> bytes:
    """The ONNX model with `weights` by their names in the checkpoint.

    Input "image": (1, 3, 512, 512) float32. Output "logits": (1, 19, 512, 512) float32. Raises
    KeyError where a weight lacks.
    """
    graph = _Graph(weights)
    eighth, sixteenth, thirtysecond = _resnet18(graph)
    context = _context_path(graph, sixteenth, thirtysecond)
    features = _fuse(graph, eighth, context)
    coarse = graph.convolve(
        graph.convolve(features, "conv_out.conv.conv", bn="conv_out.conv.bn"),
        "conv_out.conv_out",
        is_rectified=False,
    )
    graph.resize(coarse, 8, "linear", output="logits")
    return graph.model()


def _resnet18(graph: "_Graph") -> tuple[str, str, str]:
    """Features at an eighth, a sixteenth and a thirty-second of the input's side."""
    stem = graph.convolve("image", "cp.resnet.conv1", bn="cp.resnet.bn1", stride=2)
    pooled = graph.node("MaxPool", stem, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    features = [pooled]
    for stage in (1, 2, 3, 4):
        name = f"cp.resnet.layer{stage}"
        first = _residual(graph, features[-1], f"{name}.0", stride=1 if stage == 1 else 2)
        features.append(_residual(graph, first, f"{name}.1", stride=1))
    return features[2], features[3], features[4]


def _residual(graph: "_Graph", source: str, name: str, stride: int) -> str:
    inner = graph.convolve(source, f"{name}.conv1", bn=f"{name}.bn1", stride=stride)
    outer = graph.convolve(inner, f"{name}.conv2", bn=f"{name}.bn2", is_rectified=False)
    shortcut = source
    if stride > 1:
        shortcut = graph.convolve(
            source,
            f"{name}.downsample.0",
            bn=f"{name}.downsample.1",
            stride=stride,
            is_rectified=False,
        )
    return graph.node("Relu", graph.node("Add", outer, shortcut))


def _context_path(graph: "_Graph", sixteenth: str, thirtysecond: str) -> str:
    """The refined deep features, at an eighth of the input's side."""
    pooled = graph.node("GlobalAveragePool", thirtysecond)
    tail = graph.convolve(pooled, "cp.conv_avg.conv", bn="cp.conv_avg.bn")
    # The tail is one value a channel: adding broadcasts it.
    deep = graph.node("Add", _refine(graph, thirtysecond, "cp.arm32"), tail)
    deep = graph.resize(deep, 2, "nearest")
    deep = graph.convolve(deep, "cp.conv_head32.conv", bn="cp.conv_head32.bn")
    middle = graph.node("Add", _refine(graph, sixteenth, "cp.arm16"), deep)
    middle = graph.resize(middle, 2, "nearest")
    return graph.convolve(middle, "cp.conv_head16.conv", bn="cp.conv_head16.bn")


def _refine(graph: "_Graph", source: str, name: str) -> str:
    """The paper's attention refinement: each channel weighed by what the whole image says."""
    features = graph.convolve(source, f"{name}.conv.conv", bn=f"{name}.conv.bn")
    pooled = graph.node("GlobalAveragePool", features)
    attention = graph.convolve(
        pooled, f"{name}.conv_atten", bn=f"{name}.bn_atten", is_rectified=False
    )
    return graph.node("Mul", features, graph.node("Sigmoid", attention))


def _fuse(graph: "_Graph", shallow: str, deep: str) -> str:
    """The paper's feature fusion: both joined, and what attention picks of them added."""
    joined = graph.node("Concat", shallow, deep, axis=1)
    features = graph.convolve(joined, "ffm.convblk.conv", bn="ffm.convblk.bn")
    pooled = graph.node("GlobalAveragePool", features)
    squeezed = graph.convolve(pooled, "ffm.conv1")
    attention = graph.node("Sigmoid", graph.convolve(squeezed, "ffm.conv2", is_rectified=False))
    return graph.node("Add", features, graph.node("Mul", features, attention))


class _Graph:
    """An ONNX graph that grows a node at a time; values are named after their place in it."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node of that kind and name its output."""
        name = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def convolve(
        self, source: str, name: str, bn: str = "", stride: int = 1, is_rectified: bool = True
    ) -> str:
        """Convolution `name` that keeps the side (divided by `stride`), then `bn`, then ReLU."""
        kernel = self._weights[f"{name}.weight"].astype(np.float64)
        bias = np.zeros(len(kernel))
        if bn:
            gain, shift, mean, variance = (
                self._weights[f"{bn}.{part}"].astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gain / np.sqrt(variance + _EPSILON)
            kernel, bias = kernel * scale[:, None, None, None], shift - mean * scale
        out = self.node(
            "Conv",
            source,
            self._constant(f"{name}.kernel", kernel.astype(np.float32)),
            self._constant(f"{name}.bias", bias.astype(np.float32)),
            strides=[stride, stride],
            pads=[kernel.shape[2] // 2] * 4,
        )
        return self.node("Relu", out) if is_rectified else out

    def resize(self, source: str, factor: int, mode: str, output: str = "") -> str:
        """The feature map enlarged `factor` times, as PyTorch's interpolate does it."""
        factors = self._constant(f"{source}.factors", np.array([1, 1, factor, factor], np.float32))
        place = {"linear": "align_corners", "nearest": "asymmetric"}[mode]
        return self.node(
            "Resize",
            source,
            "",
            factors,
            output=output,
            mode=mode,
            coordinate_transformation_mode=place,
            nearest_mode="floor",
        )

    def model(self) -> bytes:
        """The whole as bytes."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE_PX, SIDE_PX])
        logits = helper.make_tensor_value_info(
            "logits", TensorProto.FLOAT, [1, CLASSES, SIDE_PX, SIDE_PX]
        )
        graph = helper.make_graph(self._nodes, "bisenet", [image], [logits], self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return bytes(model.SerializeToString())

    def _constant(self, name: str, values: NDArray[np.float32]) -> str:
        self._constants.append(numpy_helper.from_array(values, name))
        return name
