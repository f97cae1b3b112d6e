"""Which times of a benchmark run are not to be believed, and why."""

from collections.abc import Iterator
from itertools import pairwise

from parity.logs.delegates import CPU
from parity.logs.records import BenchmarkRun, Doubt, Timings

# An accelerator's first inferences take longer, for it compiles; thrice the mean of all of them is
# what it takes when a tool stops its clock once the work is queued, until the queue is full.
_WARM_UP_RATIO = 3.0
# Starting work on another processor and hearing of its end takes longer than this.
SHORTEST_MS = 0.02
_ROUNDING_MS = 0.0101
_SOFTWARE = ("software", "swiftshader", "llvmpipe", "lavapipe", "subzero")


def doubts_of(run: BenchmarkRun) -> tuple[Doubt, ...]:
    """What speaks against the run's times, or is left open by its log; none for a failed run."""
    if run.failure:
        return ()
    return tuple(_doubts(run))


def _doubts(run: BenchmarkRun) -> Iterator[Doubt]:
    asked = run.delegation.delegate
    is_elsewhere = bool(asked) and asked != "XNNPACK" and run.delegation.runs_on != CPU
    mean_ms = run.inference.mean_ms if run.inference else None
    if is_elsewhere and mean_ms is not None:
        yield from _asynchronous(run, asked, mean_ms)
    if any(word in run.adapter.lower() for word in _SOFTWARE):
        yield Doubt(
            kind="software",
            detail=f"The GPU is a program on the CPU ({run.adapter.partition(',')[0]}): "
            "its times are no GPU's.",
        )
    if is_elsewhere and not run.delegation.runs_on:
        yield Doubt(
            kind="unproven",
            detail=f"{asked} was asked for and nothing says that it took a node: "
            "ingest what the tool printed too.",
        )
    for name, timings in (("timed", run.inference), ("warm-up", run.warm_up)):
        if timings is not None and (fault := _disorder(timings)):
            yield Doubt(kind="contradictory", detail=f"Of the {name} runs, {fault}.")
    if run.is_profiled:
        yield Doubt(kind="profiled", detail="Operations were profiled, which takes time itself.")


def _asynchronous(run: BenchmarkRun, asked: str, mean_ms: float) -> Iterator[Doubt]:
    warm_up_ms = run.warm_up.mean_ms if run.warm_up else None
    queued = "the clock seems to stop when the work is queued: time it until the output is read"
    if warm_up_ms is not None and mean_ms * _WARM_UP_RATIO < warm_up_ms:
        yield Doubt(
            kind="asynchronous",
            detail=f"{mean_ms:g} ms on {asked} are under a third of warm-up's {warm_up_ms:g} ms; "
            f"{queued}.",
        )
    elif mean_ms < SHORTEST_MS:
        yield Doubt(
            kind="asynchronous",
            detail=f"{mean_ms:g} ms on {asked} are less than starting it takes; {queued}.",
        )


def _disorder(timings: Timings) -> str:
    """The first two statistics that cannot both be true, or ""."""
    rising = [
        (name.removesuffix("_ms"), value)
        for name in ("min_ms", "p5_ms", "median_ms", "p95_ms", "max_ms")
        if (value := getattr(timings, name)) is not None
    ]
    around = [
        (timings.min_ms, "min", timings.mean_ms, "mean"),
        (timings.mean_ms, "mean", timings.max_ms, "max"),
    ]
    pairs = [(low, below, high, above) for (below, low), (above, high) in pairwise(rising)]
    for low, below, high, above in [*pairs, *around]:
        if low is not None and high is not None and low > high * 1.001 + _ROUNDING_MS:
            return f"{below} is {low:g} ms and {above} is {high:g} ms"
    return ""
