"""Both models on the pack, and their comparison: slices and intervals included, no gates.

    python parity_ours.py PACK REFERENCE CANDIDATE SCRATCH [--untimed]

imports, reading (the pack's files with their checksums, and the runs' arrays), trial (each file is
run once in a process of its own, which spends its time on imports: a damaged file must not take
this one down) and intervals (whatever of mirrorset.metrics gives one) are phases of their own.
inference is the stage of a run
that looks at the items, rules and the writing of rows included, from its first item to its last.
"""

import sys

from parity_clock import now, report

began = now()
from collections.abc import Callable  # noqa: E402
from functools import wraps  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import mirrorset.metrics  # noqa: E402
import parity.host  # noqa: E402
import parity.run  # noqa: E402
from parity.compare import compare  # noqa: E402
from parity.pack import Pack, open_pack  # noqa: E402
from parity.run import RunResult  # noqa: E402

imported = now()


class Stopwatch:
    """Time spent inside functions, those that they call included once."""

    def __init__(self) -> None:
        self.elapsed = 0j
        self._depth = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = now()
            self._depth += 1
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.elapsed += now() - started

        return timed


def watch(stopwatch: Stopwatch, functions: list[Callable[..., Any]]) -> None:
    """Time these functions wherever a module of ours has them by name."""
    for module in list(sys.modules.values()):
        if module.__name__.split(".")[0] in ("parity", "mirrorset"):
            for name, value in list(vars(module).items()):
                if any(value is function for function in functions):
                    setattr(module, name, stopwatch.around(value))


class Passage:
    """When items were done."""

    def __init__(self) -> None:
        self._at: list[complex] = []

    def __call__(self) -> None:
        self._at.append(now())

    @property
    def elapsed(self) -> complex:
        """Of all items: what one took between the first and the last, times their count."""
        return (self._at[-1] - self._at[0]) * len(self._at) / (len(self._at) - 1)


def main(folder: str, reference: str, candidate: str, scratch: str, is_timed: bool) -> None:
    """Print the phases."""
    intervals, reading, trial = Stopwatch(), Stopwatch(), Stopwatch()
    named = [value for name, value in vars(mirrorset.metrics).items() if "interval" in name]
    watch(intervals, [value for value in named if callable(value)])
    watch(reading, [parity.run._read])
    watch(trial, [parity.host.probe])
    started = now()
    pack = open_pack(Path(folder))
    read = now()
    passages = [Passage(), Passage()]
    runs = [
        _ran(pack, Path(model), Path(scratch) / str(number), passages[number], is_timed)
        for number, model in enumerate((reference, candidate))
    ]
    ran = now()
    comparison = compare(pack, runs[0], runs[1], ())
    compared = now()
    phases = {
        "imports": imported - began,
        "reading": read - started + reading.elapsed,
        "trial": trial.elapsed,
        "run": ran - read - reading.elapsed - trial.elapsed,
        "inference": passages[0].elapsed + passages[1].elapsed,
        "compare": compared - ran - intervals.elapsed,
        "intervals": intervals.elapsed,
    }
    report(phases, comparison.count)


def _ran(pack: Pack, model: Path, out: Path, passage: Passage, is_timed: bool) -> RunResult:
    (net,) = pack.chain.nets
    return parity.run.run(pack, {net: model}, "xnnpack", 1, out, is_timed=is_timed, on_item=passage)


if __name__ == "__main__":
    main(*sys.argv[1:5], is_timed=sys.argv[5:] != ["--untimed"])
