"""Models of LiteRT's format with one operation or few, written as their tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from parity.normalise import written

Builtin, Options, Type = schema.BuiltinOperator, schema.BuiltinOptions, schema.TensorType
_TYPES = {"float32": Type.FLOAT32, "float16": Type.FLOAT16, "int8": Type.INT8, "int32": Type.INT32}


@dataclass(frozen=True)
class Tensor:
    """values: of a constant. scale, zero_point: of a quantised one."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    values: NDArray[Any] | None = None
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True)
class Operation:
    """code: a builtin, or a custom operation's name. options: their type and table."""

    code: int | str
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: tuple[int, Any] | None = None
    version: int = 1


def tiny(
    tensors: Mapping[str, Tensor],
    operations: Sequence[Operation],
    inputs: Sequence[str],
    outputs: Sequence[str],
    is_old: bool = False,
) -> bytes:
    """A file's content. is_old: operations are named in the field of old converters alone."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    graph = schema.SubGraphT()
    names = list(tensors)
    graph.tensors = [_tensor(model, name, each) for name, each in tensors.items()]
    graph.inputs = [names.index(name) for name in inputs]
    graph.outputs = [names.index(name) for name in outputs]
    graph.operators = []
    for operation in operations:
        operator = schema.OperatorT()
        operator.inputs = [names.index(name) for name in operation.inputs]
        operator.outputs = [names.index(name) for name in operation.outputs]
        operator.opcodeIndex = len(model.operatorCodes)
        model.operatorCodes.append(_code(operation, is_old))
        if operation.options:
            operator.builtinOptionsType, operator.builtinOptions = operation.options
        graph.operators.append(operator)
    model.subgraphs = [graph]
    return written(model)


def _tensor(model: Any, name: str, given: Tensor) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name.encode(), list(given.shape)
    tensor.type = _TYPES[given.dtype]
    if given.values is not None:
        buffer = schema.BufferT()
        stored = given.values.astype(given.dtype)
        buffer.data = np.frombuffer(stored.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
    if given.scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [given.scale]
        tensor.quantization.zeroPoint = [given.zero_point]
    return tensor


def _code(operation: Operation, is_old: bool) -> Any:
    code = schema.OperatorCodeT()
    code.version = operation.version
    if isinstance(operation.code, str):
        code.customCode = operation.code.encode()
    builtin = Builtin.CUSTOM if isinstance(operation.code, str) else operation.code
    code.deprecatedBuiltinCode = builtin
    code.builtinCode = 0 if is_old else builtin
    return code


def sum_and_difference() -> bytes:
    """Two inputs (1, 3), two outputs: their sum and their difference."""
    row = Tensor((1, 3))
    return tiny(
        {"a": row, "b": row, "sum": row, "difference": row},
        [
            Operation(Builtin.ADD, ["a", "b"], ["sum"], (Options.AddOptions, schema.AddOptionsT())),
            Operation(
                Builtin.SUB, ["a", "b"], ["difference"], (Options.SubOptions, schema.SubOptionsT())
            ),
        ],
        inputs=["a", "b"],
        outputs=["difference", "sum"],
    )


def quantised_relu() -> bytes:
    """int8 in (scale 0.5, zero point −10) and out: the positive part."""
    edge = Tensor((1, 4), "int8", scale=0.5, zero_point=-10)
    return tiny(
        {"in": edge, "out": edge}, [Operation(Builtin.RELU, ["in"], ["out"], version=2)],
        ["in"], ["out"],
    )  # fmt: skip


def custom() -> bytes:
    """An operation that no kernel here has."""
    row = Tensor((1, 3))
    return tiny({"in": row, "out": row}, [Operation("MirrorOp", ["in"], ["out"])], ["in"], ["out"])


def deadly() -> bytes:
    """A radius that LiteRT does not check: its fast kernels read outside of memory and die."""
    options = schema.LocalResponseNormalizationOptionsT()
    options.radius = -3
    block = Tensor((1, 4, 4, 4))
    operation = Operation(
        Builtin.LOCAL_RESPONSE_NORMALIZATION, ["in"], ["out"],
        (Options.LocalResponseNormalizationOptions, options),
    )  # fmt: skip
    return tiny({"in": block, "out": block}, [operation], ["in"], ["out"])


def old_widened(weights: NDArray[np.float16]) -> bytes:
    """x + weights as an old converter writes it: weights of half precision and an operation that
    widens them, old operation codes, no signature, and a tensor that nothing uses.
    """
    shape = weights.shape
    return tiny(
        {
            "unused": Tensor((7,), values=np.arange(7)),
            "x": Tensor(shape),
            "half": Tensor(shape, "float16", weights),
            "wide": Tensor(shape),
            "y": Tensor(shape),
        },
        [
            Operation(
                Builtin.DEQUANTIZE, ["half"], ["wide"],
                (Options.DequantizeOptions, schema.DequantizeOptionsT()), version=2,
            ),
            Operation(
                Builtin.ADD, ["x", "wide"], ["y"], (Options.AddOptions, schema.AddOptionsT())
            ),
        ],
        inputs=["x"],
        outputs=["y"],
        is_old=True,
    )  # fmt: skip
