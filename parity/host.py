"""A chain on this machine: an engine with its nets loaded, and the keys of what runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faces.registry import load_registry
from mirrorset.errors import NotRunnableError
from mirrorset.records import ParityKey
from parity.chain import Chain
from parity.engine import Engine
from parity.kernels import Kernel
from parity.keys import key_of
from parity.records import Fed, NotRunnable
from parity.runtimes.opening import open_session
from parity.runtimes.probe import probe
from parity.runtimes.session import Session
from parity.seals import file_sha256


@dataclass(frozen=True)
class Opened:
    """engine: with the nets that run, and what follows from them. keys: of these. not_runnable: the
    others.
    """

    engine: Engine
    keys: dict[str, ParityKey]
    not_runnable: dict[str, NotRunnable]


def open_engine(
    chain: Chain, files: Mapping[str, Path], kernel: Kernel, threads: int
) -> tuple[Engine, dict[str, ParityKey]]:
    """The chain with `files`, a model file for each net, on one kernel; and each net's key.

    kernel: "reference" stands for each net's reference_kernel.
    Raises NotRunnableError where a file cannot run, InputError where one is not there or does not
    fit the chain, SettingsError for an unknown kernel or fewer than one thread.
    """
    kernels = _kernels(chain, kernel)
    sessions = {name: open_session(files[name], kernels[name], threads) for name in chain.nets}
    return Engine(chain, sessions), _keys(sessions, files, kernels, threads)


def open_what_runs(
    chain: Chain, files: Mapping[str, Path], kernel: Kernel, threads: int, fed: Fed
) -> Opened:
    """The same with the nets that run, and those that do not: that is a finding.

    A file that is not a registered one is tried in a process of its own first. fed: where nets are
    fed, one runs without those before it. Raises InputError and SettingsError as `open_engine`.
    """
    kernels = _kernels(chain, kernel)
    registered = {model.sha256 for model in load_registry().values()}
    sessions: dict[str, Session] = {}
    not_runnable: dict[str, NotRunnable] = {}
    for name in chain.nets:
        file, own = files[name], kernels[name]
        fault = None
        if not file.is_file() or file_sha256(file) not in registered:
            fault = probe(file, own, threads)
        if fault is None:
            try:
                sessions[name] = open_session(file, own, threads)
                continue
            except NotRunnableError as error:
                key = key_of(file, own, threads, delegated_share=None)
                fault = NotRunnable(model_file=file.name, key=key, reason=error.reason)
        not_runnable[name] = fault
    part = chain.without(not_runnable, is_fed=fed == "tensors")
    kept = {name: sessions[name] for name in part.nets}
    return Opened(Engine(part, kept), _keys(kept, files, kernels, threads), not_runnable)


def _kernels(chain: Chain, kernel: Kernel) -> dict[str, Kernel]:
    return {
        name: net.reference_kernel if kernel == "reference" else kernel
        for name, net in chain.nets.items()
    }


def _keys(
    sessions: Mapping[str, Session],
    files: Mapping[str, Path],
    kernels: Mapping[str, Kernel],
    threads: int,
) -> dict[str, ParityKey]:
    return {
        name: key_of(files[name], kernels[name], threads, session.delegated_share)
        for name, session in sessions.items()
    }
