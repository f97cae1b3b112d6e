"""A run: one model, one kernel, one pack → outputs and the key of what ran where.

run.json   RunRecord
NAME.npy   (N, …) float32: each output, row by row as in the pack
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mirrorset.errors import InputError, IntegrityError
from mirrorset.files import folder_written_aside, write_text
from mirrorset.records import ParityKey
from parity.kernels import Kernel
from parity.litert import infer
from parity.pack import Pack, file_sha256
from parity.records import Latency, RunRecord


@dataclass(frozen=True)
class RunResult:
    """What a model said of a pack: outputs by name, each (N, …) float32; None where not timed."""

    pack_digest: str
    key: ParityKey
    latency: Latency | None
    outputs: dict[str, NDArray[np.float32]]


def run(
    pack: Pack,
    model: Path,
    kernel: Kernel,
    threads: int,
    out: Path,
    *,
    on_item: Callable[[], None] = lambda: None,
) -> RunResult:
    """Run the .tflite file `model` on `pack` and keep the result as the folder `out`.

    The model must take and give what the pack's spec says. `on_item` is called once per face.
    Raises InputError where it does not, where the pack holds no face, or where `out` is a folder
    that is no run; SettingsError for an unknown kernel or fewer than one thread.
    """
    pack.require_faces()
    if out.exists() and not (out / "run.json").is_file():
        raise InputError(f"{out} exists and is no run: choose another folder for the run.")
    result = infer(model, pack.crops, pack.record.spec, kernel, threads=threads, on_item=on_item)
    latency = Latency(
        median_ms=round(float(np.median(result.elapsed_ms)), 3),
        mean_ms=round(float(result.elapsed_ms.mean()), 3),
        p95_ms=round(float(np.quantile(result.elapsed_ms, 0.95)), 3),
    )
    with folder_written_aside(out) as aside:
        for name, values in result.outputs.items():
            np.save(aside / f"{name}.npy", values)
        record = RunRecord(
            pack_digest=pack.record.digest,
            release=pack.record.release,
            version=pack.record.version,
            model_file=model.name,
            key=result.key,
            latency=latency,
            outputs={name: file_sha256(aside / f"{name}.npy") for name in result.outputs},
        )
        write_text(aside / "run.json", record.model_dump_json(indent=2) + "\n")
    return RunResult(pack.record.digest, result.key, latency, result.outputs)


def open_run(path: Path) -> RunResult:
    """The run kept at `path`.

    Raises InputError where it is no run, IntegrityError naming the file that has changed.
    """
    try:
        record = RunRecord.model_validate_json((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no run of this version: make one with `mirrorset parity run`."
        ) from None
    for name, sha256 in record.outputs.items():
        file = path / f"{name}.npy"
        if not file.is_file() or file_sha256(file) != sha256:
            raise IntegrityError(f"{file} is missing or was changed: run the model again.")
    outputs = {name: np.asarray(np.load(path / f"{name}.npy")) for name in record.outputs}
    return RunResult(record.pack_digest, record.key, record.latency, outputs)


def reference_of(pack: Pack) -> RunResult:
    """The reference kernels' run that is sealed into the pack; it was not timed."""
    return RunResult(pack.record.digest, pack.record.reference_key, None, pack.reference_outputs)
