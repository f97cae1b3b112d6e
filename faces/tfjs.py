"""TensorFlow.js graph models as ONNX: read without TensorFlow, cut down to one output.

Only what a plain convolutional network is made of is known; anything else is refused by name.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mirrorset.errors import InputError

Constants = dict[str, NDArray[Any]]

_OPSET = 17
_INPUT = "image"


def to_onnx(graph: Path, weights: Path, output: str) -> bytes:
    """The network from its image, now (N, 3, H, W) float32, to the node `output`, as ONNX.

    graph: model.json with topology and manifest. weights: the one file of the manifest. Nodes that
    `output` does not need are left out, with whatever else they would compute. Raises InputError
    for an operation that is not known here.
    """
    model = json.loads(graph.read_text(encoding="utf-8"))
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    constants = _constants(model["weightsManifest"][0]["weights"], weights.read_bytes())
    names: dict[str, str] = {}
    kept: Constants = {}
    made: list[NodeProto] = []

    def build(name: str) -> str:
        """Make the node and what it needs; returns its output's name in ONNX."""
        if name in names:
            return names[name]
        node = nodes[name]
        if node["op"] == "Placeholder":
            return _INPUT
        if node["op"] not in _OPERATIONS:
            raise InputError(f"{graph}: the operation {node['op']} of {name} is not known here.")
        inputs = [one.partition(":")[0] for one in node["input"]]
        data = [build(one) for one in inputs if one not in constants]
        fixed = [constants[one] for one in inputs if one in constants]
        names[name] = name
        for new in _OPERATIONS[node["op"]](node, data, fixed, kept):
            new.name = new.output[0]
            made.append(new)
        return name

    build(output)
    shape: list[str | int | None] = ["n", 3, "height", "width"]
    whole = helper.make_graph(
        made,
        graph.stem,
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in kept.items()],
    )
    opset = [helper.make_opsetid("", _OPSET)]
    return bytes(helper.make_model(whole, opset_imports=opset, ir_version=8).SerializeToString())


def _constants(manifest: list[dict[str, Any]], content: bytes) -> Constants:
    """Weights by name; those that were kept as float16 become float32 again."""
    constants: Constants = {}
    start = 0
    for entry in manifest:
        stored = np.dtype(entry.get("quantization", entry)["dtype"])
        count = math.prod(entry["shape"])
        values = np.frombuffer(content, stored, count, start)
        constants[entry["name"]] = values.reshape(entry["shape"]).astype(entry["dtype"])
        start += count * stored.itemsize
    return constants


def _convolution(
    node: Mapping[str, Any], data: list[str], fixed: list[NDArray[Any]], kept: Constants
) -> list[NodeProto]:
    """Kernels are (height, width, in, out) there, (out, in, height, width) here."""
    (kernel,) = fixed
    name, attributes = node["name"], node["attr"]
    is_depthwise = node["op"] == "DepthwiseConv2dNative"
    groups = kernel.shape[2] if is_depthwise else 1
    laid_out = kernel.transpose(2, 3, 0, 1) if is_depthwise else kernel.transpose(3, 2, 0, 1)
    if is_depthwise:
        laid_out = laid_out.reshape(-1, 1, *kernel.shape[:2])
    kept[f"{name}/kernel"] = np.ascontiguousarray(laid_out)
    padding = base64.b64decode(attributes["padding"]["s"]).decode()
    return [
        helper.make_node(
            "Conv",
            [*data, f"{name}/kernel"],
            [name],
            group=groups,
            strides=[int(stride) for stride in attributes["strides"]["list"]["i"][1:3]],
            # TensorFlow puts the odd pixel at the end.
            auto_pad={"SAME": "SAME_UPPER", "VALID": "VALID"}[padding],
        )
    ]


def _with_constant(operation: str) -> Callable[..., list[NodeProto]]:
    def make(
        node: Mapping[str, Any], data: list[str], fixed: list[NDArray[Any]], kept: Constants
    ) -> list[NodeProto]:
        """A constant for each channel, which come first here."""
        name, (value,) = node["name"], fixed
        kept[f"{name}/constant"] = value.reshape(-1, 1, 1) if value.ndim else value
        return [helper.make_node(operation, [*data, f"{name}/constant"], [name])]

    return make


def _simple(operation: str, **attributes: Any) -> Callable[..., list[NodeProto]]:
    def make(
        node: Mapping[str, Any], data: list[str], _: list[NDArray[Any]], __: Constants
    ) -> list[NodeProto]:
        return [helper.make_node(operation, data, [node["name"]], **attributes)]

    return make


def _mean(
    node: Mapping[str, Any], data: list[str], fixed: list[NDArray[Any]], kept: Constants
) -> list[NodeProto]:
    """Over height and width, which are axes 1 and 2 there, 2 and 3 here."""
    if sorted(fixed[0].tolist()) != [1, 2]:
        raise InputError(f"The mean {node['name']} is not over height and width.")
    return [helper.make_node("ReduceMean", data, [node["name"]], axes=[2, 3], keepdims=0)]


def _dense(
    node: Mapping[str, Any], data: list[str], fixed: list[NDArray[Any]], kept: Constants
) -> list[NodeProto]:
    name, (matrix, bias) = node["name"], fixed
    kept[f"{name}/matrix"], kept[f"{name}/bias"] = matrix, bias
    fused = {base64.b64decode(one).decode() for one in node["attr"]["fused_ops"]["list"]["s"]}
    last = f"{name}/sum" if "Relu" in fused else name
    made = [helper.make_node("Gemm", [*data, f"{name}/matrix", f"{name}/bias"], [last])]
    return made + [helper.make_node("Relu", [last], [name])] * ("Relu" in fused)


_OPERATIONS: dict[str, Callable[..., list[NodeProto]]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "Add": _with_constant("Add"),
    "Mul": _with_constant("Mul"),
    "Minimum": _with_constant("Min"),
    "Maximum": _with_constant("Max"),
    "Relu": _simple("Relu"),
    "Softmax": _simple("Softmax", axis=1),
    "Mean": _mean,
    "_FusedMatMul": _dense,
}
