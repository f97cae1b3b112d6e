"""A chain in LiteRT on this machine: an engine with its nets loaded, and the keys of what runs."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from mirrorset.records import ParityKey
from parity.chain import Chain
from parity.engine import Engine
from parity.kernels import Kernel, Session
from parity.seals import file_sha256


def open_engine(
    chain: Chain, files: Mapping[str, Path], kernel: Kernel, threads: int
) -> tuple[Engine, dict[str, ParityKey]]:
    """The chain with `files`, a .tflite for each net, on one kernel; and each net's key.

    kernel: "reference" stands for each net's reference_kernel.
    Raises InputError where a file cannot run or does not fit the chain, SettingsError for an
    unknown kernel or fewer than one thread.
    """
    kernels = {
        name: net.reference_kernel if kernel == "reference" else kernel
        for name, net in chain.nets.items()
    }
    sessions = {name: Session(files[name], kernels[name], threads) for name in chain.nets}
    keys = {
        name: ParityKey(
            model_sha256=file_sha256(files[name]),
            runtime="LiteRT",
            runtime_version=version("ai-edge-litert"),
            kernel=kernels[name],
            delegate="XNNPACK" if kernels[name] == "xnnpack" else "none",
            device=device_name(),
            threads=threads,
            delegated_share=session.delegated_share,
        )
        for name, session in sessions.items()
    }
    return Engine(chain, sessions), keys


def device_name(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Name and architecture of this machine's processor ("AMD EPYC 7B13, x86_64")."""
    name = platform.processor()
    if cpu_info.is_file():
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        name = next(names, name)
    machine = platform.machine()
    return machine if name in ("", machine) else f"{name}, {machine}"
