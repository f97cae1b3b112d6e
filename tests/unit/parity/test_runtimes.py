"""Sessions of small models, edges that are quantised, and pairs that cannot run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper

from mirrorset.errors import InputError, NotRunnableError, SettingsError
from parity.kernels import KERNELS, Kernel
from parity.runtimes.opening import open_session
from parity.runtimes.probe import probe
from parity.runtimes.tensors import TensorSpec, decoded, encoded

LITERT: tuple[Kernel, ...] = ("reference", "optimised", "xnnpack", "xnnpack_fp16")


def write(folder: Path, content: bytes, name: str = "model.tflite") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def onnx_sum(folder: Path) -> Path:
    """(n, 3) float32 + (n, 3) int32 → (n, 3) float32."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["b"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["a", "wide"], ["sum"]),
        ],
        "sum",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("b", TensorProto.INT32, ["n", 3]),
        ],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "sum.onnx")
    return folder / "sum.onnx"


@pytest.mark.parametrize("kernel", LITERT)
def test_several_inputs_and_outputs_keep_the_files_order(tmp_path: Path, kernel: Kernel) -> None:
    session = open_session(write(tmp_path, tiny_models.sum_and_difference()), kernel, 1)
    assert [spec.name for spec in session.inputs] == ["a", "b"]
    assert [spec.name for spec in session.outputs] == ["difference", "sum"]
    a, b = np.float32([[5, 7, 9]]), np.float32([[1, 2, 4]])
    difference, total = session.infer([a, b])
    np.testing.assert_array_equal(difference, a - b)
    np.testing.assert_array_equal(total, a + b)
    # A second inference owes nothing to the first, and leaves its outputs alone.
    assert (session.infer([b, a])[0] == b - a).all()
    np.testing.assert_array_equal(difference, a - b)


@pytest.mark.parametrize("kernel", LITERT)
def test_quantised_edges_are_crossed_in_float32(tmp_path: Path, kernel: Kernel) -> None:
    session = open_session(write(tmp_path, tiny_models.quantised_relu()), kernel, 2)
    (edge,) = session.inputs
    assert (edge.dtype, edge.scale, edge.zero_point) == ("int8", 0.5, -10)
    (out,) = session.infer([np.float32([[-3.0, 1.2, 1.3, 1000.0]])])
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, np.float32([[0.0, 1.0, 1.5, 68.5]]))
    # What is of the file's own type already stays as it is.
    (same,) = session.infer([np.int8([[-16, -8, -7, 127]])])
    np.testing.assert_array_equal(same, out)


def test_halves_are_rounded_away_from_zero_and_nothing_wraps_around() -> None:
    spec = TensorSpec(name="x", shape=(7,), dtype="uint8", scale=2.0, zero_point=3)
    values = np.float32([1.0, -1.0, 3.0, -3.0, 1e9, -np.inf, np.nan])
    np.testing.assert_array_equal(encoded(values, spec), np.uint8([4, 2, 5, 1, 255, 0, 3]))
    np.testing.assert_array_equal(
        decoded(np.uint8([4, 2, 255]), spec), np.float32([2.0, -2.0, 504.0])
    )


def test_plain_integers_are_taken_and_fractions_refused() -> None:
    spec = TensorSpec(name="ids", shape=(-1,), dtype="int32")
    whole = encoded(np.float32([1, 2]), spec)
    assert whole.dtype == np.int32
    assert decoded(whole, spec).dtype == np.int32
    with pytest.raises(InputError, match="ids takes int32, and was fed other numbers"):
        encoded(np.float32([1.5]), spec)
    with pytest.raises(InputError, match=r"ids takes \(-1,\), not \(1, 1\)"):
        encoded(np.float32([[1]]), spec)


def test_half_precision_is_cast_at_the_edges() -> None:
    spec = TensorSpec(name="x", shape=(2,), dtype="float16")
    stored = encoded(np.float32([0.1, 70000.0]), spec)
    assert stored.dtype == np.float16
    assert decoded(stored, spec).dtype == np.float32
    assert np.isinf(stored[1])


def test_onnx_runtime_has_the_same_session(tmp_path: Path) -> None:
    session = open_session(onnx_sum(tmp_path), "onnxruntime", 2)
    assert [(spec.shape, spec.dtype) for spec in session.inputs] == [
        ((1, 3), "float32"),
        ((1, 3), "int32"),
    ]
    (total,) = session.infer([np.float32([[0.5, 1, 2]]), np.float32([[1, 2, 3]])])
    np.testing.assert_array_equal(total, np.float32([[1.5, 3, 5]]))
    assert session.delegated_share == 0.0
    with pytest.raises(InputError, match="a takes"):
        session.infer([np.zeros((1, 4), np.float32), np.zeros((1, 3), np.int32)])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("content", [b"", b"no model", tiny_models.custom()[:300]])
def test_a_damaged_file_is_not_runnable(tmp_path: Path, kernel: Kernel, content: bytes) -> None:
    path = write(tmp_path, content)
    with pytest.raises(NotRunnableError, match=f"cannot run on the {kernel} kernels") as raised:
        open_session(path, kernel, 1)
    assert raised.value.reason
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kernel", LITERT)
def test_an_operation_that_a_kernel_lacks_is_named(tmp_path: Path, kernel: Kernel) -> None:
    found = probe(write(tmp_path, tiny_models.custom()), kernel, 1)
    assert found is not None
    assert "MirrorOp" in found.reason
    assert "http" not in found.reason
    assert (found.model_file, found.key.kernel, found.key.threads) == ("model.tflite", kernel, 1)
    assert found.key.delegated_share is None


def test_a_file_that_takes_the_process_down_is_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path, tiny_models.deadly())
    assert probe(path, "reference", 1) is None
    for kernel in ("optimised", "xnnpack"):
        found = probe(path, kernel, 1)
        assert found is not None
        assert found.reason.startswith("the process died of SIG")


def test_a_model_of_the_other_runtime_is_not_runnable(tmp_path: Path) -> None:
    of_litert = write(tmp_path, tiny_models.sum_and_difference())
    for path, kernel in ((of_litert, "onnxruntime"), (onnx_sum(tmp_path), "xnnpack")):
        found = probe(path, kernel, 1)
        assert found is not None
        assert found.key.runtime == ("ONNX Runtime" if kernel == "onnxruntime" else "LiteRT")


def test_no_answer_in_time_is_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path, tiny_models.sum_and_difference())
    found = probe(path, "reference", 1, deadline_s=0.01)
    assert found is not None
    assert found.reason == "no answer within 0.01 s"
    assert probe(path, "reference", 1) is None


def test_what_cannot_be_asked_is_an_error_and_no_finding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        probe(tmp_path / "none.tflite", "xnnpack", 1)
    path = write(tmp_path, tiny_models.sum_and_difference())
    unknown: Any = "gpu"
    with pytest.raises(SettingsError, match="Kernel gpu is unknown"):
        probe(path, unknown, 1)
    with pytest.raises(SettingsError, match="0 threads"):
        probe(path, "xnnpack", 0)


@pytest.mark.parametrize("kernel", LITERT)
def test_sessions_write_nothing_on_the_screen(tmp_path: Path, kernel: Kernel) -> None:
    path = write(tmp_path, tiny_models.sum_and_difference())
    code = (
        "import sys, numpy; from pathlib import Path\n"
        "from parity.runtimes.opening import open_session\n"
        "session = open_session(Path(sys.argv[1]), sys.argv[2], 1)\n"
        "row = numpy.ones((1, 3), numpy.float32)\n"
        "assert session.infer([row, row])[1][0, 0] == 2"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), kernel], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
