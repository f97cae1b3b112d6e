"""One model over many crops in LiteRT: outputs, times and the key of what ran."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from mirrorset.errors import InputError
from mirrorset.records import ParityKey
from parity.kernels import Kernel
from parity.keys import key_of
from parity.models import tensor
from parity.records import ModelSpec
from parity.runtimes.session import Session, open_session

Floats = NDArray[np.float32]

_WARM_UP_RUNS = 3


@dataclass(frozen=True)
class Inference:
    """What a model said of N crops: outputs by name, each (N, …) float32; ms of each; what ran."""

    outputs: dict[str, Floats]
    elapsed_ms: NDArray[np.float64]
    key: ParityKey


def infer(
    model: Path,
    crops: Sequence[NDArray[np.uint8]],
    spec: ModelSpec,
    kernel: Kernel,
    *,
    threads: int,
    at_once: int = 1,
    on_item: Callable[[], None] = lambda: None,
) -> Inference:
    """Run the .tflite file `model` on every crop of arrays (n, S, S, 3) uint8 RGB, N in all.

    at_once: crops in work at a time, each on `threads` of its own; their outputs are the same, the
    times are not. `on_item` is called after each crop. Times are of the inference alone, crop by
    crop, after warm-up. Raises InputError where the file cannot run or does not fit `spec`.
    """
    session = open_session(model, kernel, threads)
    _check_fit(session, spec, model)
    count = sum(map(len, crops))
    outputs = [np.empty((count, *output.shape[1:]), np.float32) for output in session.outputs]
    elapsed_ms = np.empty(count)
    free: SimpleQueue[Session] = SimpleQueue()
    for one in [session, *(open_session(model, kernel, threads) for _ in range(at_once - 1))]:
        for crop in islice(chain.from_iterable(crops), 1):
            for _ in range(_WARM_UP_RUNS):
                one.infer([tensor(crop, spec)])
        free.put(one)

    def run(index: int, crop: NDArray[np.uint8]) -> None:
        values, own = tensor(crop, spec), free.get()
        try:
            started_s = time.perf_counter()
            answers = own.infer([values])
            elapsed_ms[index] = (time.perf_counter() - started_s) * 1000
            for output, answer in zip(outputs, answers, strict=True):
                output[index] = answer[0]
        finally:
            free.put(own)

    # The kernels run outside of Python's lock.
    with ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(run, range(count), chain.from_iterable(crops)):
            on_item()
    return Inference(
        outputs=dict(zip(spec.outputs, outputs, strict=True)),
        elapsed_ms=elapsed_ms,
        key=key_of(model, kernel, threads, session.delegated_share),
    )


def _check_fit(session: Session, spec: ModelSpec, model: Path) -> None:
    """Raise InputError where the model's input or outputs are not those of `spec`."""
    wanted = (1, spec.input_px, spec.input_px, 3)
    advice = f"give the spec of this model, not {spec.name}'s."
    taken = [each.shape for each in session.inputs]
    if taken != [wanted]:
        raise InputError(f"{model} takes {', '.join(map(str, taken))}, not {wanted}: {advice}")
    if len(session.outputs) != len(spec.outputs):
        raise InputError(
            f"{model} has {len(session.outputs)} outputs, not {len(spec.outputs)}: {advice}"
        )
    found = int(np.prod(session.outputs[spec.outputs.index(spec.points_output)].shape))
    if found != spec.point_count * spec.point_values:
        raise InputError(
            f"{model} gives {found} values as {spec.points_output}, "
            f"not {spec.point_count} × {spec.point_values}: {advice}"
        )
