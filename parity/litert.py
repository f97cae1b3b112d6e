"""A chain on this machine: an engine with its nets loaded, and the keys of what runs."""

from collections.abc import Mapping
from pathlib import Path

from mirrorset.records import ParityKey
from parity.chain import Chain
from parity.engine import Engine
from parity.kernels import Kernel
from parity.keys import key_of
from parity.runtimes.opening import open_session


def open_engine(
    chain: Chain, files: Mapping[str, Path], kernel: Kernel, threads: int
) -> tuple[Engine, dict[str, ParityKey]]:
    """The chain with `files`, a model file for each net, on one kernel; and each net's key.

    kernel: "reference" stands for each net's reference_kernel.
    Raises NotRunnableError where a file cannot run, InputError where one is not there or does not
    fit the chain, SettingsError for an unknown kernel or fewer than one thread.
    """
    kernels = {
        name: net.reference_kernel if kernel == "reference" else kernel
        for name, net in chain.nets.items()
    }
    sessions = {name: open_session(files[name], kernels[name], threads) for name in chain.nets}
    keys = {
        name: key_of(files[name], kernels[name], threads, session.delegated_share)
        for name, session in sessions.items()
    }
    return Engine(chain, sessions), keys
