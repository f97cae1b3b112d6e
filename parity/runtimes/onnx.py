"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from mirrorset.errors import NotRunnableError
from parity.kernels import Kernel
from parity.runtimes.tensors import Array, TensorSpec, decoded, encoded

_KERNEL: Kernel = "onnxruntime"
# ONNX Runtime's levels: 3 is errors, 4 is fatal; errors are raised as well.
_FATAL_ONLY = 4
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxSession:
    """A .onnx model (`parity.runtimes.session.Session`); ONNX Runtime has no delegates."""

    delegated_share: float | None = 0.0

    def __init__(self, model: Path, threads: int) -> None:
        """Raises NotRunnableError where ONNX Runtime cannot load the file."""
        self._model = model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's have no other base
            raise NotRunnableError(model, _KERNEL, str(error)) from None
        self.inputs = tuple(map(self._spec, self._session.get_inputs()))
        self.outputs = tuple(map(self._spec, self._session.get_outputs()))
        self._names = [spec.name for spec in self.outputs]

    def infer(self, values: list[Array]) -> list[Array]:
        given = {
            spec.name: encoded(array, spec) for spec, array in zip(self.inputs, values, strict=True)
        }
        try:
            said = self._session.run(self._names, given)
        except Exception as error:  # ONNX Runtime's have no other base
            raise NotRunnableError(self._model, _KERNEL, str(error)) from None
        return [
            decoded(np.asarray(array), spec) for array, spec in zip(said, self.outputs, strict=True)
        ]

    def _spec(self, declared: onnxruntime.NodeArg) -> TensorSpec:
        if declared.type not in _DTYPES:
            raise NotRunnableError(
                self._model, _KERNEL, f"its tensor {declared.name} has values of {declared.type}"
            )
        # An open first side is the batch, and one item is fed at a time.
        sides = [side if isinstance(side, int) else -1 for side in declared.shape]
        shape = (1, *sides[1:]) if sides[:1] == [-1] else tuple(sides)
        return TensorSpec(name=declared.name, shape=shape, dtype=_DTYPES[declared.type])
