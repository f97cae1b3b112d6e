"""The seam between parity and whatever runs a model."""

from typing import Protocol

from parity.runtimes.tensors import Array, TensorSpec


class Session(Protocol):
    """One model file, loaded for one kind of kernel; for one thread at a time.

    inputs, outputs: in the file's order. delegated_share: nodes that the delegate runs over all
    nodes, 0 to 1, or None where the runtime does not tell.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    delegated_share: float | None

    def infer(self, values: list[Array]) -> list[Array]:
        """All outputs, float32 (`parity.runtimes.tensors` says how), for one array an input.

        Raises InputError for arrays that do not fit `inputs`, NotRunnableError where the kernels
        fail on them.
        """
        ...
