"""LiteRT's interpreter: reference, optimised and XNNPACK kernels."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from faces.quiet import native_notes_withheld
from mirrorset.errors import NotRunnableError
from parity.kernels import Kernel
from parity.runtimes.tensors import Array, TensorSpec, decoded, encoded

RESOLVERS = {
    "reference": OpResolverType.BUILTIN_REF,
    "optimised": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.BUILTIN,
}


class LiteRtSession:
    """A .tflite model (`parity.runtimes.session.Session`) on one of LiteRT's own kernels."""

    def __init__(self, model: Path, kernel: Kernel, threads: int) -> None:
        """Raises NotRunnableError where LiteRT cannot load the file for `kernel`."""
        self._model, self._kernel = model, kernel
        failure = None
        with native_notes_withheld():
            try:
                self._interpreter = Interpreter(
                    str(model),
                    num_threads=threads,
                    experimental_op_resolver_type=RESOLVERS[kernel],
                )
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError, MemoryError) as error:
                failure = error
        if failure:
            raise NotRunnableError(model, kernel, str(failure))
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        self._input_indices = [each["index"] for each in inputs]
        self._output_indices = [each["index"] for each in outputs]
        self.inputs = tuple(tensor_spec(each, model, kernel) for each in inputs)
        self.outputs = tuple(tensor_spec(each, model, kernel) for each in outputs)
        self.delegated_share: float | None = _delegated_share(self._interpreter)

    def infer(self, values: list[Array]) -> list[Array]:
        for index, array, spec in zip(self._input_indices, values, self.inputs, strict=True):
            self._interpreter.set_tensor(index, encoded(array, spec))
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise NotRunnableError(self._model, self._kernel, str(error)) from None
        return [
            decoded(self._interpreter.get_tensor(index), spec)
            for index, spec in zip(self._output_indices, self.outputs, strict=True)
        ]


def tensor_spec(details: dict[str, Any], model: Path, kernel: Kernel) -> TensorSpec:
    """What LiteRT says of an input or output.

    Raises NotRunnableError for a tensor of text, resources or complex numbers, and for one whose
    channels each have a scale of their own.
    """
    dtype = np.dtype(details["dtype"])
    scales = details["quantization_parameters"]["scales"]
    if dtype.kind not in "fiub" or len(scales) > 1:
        what = f"{len(scales)} scales" if len(scales) > 1 else f"values of {dtype.name}"
        raise NotRunnableError(model, kernel, f"its tensor {details['name']} has {what}")
    is_quantised = dtype.kind in "iu" and len(scales) == 1
    return TensorSpec(
        name=details["name"],
        shape=tuple(map(int, details["shape"])),
        dtype=dtype.name,
        scale=float(scales[0]) if is_quantised else None,
        zero_point=int(details["quantization_parameters"]["zero_points"][0]) if is_quantised else 0,
    )


def _delegated_share(interpreter: Any) -> float:
    """The share of the model's own nodes that lie inside delegates.

    A delegate is one more node that takes the place of those between its inputs and its outputs;
    the runtime lists both, so walking back from its outputs counts them.
    """
    nodes = interpreter._get_ops_details()
    own = [node for node in nodes if node["op_name"] != "DELEGATE"]
    maker = {int(tensor): node for node in own for tensor in node["outputs"]}
    delegated: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        inputs = set(map(int, delegate["inputs"]))
        unseen = list(map(int, delegate["outputs"]))
        while unseen:
            tensor = unseen.pop()
            node = maker.get(tensor)
            if tensor in inputs or node is None or node["index"] in delegated:
                continue
            delegated.add(node["index"])
            unseen.extend(map(int, node["inputs"]))
    return len(delegated) / len(own) if own else 0.0
