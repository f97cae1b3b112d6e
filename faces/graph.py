"""ONNX graphs rewritten for the CPU's kernels: the same arithmetic in operations that run faster.

ONNX Runtime keeps images in blocks of 16 channels while convolution follows convolution. What it
has no blocked kernel for costs a change of layout there and back, and a convolution pays for whole
blocks, however few channels it gives. What was gained is in docs/models.md.
"""

from collections import defaultdict

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper


def rewritten(content: bytes) -> bytes:
    """The ONNX model `content`, rewritten; its inputs, outputs and their names stay."""
    model = onnx.load_from_string(content)
    _spell_out_prelu(model.graph)
    _join_convolutions(model.graph)
    return bytes(model.SerializeToString())


def _spell_out_prelu(graph: onnx.GraphProto) -> None:
    """prelu(x) = slope · x + (1 − slope) · relu(x), the factors as 1×1 depthwise convolutions."""
    slopes = _constants(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "PRelu" or not _is_per_channel(slopes.get(node.input[1])):
            nodes.append(node)
            continue
        (x, slope), (y,) = node.input, node.output
        factor = slopes[slope].reshape(-1, 1, 1, 1)
        _add_constant(graph, f"{y}/slope", factor)
        _add_constant(graph, f"{y}/rest", 1 - factor)
        nodes += [
            _scaled_channels(x, f"{y}/slope", f"{y}/linear", len(factor)),
            helper.make_node("Relu", [x], [f"{y}/relu"]),
            _scaled_channels(f"{y}/relu", f"{y}/rest", f"{y}/bent", len(factor)),
            helper.make_node("Add", [f"{y}/linear", f"{y}/bent"], [y]),
        ]
    _replace_nodes(graph, nodes)


def _is_per_channel(slope: np.ndarray | None) -> bool:
    return slope is not None and slope.ndim == 3 and slope.size == slope.shape[0] > 1


def _scaled_channels(x: str, factors: str, y: str, channels: int) -> NodeProto:
    return helper.make_node("Conv", [x, factors], [y], kernel_shape=[1, 1], group=channels)


def _join_convolutions(graph: onnx.GraphProto) -> None:
    """Convolutions of one shape that read one tensor become one, its channels shared out after."""
    constants = _constants(graph)
    alike: defaultdict[tuple[str, bytes], list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and _group(node) == 1:
            alike[node.input[0], _attributes(node)].append(node)
    joined_at = {group[0].output[0]: group for group in alike.values() if len(group) > 1}
    gone = {node.output[0] for group in joined_at.values() for node in group}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] in joined_at:
            nodes += _joined(graph, joined_at[node.output[0]], constants)
        elif node.output[0] not in gone:
            nodes.append(node)
    _replace_nodes(graph, nodes)


def _joined(
    graph: onnx.GraphProto, convolutions: list[NodeProto], constants: dict[str, np.ndarray]
) -> list[NodeProto]:
    first = convolutions[0]
    whole = f"{first.output[0]}/joined"
    for suffix, at in (("weights", 1), ("biases", 2)):
        parts = [constants[node.input[at]] for node in convolutions]
        _add_constant(graph, f"{whole}/{suffix}", np.concatenate(parts))
    joined = NodeProto()
    joined.CopyFrom(first)
    joined.input[:] = [first.input[0], f"{whole}/weights", f"{whole}/biases"]
    joined.output[:] = [whole]
    nodes = [joined]
    _add_constant(graph, f"{whole}/axis", np.array([1]))
    start = 0
    for node in convolutions:
        end = start + len(constants[node.input[1]])
        bounds = [f"{node.output[0]}/start", f"{node.output[0]}/end"]
        for name, value in zip(bounds, (start, end), strict=True):
            _add_constant(graph, name, np.array([value]))
        nodes.append(helper.make_node("Slice", [whole, *bounds, f"{whole}/axis"], node.output))
        start = end
    return nodes


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _add_constant(graph: onnx.GraphProto, name: str, value: np.ndarray) -> None:
    graph.initializer.append(numpy_helper.from_array(value, name))


def _replace_nodes(graph: onnx.GraphProto, nodes: list[NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)


def _group(convolution: NodeProto) -> int:
    return next((entry.i for entry in convolution.attribute if entry.name == "group"), 1)


def _attributes(node: NodeProto) -> bytes:
    """All attributes, as comparable bytes."""
    ordered = sorted(node.attribute, key=lambda entry: entry.name)
    return b"".join(entry.SerializeToString(deterministic=True) for entry in ordered)
