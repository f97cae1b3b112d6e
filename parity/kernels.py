"""LiteRT's kernels on this machine.

- reference: the plain loops that define what an operation means (BUILTIN_REF)
- optimised: LiteRT's own fast kernels (BUILTIN_WITHOUT_DEFAULT_DELEGATES)
- xnnpack: the XNNPACK delegate, as apps get it by default (BUILTIN)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from faces.quiet import native_notes_withheld
from mirrorset.errors import InputError, SettingsError

Kernel = Literal["reference", "optimised", "xnnpack"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
Floats = NDArray[np.float32]

_RESOLVERS = {
    "reference": OpResolverType.BUILTIN_REF,
    "optimised": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.BUILTIN,
}


class Session:
    """A .tflite model of one float32 input and float32 outputs, loaded for one kernel.

    input_shapes, output_shapes: in the model's order, the batch of one included.
    delegated_share: nodes that the delegate runs over all nodes, 0 to 1.
    """

    def __init__(self, model: Path, kernel: Kernel, threads: int) -> None:
        """Load `model`.

        Raises InputError where LiteRT cannot run the file, SettingsError for an unknown kernel or
        fewer than one thread.
        """
        if kernel not in KERNELS:
            raise SettingsError(f"Kernel {kernel} is unknown: choose one of {', '.join(KERNELS)}.")
        if threads < 1:
            raise SettingsError(f"{threads} threads cannot run a model: give one or more.")
        if not model.is_file():
            raise InputError(f"{model} does not exist: give a .tflite file.")
        try:
            with native_notes_withheld():
                self._interpreter = Interpreter(
                    str(model),
                    num_threads=threads,
                    experimental_op_resolver_type=_RESOLVERS[kernel],
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{model} cannot run on the {kernel} kernels: {reason}") from None
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        unfit = sorted({np.dtype(each["dtype"]).name for each in inputs + outputs} - {"float32"})
        if len(inputs) != 1 or unfit:
            raise InputError(
                f"{model} has {len(inputs)} inputs and values of {', '.join(unfit) or 'float32'}: "
                "give a model of one float32 input and float32 outputs."
            )
        self._input_index = inputs[0]["index"]
        self._output_indices = [output["index"] for output in outputs]
        self.input_shapes = (tuple(map(int, inputs[0]["shape"])),)
        self.output_shapes = tuple(tuple(map(int, output["shape"])) for output in outputs)
        self.delegated_share = _delegated_share(self._interpreter)

    def infer(self, inputs: Sequence[NDArray[Any]]) -> list[Floats]:
        """All outputs for inputs of `input_shapes`, in the model's order."""
        (values,) = inputs
        self._interpreter.set_tensor(self._input_index, values)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._output_indices]


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
