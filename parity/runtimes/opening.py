"""A session of any model file on any of this machine's kernels."""

from pathlib import Path

from mirrorset.errors import InputError, SettingsError
from parity.kernels import KERNELS, Kernel
from parity.runtimes.litert import LiteRtSession
from parity.runtimes.litert_fp16 import HalfSession
from parity.runtimes.onnx import OnnxSession
from parity.runtimes.session import Session

# More only take the machine's memory.
_MOST_THREADS = 256


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
    """Raise InputError where there is no file `model`, SettingsError for an unknown kernel, and for
    a number of threads that none has.
    """
    if kernel not in KERNELS:
        raise SettingsError(f"Kernel {kernel} is unknown: choose one of {', '.join(KERNELS)}.")
    if not 1 <= threads <= _MOST_THREADS:
        raise SettingsError(
            f"{threads} threads cannot run a model: give one or more, {_MOST_THREADS} at most."
        )
    if not model.is_file():
        raise InputError(f"{model} does not exist: give a model file.")
