"""Old habits of converters are undone, and what a model says stays as it was."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.errors import InputError
from parity.kernels import Kernel
from parity.normalise import SIGNATURE, normalise, normalised, read_model, written
from parity.runtimes.opening import open_session

WEIGHTS = np.float16([[0.1, -2.5, 6e-8, 65504.0]])
OLD = tiny_models.old_widened(WEIGHTS)


def test_an_old_file_comes_into_todays_form() -> None:
    model = read_model(normalised(OLD, "old"), "new")
    (graph,) = model.subgraphs
    assert [tensor.name for tensor in graph.tensors] == [b"x", b"wide", b"y"]
    (code,) = model.operatorCodes
    assert code.builtinCode == tiny_models.Builtin.ADD
    (operator,) = graph.operators
    assert [graph.tensors[index].name for index in operator.inputs] == [b"x", b"wide"]
    assert len(model.buffers) == 2
    stored = np.frombuffer(bytes(model.buffers[graph.tensors[1].buffer].data), np.float32)
    np.testing.assert_array_equal(stored, WEIGHTS.astype(np.float32)[0])


def test_the_signature_names_inputs_and_outputs() -> None:
    content = normalised(tiny_models.sum_and_difference(), "model")
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner(SIGNATURE)
    row = np.float32([[1, 2, 3]])
    said = runner(a=row, b=row * 2)
    np.testing.assert_array_equal(said["sum"], row * 3)
    np.testing.assert_array_equal(said["difference"], -row)


@pytest.mark.parametrize("kernel", ["reference", "optimised", "xnnpack", "xnnpack_fp16"])
def test_the_outputs_are_the_same_bits(tmp_path: Path, kernel: Kernel) -> None:
    old, new = tmp_path / "old.tflite", tmp_path / "new.tflite"
    old.write_bytes(OLD)
    new.write_bytes(normalise(old))
    x = np.float32([[1e-3, 7.0, -0.0, 3.0]])
    before, after = (open_session(path, kernel, 1).infer([x])[0] for path in (old, new))
    assert before.tobytes() == after.tobytes()


def test_a_signature_keeps_its_own_order_of_tensors(tmp_path: Path) -> None:
    """LiteRT hands a signature's tensors out by name; a session gives the graph's order."""
    path = tmp_path / "model.tflite"
    path.write_bytes(normalised(tiny_models.sum_and_difference(), "model"))
    a, b = np.float32([[5, 7, 9]]), np.float32([[1, 2, 4]])
    for kernel in ("reference", "xnnpack_fp16"):
        session = open_session(path, kernel, 1)
        assert [spec.name for spec in session.outputs] == ["difference", "sum"]
        difference, total = session.infer([a, b])
        np.testing.assert_array_equal(difference, a - b)
        np.testing.assert_array_equal(total, a + b)


def test_normalising_twice_changes_nothing() -> None:
    once = normalised(OLD, "old")
    assert normalised(once, "once") == once
    assert normalised(OLD, "old") == once


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.tflite does not exist"):
        normalise(tmp_path / "no.tflite")
    with pytest.raises(InputError, match=r"text is no \.tflite file"):
        normalised(b"0000000000", "text")
    with pytest.raises(InputError, match="cut is damaged"):
        normalised(OLD[:40], "cut")


@given(st.lists(st.tuples(st.integers(0, len(OLD) - 1), st.integers(0, 255)), max_size=12))
def test_damage_is_an_error_for_people_or_none_at_all(damage: list[tuple[int, int]]) -> None:
    content = bytearray(OLD)
    for place, byte in damage:
        content[place] = byte
    with suppress(InputError):
        normalised(bytes(content), "damaged")


def test_weights_behind_the_tables_are_brought_within() -> None:
    content = normalised(OLD, "old")
    model = read_model(content, "a.tflite")
    weights = [bytes(each.data) if each.data is not None else b"" for each in model.buffers]
    place = max(range(len(weights)), key=lambda number: len(weights[number]))
    model.buffers[place].data = None
    model.buffers[place].offset, model.buffers[place].size = 2, len(weights[place])
    # Whatever the offset is, it takes as many bytes.
    model.buffers[place].offset = len(written(model))
    behind = written(model) + weights[place]
    assert bytes(read_model(behind, "a.tflite").buffers[place].data) == weights[place]
    assert normalised(behind, "a.tflite") == content
    with pytest.raises(InputError, match="is cut off"):
        read_model(behind[:-1], "a.tflite")
