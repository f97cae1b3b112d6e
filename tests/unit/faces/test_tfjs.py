"""A TensorFlow.js graph, written here by hand, computes in ONNX what its definition says."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from faces.onnx import Network
from faces.tfjs import to_onnx
from mirrorset.errors import InputError

RANDOM = np.random.default_rng(7)


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def node(name: str, op: str, *inputs: str, **attributes: object) -> dict[str, object]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def strides(step: int) -> dict[str, object]:
    return {"list": {"i": ["1", str(step), str(step), "1"]}}


def write(folder: Path, nodes: list[dict[str, object]], weights: dict[str, np.ndarray]) -> None:
    """model.json and weights.bin; floats are kept as float16, as the converter's option does."""
    manifest, content = [], b""
    for name, value in weights.items():
        entry = {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        if value.dtype == np.float32:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        manifest.append(entry)
        stored = np.float16 if value.dtype == np.float32 else value.dtype
        content += value.astype(stored).tobytes()
    topology = {"node": [*nodes, *(node(name, "Const") for name in weights)]}
    model = {"modelTopology": topology, "weightsManifest": [{"weights": manifest}]}
    (folder / "model.json").write_text(json.dumps(model))
    (folder / "weights.bin").write_bytes(content)


def small(*shape: int) -> np.ndarray:
    """Numbers that float16 holds exactly."""
    return (RANDOM.integers(-16, 17, shape) / 16).astype(np.float32)


def convolved(x: np.ndarray, kernel: np.ndarray, step: int, is_depthwise: bool) -> np.ndarray:
    """TensorFlow's SAME convolution of x (H, W, C), from its definition."""
    size = kernel.shape[0]
    out = -(-x.shape[0] // step)
    pad = max((out - 1) * step + size - x.shape[0], 0)
    padded = np.pad(x, ((pad // 2, pad - pad // 2), (pad // 2, pad - pad // 2), (0, 0)))
    result = np.zeros((out, out, kernel.shape[2] if is_depthwise else kernel.shape[3]))
    for row, column in np.ndindex(out, out):
        top, left = row * step, column * step
        window = padded[top : top + size, left : left + size]
        if is_depthwise:
            result[row, column] = (window * kernel[..., 0]).sum(axis=(0, 1))
        else:
            result[row, column] = np.tensordot(window, kernel, axes=3)
    return result


def graph(folder: Path) -> dict[str, np.ndarray]:
    weights = {
        "k1": small(3, 3, 3, 4),
        "k2": small(3, 3, 4, 1),
        "scale": small(4),
        "shift": small(4),
        "six": np.float32(6).reshape(()),
        "zero": np.float32(0).reshape(()),
        "axes": np.array([1, 2], dtype=np.int32),
        "hidden": small(4, 5),
        "hidden_bias": small(5),
        "matrix": small(5, 3),
        "bias": small(3),
    }
    dense = {"fused_ops": {"list": {"s": [text("BiasAdd")["s"]]}}}
    with_relu = {"fused_ops": {"list": {"s": [text("BiasAdd")["s"], text("Relu")["s"]]}}}
    nodes = [
        node("softmax", "Softmax", "dense"),
        node("image", "Placeholder"),
        node("conv", "Conv2D", "image", "k1", strides=strides(2), padding=text("SAME")),
        node(
            "depthwise", "DepthwiseConv2dNative", "conv:0", "k2",
            strides=strides(1), padding=text("SAME"),
        ),
        node("scaled", "Mul", "depthwise", "scale"),
        node("shifted", "Add", "scaled", "shift"),
        node("relu", "Relu", "shifted"),
        node("min", "Minimum", "relu", "six"),
        node("max", "Maximum", "min", "zero"),
        node("mean", "Mean", "max", "axes"),
        node("more", "_FusedMatMul", "mean", "hidden", "hidden_bias", **with_relu),
        node("dense", "_FusedMatMul", "more", "matrix", "bias", **dense),
        node("identity", "TellsPeopleApart", "mean"),
    ]  # fmt: skip
    write(folder, nodes, weights)
    return weights


def test_the_same_numbers_as_by_definition(tmp_path: Path) -> None:
    w = graph(tmp_path)
    x = RANDOM.uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    content = to_onnx(tmp_path / "model.json", tmp_path / "weights.bin", "softmax")
    (found,) = Network(content, most_on_cpu=2)(x.transpose(0, 3, 1, 2).copy())
    for one, chances in zip(x, found, strict=True):
        y = convolved(convolved(one, w["k1"], 2, False), w["k2"], 1, True)
        mean = np.clip(y * w["scale"] + w["shift"], 0, 6).mean(axis=(0, 1))
        logits = np.maximum(mean @ w["hidden"] + w["hidden_bias"], 0) @ w["matrix"] + w["bias"]
        expected = np.exp(logits - logits.max())
        assert chances == pytest.approx(expected / expected.sum(), abs=1e-5)


def test_what_the_output_does_not_need_is_left_out(tmp_path: Path) -> None:
    graph(tmp_path)
    content = to_onnx(tmp_path / "model.json", tmp_path / "weights.bin", "softmax")
    assert b"identity" not in content
    assert b"softmax" in content


def test_an_unknown_operation_is_named(tmp_path: Path) -> None:
    graph(tmp_path)
    with pytest.raises(InputError, match="TellsPeopleApart of identity is not known here"):
        to_onnx(tmp_path / "model.json", tmp_path / "weights.bin", "identity")
