"""Whether a device works out its rules as the chain does, from what it kept."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.forensics.outputs import best_guess, seen_in
from parity.forensics.records import Cause, Deviation, Finding
from parity.forensics.spread import apart
from parity.forensics.worst import times_tolerance
from parity.pack import Pack
from parity.replay import best_seen, replayed
from parity.rules.rule import Seen
from parity.run import RunResult

_ENOUGH = 0.9


class RuleInquiry:
    """All rules of a run, replayed.

    run: complete (`parity.replay.completed`), its rows those of `indices` in the pack. Rules that
    were worked out here add nothing of their own.
    """

    def __init__(self, pack: Pack, run: RunResult, indices: list[int]) -> None:
        self._pack, self._run, self._indices = pack, run, indices
        self._rules = {name: rule for name, rule in pack.chain.rules.items() if name in run.rules}
        best = best_seen(pack, run)
        self._own = {name: np.copy(run.rules[name]) for name in self._rules}
        for row, index in enumerate(indices):
            picture = pack.picture(pack.items[index])
            stages = replayed(pack.chain, run, row, picture, best)
            seen = Seen(lambda picture=picture: picture.rgb, stages)  # type: ignore[misc]
            for name, rule in self._rules.items():
                self._own[name][row] = rule(seen, best or seen)

    def deviation(self, name: str) -> Deviation | None:
        """Of a rule; None where the run does not tell it."""
        if name not in self._rules:
            return None
        sealed = self._pack.rule_values[name][self._indices]
        whole = self._apart(name, sealed)
        before = map(apart, self._own[name], sealed)
        tolerance = self._rules[name].tolerance
        return Deviation(
            name=name,
            tolerance=tolerance,
            count=sum(each > tolerance for each in whole),
            whole=max(whole, default=0.0),
            before=max(before, default=0.0),
            rule=max(self._apart(name, self._own[name]), default=0.0),
        )

    def times_tolerance(self) -> Iterator[tuple[str, str, float]]:
        """Image, rule and how far it is out, of every rule of every image."""
        for name, rule in self._rules.items():
            sealed = self._pack.rule_values[name][self._indices]
            for row, times in times_tolerance(rule, self._run.rules[name], sealed):
                yield self._run.record.image_ids[row], name, times

    def finding(self, name: str) -> Finding | None:
        """What a rule itself adds."""
        if name not in self._rules:
            return None
        far = np.array(self._apart(name, self._own[name]))
        rows = [int(row) for row in np.argsort(-far, kind="stable")]
        rows = [row for row in rows if far[row] > self._rules[name].tolerance]
        if not rows:
            return None
        cause, detail, share = self._cause(name, rows)
        return Finding(
            stages=(name,),
            parts=("rule",),
            cause=cause,
            detail=detail,
            explained=share,
            count=len(rows),
            image_ids=tuple(self._run.record.image_ids[row] for row in rows),
        )

    def _cause(self, name: str, rows: list[int]) -> tuple[Cause, str, float | None]:
        found = np.asarray(self._run.rules[name][rows], np.float64)
        own = np.asarray(self._own[name][rows], np.float64)
        if (~np.isfinite(found) & np.isfinite(own)).any():
            return "not_a_number", "its value is none where it can be told", None
        if not np.isfinite(own).all():
            return "unexplained", "it has a value where there is none to tell", None
        guess = seen_in(found)
        if guess is None and found.ndim > 1:
            guess = best_guess(name, found, {name: own})
        if guess is None or guess.share < _ENOUGH:
            return (
                "unexplained",
                "nothing that was tried explains it",
                guess.share if guess else None,
            )
        return guess.cause, guess.detail, guess.share

    def _apart(self, name: str, theirs: NDArray[Any]) -> list[float]:
        return list(map(apart, self._run.rules[name], theirs))
