"""The seam between parity and whatever runs a model."""

from pathlib import Path
from typing import Protocol

from mirrorset.errors import InputError, SettingsError
from parity.kernels import KERNELS, Kernel
from parity.runtimes.litert import LiteRtSession
from parity.runtimes.litert_fp16 import HalfSession
from parity.runtimes.onnx import OnnxSession
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


def open_session(model: Path, kernel: Kernel, threads: int) -> Session:
    """Load the file `model` for `kernel`.

    In this process, which a damaged file can take down: `parity.runtimes.probe` tries first.
    Raises NotRunnableError where the kernels cannot run the file, InputError where there is none,
    SettingsError for an unknown kernel or fewer than one thread.
    """
    check(model, kernel, threads)
    if kernel == "onnxruntime":
        return OnnxSession(model, threads)
    if kernel == "xnnpack_fp16":
        return HalfSession(model, threads)
    return LiteRtSession(model, kernel, threads)


def check(model: Path, kernel: Kernel, threads: int) -> None:
    """Raise InputError where there is no file `model`, SettingsError for an unknown kernel or fewer
    than one thread.
    """
    if kernel not in KERNELS:
        raise SettingsError(f"Kernel {kernel} is unknown: choose one of {', '.join(KERNELS)}.")
    if threads < 1:
        raise SettingsError(f"{threads} threads cannot run a model: give one or more.")
    if not model.is_file():
        raise InputError(f"{model} does not exist: give a model file.")
