"""LiteRT's XNNPACK delegate in half precision, as fast phones run it."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, Options
from ai_edge_litert.environment import Environment
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tensor_buffer import TensorBuffer

from faces.quiet import native_notes_withheld, withhold_last_native_notes
from mirrorset.errors import NotRunnableError
from parity.kernels import Kernel
from parity.runtimes.litert import tensor_spec
from parity.runtimes.tensors import Array, decoded, encoded

_KERNEL: Kernel = "xnnpack_fp16"
# TFLITE_XNNPACK_DELEGATE_FLAG_FORCE_FP16; LiteRT for Python names no flags.
_FORCE_FP16 = 0x4
# The types that LiteRT's buffers hold.
_DTYPES = ("float32", "float16", "int32", "int8", "uint8", "bool")


class HalfSession:
    """A .tflite model (`parity.runtimes.session.Session`) whose float32 operations run in fp16.

    LiteRT's CompiledModel says whether the delegate took all nodes, not how many it took.
    """

    def __init__(self, model: Path, threads: int) -> None:
        """Raises NotRunnableError where LiteRT cannot load the file, or where it holds several
        signatures or values that LiteRT's buffers cannot."""
        self._model = model
        options = Options(
            cpu_options=CpuOptions(num_threads=threads, xnnpack_flags=_FORCE_FP16),
        )
        failure = None
        with native_notes_withheld():
            try:
                described = Interpreter(str(model))
                described.allocate_tensors()  # says more of what is wrong than CompiledModel
                self._compiled = CompiledModel.from_file(
                    str(model), environment=_environment(), options=options
                )
            except (ValueError, RuntimeError, MemoryError) as error:
                failure = error
        if failure:
            raise NotRunnableError(model, _KERNEL, str(failure))
        if self._compiled.get_num_signatures() != 1:
            raise NotRunnableError(model, _KERNEL, "it holds several signatures")
        inputs, outputs = described.get_input_details(), described.get_output_details()
        self.inputs = tuple(tensor_spec(each, model, _KERNEL) for each in inputs)
        self.outputs = tuple(tensor_spec(each, model, _KERNEL) for each in outputs)
        for spec in self.inputs + self.outputs:
            if spec.dtype not in _DTYPES:
                raise NotRunnableError(
                    model, _KERNEL, f"its tensor {spec.name} has values of {spec.dtype}"
                )
        self._input_buffers = self._compiled.create_input_buffers(0)
        self._output_buffers = self._compiled.create_output_buffers(0)
        (key,) = self._compiled.get_signature_list()
        names = self._compiled.get_signature_list()[key]
        runner = described.get_signature_runner(key) if described.get_signature_list() else None
        self._given = _in_order(
            self._input_buffers, names["inputs"], inputs, runner and runner.get_input_details()
        )
        self._said = _in_order(
            self._output_buffers, names["outputs"], outputs, runner and runner.get_output_details()
        )
        with native_notes_withheld():  # the process's first write has notes of its own
            for buffer, spec in zip(self._given, self.inputs, strict=True):
                buffer.write(np.zeros(spec.shape, spec.dtype))
        self.delegated_share: float | None = 1.0 if self._compiled.is_fully_accelerated() else None

    def infer(self, values: list[Array]) -> list[Array]:
        for buffer, array, spec in zip(self._given, values, self.inputs, strict=True):
            buffer.write(encoded(array, spec))
        try:
            self._compiled.run_by_index(0, self._input_buffers, self._output_buffers)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise NotRunnableError(self._model, _KERNEL, str(error)) from None
        return [
            decoded(
                buffer.read(int(np.prod(spec.shape)), np.dtype(spec.dtype)).reshape(spec.shape),
                spec,
            )
            for buffer, spec in zip(self._said, self.outputs, strict=True)
        ]


def _in_order(
    buffers: Sequence[TensorBuffer],
    names: Sequence[str],
    tensors: Sequence[Mapping[str, Any]],
    by_name: Mapping[str, Mapping[str, Any]] | None,
) -> list[TensorBuffer]:
    """The signature's buffers in the order of the graph's tensors; a signature has its own order.

    by_name: the tensor behind each of the signature's names, or None without a signature of the
    file's own.
    """
    if by_name is None:
        return list(buffers)
    of_tensor = {
        by_name[name]["index"]: buffer for name, buffer in zip(names, buffers, strict=True)
    }
    return [of_tensor[tensor["index"]] for tensor in tensors]


@cache
def _environment() -> Environment:
    """LiteRT's environment, one for the process; its end writes notes as its beginning does."""
    withhold_last_native_notes()
    return Environment.create()
