"""Rewritten graphs compute what they did."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from faces.graph import rewritten

RANDOM = np.random.default_rng(0)
CHANNELS = 5


def made(nodes: list[NodeProto], constants: dict[str, np.ndarray], outputs: list[str]) -> bytes:
    shape = ["n", CHANNELS, 8, 9]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 12)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=7).SerializeToString()


def convolution(name: str, x: str, size: int = 3, **attributes: int) -> NodeProto:
    inputs = [x, f"{name}.w", f"{name}.b"]
    return helper.make_node(
        "Conv", inputs, [name], name, kernel_shape=[size] * 2, pads=[size // 2] * 4, **attributes
    )


def weights(name: str, outputs: int, size: int = 3, inputs: int = CHANNELS) -> dict:
    kernels = RANDOM.standard_normal((outputs, inputs, size, size)).astype(np.float32)
    return {f"{name}.w": kernels, f"{name}.b": RANDOM.standard_normal(outputs).astype(np.float32)}


def outputs_of(content: bytes) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((2, CHANNELS, 8, 9)).astype(np.float32)
    return session.run(None, {"x": x})


def kinds(content: bytes) -> list[str]:
    return sorted(node.op_type for node in onnx.load_from_string(content).graph.node)


@pytest.mark.parametrize("shape", [(CHANNELS, 1, 1), (1, 1, 1), (1,)])
def test_prelu(shape: tuple[int, ...]) -> None:
    slopes = np.linspace(-0.5, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    content = made([helper.make_node("PRelu", ["x", "s"], ["y"])], {"s": slopes}, ["y"])
    new = rewritten(content)
    for before, after in zip(outputs_of(content), outputs_of(new), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)
    is_spelt_out = shape[0] > 1
    assert ("PRelu" in kinds(new)) != is_spelt_out


def test_convolutions_of_one_tensor_are_joined_where_they_are_alike() -> None:
    """The first three are alike; then a smaller kernel, groups, and another tensor."""
    nodes = [
        *(convolution(name, "x") for name in ("a", "b", "c")),
        convolution("small", "x", size=1),
        convolution("grouped", "x", group=CHANNELS),
        convolution("later", "a"),
    ]
    constants = {
        **weights("a", CHANNELS),
        **weights("b", 1),
        **weights("c", 20),
        **weights("small", 4, size=1),
        **weights("grouped", CHANNELS, inputs=1),
        **weights("later", 3),
    }
    names = ["a", "b", "c", "small", "grouped", "later"]
    content = made(nodes, constants, names)
    new = rewritten(content)
    assert kinds(new) == ["Conv"] * 4 + ["Slice"] * 3
    for before, after in zip(outputs_of(content), outputs_of(new), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)
