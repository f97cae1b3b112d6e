"""A .tflite file in today's form, with the same outputs: what quantisers take for granted.

Older converters left four habits behind: operations named in a field that is no longer read, half
precision weights that are widened by an operation each, no signature, and tensors that nothing
uses. A quantiser that meets them leaves the file as it is and says nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mirrorset.errors import InputError

SIGNATURE = "serving_default"
_IDENTIFIER = b"TFL3"
# Smaller offsets are none.
_IS_BEHIND = 1


def normalised(content: bytes, name: str) -> bytes:
    """The file's content with builtin codes, float32 weights, a signature and no dangling tensors.

    Whatever kernel runs it gives the same bits as before, and the same content gives the same
    bytes. name: the file's, for messages. Raises InputError where the content is no .tflite model.
    """
    model = read_model(content, name)
    with _damage_named(name):
        _set_builtin_codes(model)
        for graph in model.subgraphs:
            _widen_constants(model, graph)
            _drop_dangling_tensors(graph)
        _drop_unused_codes(model)
        _drop_unused_buffers(model)
        _add_signature(model)
        return written(model)


def read_model(content: bytes, name: str) -> Any:
    """The tables of a .tflite file, as `schema.ModelT`, its weights within them.

    Larger files, and ai-edge-quantizer, put them behind the tables. Raises what `normalised` does.
    """
    if content[4:8] != _IDENTIFIER:
        raise InputError(f"{name} is no .tflite file: give a model of LiteRT's format.")
    with _damage_named(name):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        behind = [buffer for buffer in model.buffers if buffer.offset > _IS_BEHIND]
    for buffer in behind:
        data = content[buffer.offset : buffer.offset + buffer.size]
        if len(data) < buffer.size:
            raise InputError(f"{name} is cut off: copy or convert it again.")
        buffer.data, buffer.offset, buffer.size = np.frombuffer(data, np.uint8), 0, 0
    return model


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Say that the file is damaged: its tables are unchecked, and fail wherever they are used."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name} is damaged ({reason}): copy or convert it again.") from None


def written(model: Any) -> bytes:
    """The tables as a .tflite file's content."""
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _set_builtin_codes(model: Any) -> None:
    """Old files name an operation in one byte, new ones in four; the larger one counts."""
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)


def _widen_constants(model: Any, graph: Any) -> None:
    """Put float32 constants in the place of float16 ones that an operation widens."""
    kept = []
    for operator in graph.operators:
        stored = _widened(model, graph, operator)
        if stored is None:
            kept.append(operator)
            continue
        model.buffers.append(_buffer(stored.astype(np.float32)))
        graph.tensors[operator.outputs[0]].buffer = len(model.buffers) - 1
    graph.operators = kept


def _widened(model: Any, graph: Any, operator: Any) -> np.ndarray[Any, Any] | None:
    """The float16 constants that `operator` does nothing but widen, or None."""
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    if code != schema.BuiltinOperator.DEQUANTIZE or operator.outputs[0] in list(graph.outputs):
        return None
    tensor = graph.tensors[operator.inputs[0]]
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT16 or data is None or tensor.sparsity is not None:
        return None
    return np.frombuffer(bytes(data), np.float16)


def _buffer(values: np.ndarray[Any, Any]) -> Any:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    return buffer


def _drop_dangling_tensors(graph: Any) -> None:
    graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
    lists = [graph.inputs, graph.outputs]
    for operator in graph.operators:
        for field in ("inputs", "outputs", "intermediates"):
            indices = getattr(operator, field)
            setattr(operator, field, None if indices is None else list(map(int, indices)))
            lists.append(getattr(operator, field) or [])
    used = sorted({int(index) for indices in lists for index in indices if index >= 0})
    moved = _moved(used)
    for indices in lists:
        indices[:] = [moved.get(int(index), -1) for index in indices]
    graph.tensors = [graph.tensors[index] for index in used]


def _drop_unused_codes(model: Any) -> None:
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    used = sorted({operator.opcodeIndex for operator in operators})
    moved = _moved(used)
    for operator in operators:
        operator.opcodeIndex = moved[operator.opcodeIndex]
    model.operatorCodes = [model.operatorCodes[index] for index in used]


def _drop_unused_buffers(model: Any) -> None:
    """The first buffer stays: it is the empty one by convention."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    holders = tensors + (model.metadata or [])
    used = sorted({0, *(holder.buffer for holder in holders)})
    moved = _moved(used)
    for holder in holders:
        holder.buffer = moved[holder.buffer]
    model.metadataBuffer = None
    model.buffers = [model.buffers[index] for index in used]


def _add_signature(model: Any) -> None:
    """One of the main graph, by its tensors' names, where the file has none."""
    if model.signatureDefs:
        return
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE.encode()
    signature.subgraphIndex = 0
    signature.inputs = [_named(graph, index) for index in graph.inputs]
    signature.outputs = [_named(graph, index) for index in graph.outputs]
    model.signatureDefs = [signature]


def _named(graph: Any, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = graph.tensors[index].name, index
    return entry


def _moved(used: Iterable[int]) -> dict[int, int]:
    return {before: after for after, before in enumerate(used)}


def normalise(model: Path) -> bytes:
    """`normalised` of a file. Raises InputError also where there is none."""
    if not model.is_file():
        raise InputError(f"{model} does not exist: give a .tflite file.")
    return normalised(model.read_bytes(), str(model))
