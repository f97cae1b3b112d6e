"""The full key of what ran where."""

import platform
from pathlib import Path

from mirrorset.records import ParityKey
from parity.kernels import Kernel, delegate_of, runtime_of
from parity.seals import file_sha256


def key_of(model: Path, kernel: Kernel, threads: int, delegated_share: float | None) -> ParityKey:
    """The key of the file `model` on this machine's `kernel`.

    delegated_share: as the session measured it.
    """
    runtime, runtime_version = runtime_of(kernel)
    return ParityKey(
        model_sha256=file_sha256(model),
        runtime=runtime,
        runtime_version=runtime_version,
        kernel=kernel,
        delegate=delegate_of(kernel),
        device=device_name(),
        threads=threads,
        delegated_share=delegated_share,
    )


def device_name(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Name and architecture of this machine's processor ("AMD EPYC 7B13, x86_64")."""
    name = platform.processor()
    if cpu_info.is_file():
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        name = next(names, name)
    machine = platform.machine()
    return machine if name in ("", machine) else f"{name}, {machine}"
