"""The tensors between a model's operations, one by one or all at once."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from faces.quiet import native_notes_withheld
from mirrorset.errors import NotRunnableError
from parity.kernels import Kernel
from parity.normalise import normalised, read_model, written
from parity.runtimes.litert import RESOLVERS, tensor_spec
from parity.runtimes.opening import open_session
from parity.runtimes.tensors import Array, decoded, encoded

PLAIN: tuple[Kernel, ...] = ("reference", "optimised")
# Of quantised values, by the type that holds them.
_LIMITS = {schema.TensorType.INT8: (-128, 127), schema.TensorType.UINT8: (0, 255)}
# A spread of this share of the values' size is of rounding rather than of what they say.
_HARDLY = 1e-3
_OPERATIONS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


@dataclass(frozen=True)
class Made:
    """A tensor that an operation makes. place: the operation's, from 0."""

    name: str
    place: int
    operation: str
    is_quantised: bool


@dataclass(frozen=True)
class Int8Weights:
    """count: operations that compute with int8 weights, of operation_count, those that only widen
    weights left out. is_hybrid: whether any takes floats beside them and gives floats, and so
    quantises what it takes by itself.
    """

    count: int
    operation_count: int
    is_hybrid: bool


class Graph:
    """A .tflite file, normalised, on one kind of kernel."""

    def __init__(self, file: Path, kernel: Kernel) -> None:
        """Raises InputError where the file is no .tflite model."""
        self.file, self.kernel = file, kernel
        self._content = normalised(file.read_bytes(), str(file))
        model = read_model(self._content, str(file))
        self._graph, self._codes = model.subgraphs[0], model.operatorCodes
        self._index = {self._name(index): index for index in range(len(self._graph.tensors))}
        self.made = tuple(self._made())
        self.operation_count = len(self._graph.operators)

    @property
    def name(self) -> str:
        """Which file on which kernels."""
        return f"{self.file.name} on {self.kernel}"

    def open_after(self, place: int) -> list[str]:
        """The tensors made by operation `place` or before that later ones read, or that go out."""
        later = self._graph.operators[place + 1 :]
        read = {int(index) for operator in later for index in operator.inputs}
        read |= set(map(int, self._graph.outputs))
        names = {self._name(index) for index in read}
        return [one.name for one in self.made if one.place <= place and one.name in names]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """What a quantised tensor between operations can hold, by name."""
        found = {}
        for one in self.made:
            if one.is_quantised:
                tensor = self._graph.tensors[self._index[one.name]]
                limits = _LIMITS.get(tensor.type)
                if limits is not None:
                    scale = float(tensor.quantization.scale[0])
                    zero = int(tensor.quantization.zeroPoint[0])
                    found[one.name] = ((limits[0] - zero) * scale, (limits[1] - zero) * scale)
        return found

    def int8_weights(self) -> Int8Weights | None:
        """None where no operation reads constants in int8."""
        made = {int(index) for operator in self._graph.operators for index in operator.outputs}
        constants = {
            index
            for index, tensor in enumerate(self._graph.tensors)
            if index not in made | set(self._graph.inputs) and _is_int8(tensor)
        }
        widened: set[int] = set()
        count, widening_count, is_hybrid = 0, 0, False
        for operator in self._graph.operators:
            read = set(operator.inputs)
            if self._operation(operator) == "DEQUANTIZE" and read <= constants:
                widened |= set(operator.outputs)
                widening_count += 1
                continue
            count += not read.isdisjoint(constants | widened)
            gives = (self._graph.tensors[index].type for index in operator.outputs)
            is_float = all(each == schema.TensorType.FLOAT32 for each in gives)
            is_hybrid |= is_float and not read.isdisjoint(constants)
        if not count:
            return None
        return Int8Weights(count, self.operation_count - widening_count, is_hybrid)

    def all_values(self, given: Array) -> dict[str, Array]:
        """Every tensor that an operation makes of the input (1, …), by name.

        Plain kernels are told to keep them all; for a delegate all of them become outputs. Raises
        NotRunnableError where the kernels cannot run the file.
        """
        if self.kernel not in PLAIN:
            return self.values([one.name for one in self.made], given)
        with native_notes_withheld():
            try:
                interpreter = Interpreter(
                    model_content=self._content,
                    experimental_op_resolver_type=RESOLVERS[self.kernel],
                    experimental_preserve_all_tensors=True,
                    num_threads=1,
                )
                interpreter.allocate_tensors()
                (taken,) = interpreter.get_input_details()
                spec = tensor_spec(taken, self.file, self.kernel)
                interpreter.set_tensor(taken["index"], encoded(given, spec))
                interpreter.invoke()
            except (ValueError, RuntimeError, MemoryError) as error:
                raise NotRunnableError(self.file, self.kernel, str(error)) from None
        wanted = {one.name for one in self.made}
        values = {}
        for details in interpreter.get_tensor_details():
            if details["name"] in wanted and len(details["shape"]):
                own = tensor_spec(details, self.file, self.kernel)
                values[own.name] = decoded(interpreter.get_tensor(details["index"]), own)
        return values

    def values(self, names: Sequence[str], given: Array) -> dict[str, Array]:
        """Some of these tensors, by a file that ends where the last of them is made: a delegate
        keeps what lies between its ends to itself.
        """
        model = read_model(self._content, str(self.file))
        graph = model.subgraphs[0]
        place = {one.name: one.place for one in self.made}
        graph.operators = graph.operators[: max(place[name] for name in names) + 1]
        graph.outputs = [self._index[name] for name in names]
        model.signatureDefs = []
        with tempfile.TemporaryDirectory(prefix="mirrorset-cut-") as folder:
            cut = Path(folder) / self.file.name
            cut.write_bytes(written(model))
            said = open_session(cut, self.kernel, 1).infer([given])
        return dict(zip(names, said, strict=True))

    def _made(self) -> Iterator[Made]:
        for place, operator in enumerate(self._graph.operators):
            for index in operator.outputs:
                tensor = self._graph.tensors[int(index)]
                scales = tensor.quantization.scale if tensor.quantization else None
                yield Made(
                    name=self._name(int(index)),
                    place=place,
                    operation=self._operation(operator),
                    is_quantised=scales is not None and len(scales) == 1,
                )

    def _operation(self, operator: Any) -> str:
        code = self._codes[operator.opcodeIndex]
        custom: str = code.customCode.decode() if code.customCode else ""
        return custom or _OPERATIONS[code.builtinCode]

    def _name(self, index: int) -> str:
        return str(self._graph.tensors[index].name.decode())


def _is_int8(tensor: Any) -> bool:
    scales = tensor.quantization.scale if tensor.quantization else None
    return tensor.type == schema.TensorType.INT8 and scales is not None and len(scales) > 0


def departs_by(reference: Array, candidate: Array) -> float:
    """Root mean square of the deviation over the spread of the reference's values, or over their
    size where they hardly spread, as a single one does not.

    Infinite where one alone holds what is no number.
    """
    before, after = np.asarray(reference, np.float64), np.asarray(candidate, np.float64)
    if before.shape != after.shape:
        return float(np.inf)
    is_alike = (before == after) | (np.isnan(before) & np.isnan(after))
    with np.errstate(invalid="ignore", over="ignore"):
        differences = np.where(is_alike, 0.0, after - before)
        rms = float(np.sqrt((differences**2).mean())) if differences.size else 0.0
    if rms == 0:
        return 0.0
    scale = _scale(before[np.isfinite(before)])
    return rms / scale if np.isfinite(rms) and scale > 0 else float(np.inf)


def _scale(values: Any) -> float:
    """The spread of values, or their root mean square where they spread by less than a share."""
    if not values.size:
        return 0.0
    spread, size = float(values.std()), float(np.sqrt((values**2).mean()))
    return spread if spread > _HARDLY * size else size
