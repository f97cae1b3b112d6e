"""Which step of a net departs from the one before it, and what explains that best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirrorset.errors import InputError
from parity.forensics.graph import Graph, Int8Weights
from parity.forensics.inputs import fitted, guesses, swapped_channels
from parity.forensics.outputs import FITTED, Explained, PointsAs, seen_in, told_of
from parity.forensics.ranges import range_fault
from parity.forensics.records import Cause, Deviation, Finding, Part
from parity.forensics.spread import Floats, Named, explained, spread_of
from parity.forensics.steps import Look, NetReplay, Said
from parity.kernels import KERNELS, Kernel
from parity.rules.points import ImagePoints
from parity.runtimes.opening import open_session

# Guesses are tried on as many images, those that are farthest out.
_TRIED = 4
# A guess that explains less of a deviation is none.
_ENOUGH = 0.9
# Nor one that fits mean and scale, which go some way with any other fault.
_FIT_ENOUGH = 0.97
# Two faults are named where one is not as good as right, and they leave so much less open.
_CLOSE, _LEAVES = 0.999, 0.1
_OWN_WAY = "its weights are int8, and every kernel quantises activations its own way"
_CUT_ELSEWHERE = "it was cut at another place than the stage before says"
# Kernels elsewhere quantise activations their own way, but about as finely as those here.
_KERNELS_APART = 3.0
# Guesses this close explain alike.
_ALIKE = 0.003


@dataclass(frozen=True)
class Files:
    """Model files: the chain's, and the run's where it is at hand."""

    reference: Path
    own: Path | None = None


class NetInquiry:
    """What happened to one net of a run. files: None where there are none to look into."""

    def __init__(self, replay: NetReplay, files: Files | None) -> None:
        self._replay, self._files = replay, files
        self._stage = replay.pack.chain.nets[replay.net]
        self._ids = replay.run.record.image_ids
        self._unlike: list[int] = []
        # By output, of each row that the net looked at: how far each step leads.
        self._steps: dict[str, dict[int, dict[str, float]]] = {
            output: {} for output in self._stage.outputs
        }
        # By output and row: what the kernels may add.
        self._rounding: dict[str, dict[int, float]] = {output: {} for output in self._stage.outputs}
        for row in range(len(self._ids)):
            look = replay.look(row)
            if (look is not None) != replay.has_looked(row):
                self._unlike.append(row)
            elif look is not None:
                said = replay.said(look)
                for output, steps in self._steps.items():
                    steps[row] = said.steps(output)
                    self._rounding[output][row] = said.rounding(output)

    @property
    def reference_kernel(self) -> Kernel:
        """What the sealed outputs were made with."""
        return self._stage.reference_kernel

    def deviations(self) -> Iterator[Deviation]:
        """Of every output."""
        for output, steps in self._steps.items():
            farthest = {"whole": 0.0}
            for one in steps.values():
                for part, value in one.items():
                    farthest[part] = max(farthest.get(part, 0.0), value)
            tolerance = self._tolerance(output)
            count = sum(one["whole"] > tolerance for one in steps.values())
            yield Deviation(
                name=f"{self._replay.net}/{output}", tolerance=tolerance, count=count, **farthest
            )

    def times_tolerance(self) -> Iterator[tuple[str, str, float]]:
        """Image, "net/output" and how far it is out, of every output of every image."""
        for output, steps in self._steps.items():
            unit = self._unit(output)
            for row, one in steps.items():
                yield self._ids[row], f"{self._replay.net}/{output}", one["whole"] / unit

    def farthest(self) -> Look | None:
        """The row on which the file or what computes it leads farthest; None where nothing does."""
        rows = {**self._beyond("kernel"), **self._beyond("model")}
        row = max(rows, key=lambda each: rows[each], default=None)
        return None if row is None else self._replay.look(row)

    def findings(self) -> Iterator[Finding]:
        """What departs, from the input on."""
        if self._unlike:
            detail = "it looked where there is nothing to see, or not where there is something"
            yield self._finding(("preprocessing",), "crop", detail, self._unlike)
        if rows := list(self._beyond("preprocessing")):
            yield from self._of_input(rows)
        if rows := list(self._beyond("model")):
            yield from self._of_model(rows)
        yield from self._of_outputs()

    # --- the input --------------------------------------------------------------------------------

    def _of_input(self, rows: Sequence[int]) -> Iterator[Finding]:
        """By the tensors that the net got. rows: farthest first."""
        looks = [look for look, _ in self._again(rows)]
        found = np.stack([np.asarray(look.given, np.float64) for look in looks])
        expected = np.stack([np.asarray(look.expected, np.float64) for look in looks])
        parts: tuple[Part, ...] = ("preprocessing",)
        if not np.isfinite(found).all():
            yield self._finding(parts, "not_a_number", "the input holds what is no number", rows)
            return
        if said := seen_in(found):
            yield self._finding(parts, said.cause, f"of the input, {said.detail}", rows)
            return
        tried = [
            Explained(
                guess.cause,
                guess.detail,
                explained(found, expected, np.stack([look.as_if(guess) for look in looks])),
            )
            for guess in guesses(self._stage.input)
        ]
        if all(look.placed is not None for look in looks):
            cut = np.stack([look.as_placed(self._stage.input) for look in looks])
            tried.append(Explained("crop", _CUT_ELSEWHERE, explained(found, expected, cut)))
        detail, share = fitted(self._stage.input, found, expected)
        tried.append(Explained("mean_or_scale", detail, share))
        likeliest = _likeliest(tried)
        both = self._swapped_and_fitted(looks, found, expected)
        is_both = all(map(_is_told, both)) and likeliest.share < _CLOSE
        if is_both and 1 - both[0].share < _LEAVES * (1 - likeliest.share):
            for one in both:
                yield self._explained(parts, one, rows)
            return
        yield self._explained(parts, likeliest, rows)

    def _swapped_and_fitted(
        self, looks: Sequence[Look], found: Floats, expected: Floats
    ) -> tuple[Explained, Explained]:
        """Swapped channels, and mean and scale; the share of each is that of both together."""
        swap = swapped_channels(self._stage.input)
        swapped = np.stack([np.asarray(look.as_if(swap), np.float64) for look in looks])
        detail, fit = fitted(self._stage.input, found, swapped)
        share = 1 - (1 - fit) * (1 - explained(found, expected, swapped))
        return (
            Explained(swap.cause, swap.detail, share),
            Explained("mean_or_scale", detail, share),
        )

    def _through_net(self, rows: Sequence[int]) -> Explained:
        """Where inputs were not kept: guesses go through the net, and outputs are held together."""
        session = self._replay.own or self._replay.reference
        again = self._again(rows)
        found = self._flat([said.recorded for _, said in again])
        expected = self._flat([said.before_kernel for _, said in again])
        tried = []
        for guess in guesses(self._stage.input):
            asked = [self._replay.ask(session, look.as_if(guess)) for look, _ in again]
            share = explained(found, expected, self._flat(asked))
            tried.append(Explained(guess.cause, guess.detail, share))
        if all(look.placed is not None for look, _ in again):
            asked = [
                self._replay.ask(session, look.as_placed(self._stage.input)) for look, _ in again
            ]
            share = explained(found, expected, self._flat(asked))
            tried.append(Explained("crop", _CUT_ELSEWHERE, share))
        return _likeliest(tried)

    # --- the model --------------------------------------------------------------------------------

    def _of_model(self, rows: Sequence[int]) -> Iterator[Finding]:
        """The run's file says something else than the reference's, on the same kernels."""
        named = self._of_ranges(rows)
        if named is not None:
            yield self._finding(("model",), *named, rows)
            return
        weights = self._int8_weights()
        rounded: set[int] = set()
        for output in self._stage.outputs:
            beyond = self._farthest_first(output, "model")
            if not beyond:
                continue
            said = [one for _, one in self._again(beyond)]
            found = [one.before_kernel for one in said]
            expected = [one.given for one in said]
            finding = self._of_output(("model",), output, found, expected, beyond)
            if weights is not None and finding.cause == "unexplained":
                rounded.update(beyond)
            else:
                yield finding
        if weights is not None and rounded:
            count = f"{weights.count} of {weights.operation_count} operations"
            detail = f"its weights are int8, {count}"
            ordered = [row for row in rows if row in rounded]
            yield self._finding(("model",), "quantisation", detail, ordered)

    def _int8_weights(self) -> Int8Weights | None:
        """Of the run's file; None where it has none, where the reference's has them too, or where
        it is not at hand."""
        if self._files is None or self._files.own is None:
            return None
        try:
            own, reference = (
                Graph(file, self._stage.reference_kernel).int8_weights()
                for file in (self._files.own, self._files.reference)
            )
        except InputError:  # no .tflite
            return None
        return own if reference is None else None

    def _of_ranges(self, rows: Sequence[int]) -> tuple[Cause, str] | None:
        """What a quantised file's ranges say; None of another file."""
        if self._files is None or self._files.own is None:
            return None
        try:
            float_graph = Graph(self._files.reference, self._stage.reference_kernel)
            quantised = Graph(self._files.own, self._stage.reference_kernel)
            if not quantised.ranges():
                return None
            given = [look.given[None] for look, _ in self._again(rows)]
            fault = range_fault(float_graph, quantised, given)
        except InputError:  # no .tflite, or not for these kernels
            return None
        if fault is None:
            return "quantisation", "it is quantised, and its ranges hold what images bring"
        return "calibration", fault.detail

    # --- what computes it -------------------------------------------------------------------------

    def _of_outputs(self) -> Iterator[Finding]:
        """What was recorded is not what the file gives on the reference kernels."""
        parts: tuple[Part, ...] = ("kernel",) if self._replay.own else ("model", "kernel")
        left: dict[str, list[int]] = {}
        for output in self._stage.outputs:
            rows = self._farthest_first(output, "kernel")
            recorded = self._replay.run.outputs[self._replay.net][output]
            broken = [row for row in rows if not np.isfinite(recorded[row]).all()]
            if broken:
                detail = "what it says is no number where the input is"
                yield self._finding(parts, "not_a_number", detail, broken, output)
            if whole := [row for row in rows if row not in broken]:
                left[output] = whole
        if not left:
            return
        found = {output: self._explain(output, rows) for output, rows in left.items()}
        is_kept = self._replay.net in self._replay.run.inputs
        # What was fed the pack's tensors was not preprocessed: only kept ones can say otherwise.
        is_input_sure = is_kept or self._replay.run.record.fed == "tensors"
        doubted = () if is_input_sure else FITTED
        if all(one.share >= _ENOUGH and one.cause not in doubted for one in found.values()):
            for output, one in found.items():
                yield self._explained(parts, one, left[output], output)
            return
        # What the outputs themselves do not tell is about the net as a whole.
        rows = max(left.values(), key=len)
        if not is_input_sure:
            guess = self._through_net(rows)
            if _is_told(guess):
                yield self._explained(("preprocessing",), guess, rows)
                return
            parts = ("preprocessing", *parts)
        half = self._half_precision(rows)
        if half.share >= _ENOUGH:
            yield self._explained(("kernel",), half, rows)
            return
        if self._is_of_kernels(rows):
            told = {output: one for output, one in found.items() if one.share >= _ENOUGH}
            rounded = {row for output in left.keys() - told for row in left[output]}
            if rounded:
                ordered = [row for row in self._beyond("kernel") if row in rounded]
                yield self._finding(("kernel",), "quantisation", _OWN_WAY, ordered)
            found = told
        for output, one in found.items():
            is_told = one.share >= _ENOUGH
            own = tuple(part for part in parts if not is_told or part != "preprocessing")
            yield self._explained(own, one, left[output], output)

    def _explain(self, output: str, rows: Sequence[int]) -> Explained:
        recorded = self._replay.run.outputs[self._replay.net][output][list(rows)]
        seen = seen_in(np.asarray(recorded, np.float64))
        again = [said for _, said in self._again(rows)]
        found = np.stack([np.asarray(said.recorded[output], np.float64) for said in again])
        expected = self._stacked([said.before_kernel for said in again])
        return told_of(seen, output, found, expected, self._points_of(output))

    def _half_precision(self, rows: Sequence[int]) -> Explained:
        """How much of the deviation the run's file shows when it is computed in half precision."""
        share = 0.0
        again = self._again(rows)
        asked = self._on_kernel("xnnpack_fp16", again)
        if asked is not None:
            share = explained(
                self._flat([said.recorded for _, said in again]),
                self._flat([said.before_kernel for _, said in again]),
                asked,
            )
        return Explained("half_precision", "it is computed in half precision", share)

    def _on_kernel(self, kernel: Kernel, again: Sequence[tuple[Look, Said]]) -> Floats | None:
        """What the run's file says there of what was given, flat; None where it cannot be asked."""
        if self._files is None or self._files.own is None:
            return None
        try:
            session = open_session(self._files.own, kernel, 1)
            return self._flat([self._replay.ask(session, look.given) for look, _ in again])
        except InputError:  # not for these kernels
            return None

    def _is_of_kernels(self, rows: Sequence[int]) -> bool:
        """Whether the file leaves it to the kernels to quantise activations, and what was recorded
        is not much farther out than those here are from each other."""
        weights = self._int8_weights()
        if weights is None or not weights.is_hybrid or self._replay.own is None:
            return False
        again = self._again(rows)
        before = self._flat([said.before_kernel for _, said in again])
        recorded = self._flat([said.recorded for _, said in again])
        others = (kernel for kernel in KERNELS if kernel != self._stage.reference_kernel)
        asked = [self._on_kernel(kernel, again) for kernel in others]
        apart = max((_rms_apart(one, before) for one in asked if one is not None), default=0.0)
        return _rms_apart(recorded, before) <= _KERNELS_APART * apart

    # --- findings ---------------------------------------------------------------------------------

    def _of_output(
        self,
        parts: tuple[Part, ...],
        output: str,
        found: Sequence[Named],
        expected: Sequence[Named],
        rows: Sequence[int],
    ) -> Finding:
        said = np.stack([np.asarray(one[output], np.float64) for one in found])
        if not np.isfinite(said).all():
            return self._finding(parts, "not_a_number", "what it says is no number", rows, output)
        points = self._points_of(output)
        guess = told_of(seen_in(said), output, said, self._stacked(expected), points)
        return self._explained(parts, guess, rows, output)

    def _explained(
        self, parts: tuple[Part, ...], one: Explained, rows: Sequence[int], output: str = ""
    ) -> Finding:
        share = max(one.share, 0.0)
        if _is_told(one):
            return self._finding(parts, one.cause, one.detail, rows, output, share)
        detail = "nothing that was tried explains it"
        if share > 0:
            detail += f"; closest is that {one.detail}"
        return self._finding(parts, "unexplained", detail, rows, output, share)

    def _finding(
        self,
        parts: tuple[Part, ...],
        cause: Cause,
        detail: str,
        rows: Sequence[int],
        output: str = "",
        share: float | None = None,
    ) -> Finding:
        return Finding(
            stages=(self._replay.net,),
            parts=parts,
            cause=cause,
            detail=detail,
            output=f"{self._replay.net}/{output}" if output else None,
            explained=share,
            count=len(rows),
            image_ids=tuple(self._ids[row] for row in rows),
        )

    # --- rows and units ---------------------------------------------------------------------------

    def _again(self, rows: Sequence[int]) -> list[tuple[Look, Said]]:
        """What was seen and said of the first of `rows`."""
        looks = [look for row in rows[:_TRIED] if (look := self._replay.look(row))]
        return [(look, self._replay.said(look)) for look in looks]

    def _beyond(self, part: Part) -> dict[int, float]:
        """Rows where a part adds more than an output's tolerance, farthest first, and how far."""
        times: dict[int, float] = {}
        for output in self._stage.outputs:
            for row in self._farthest_first(output, part):
                far = self._steps[output][row][part] / self._unit(output)
                times[row] = max(times.get(row, 0.0), far)
        return dict(sorted(times.items(), key=lambda each: -each[1]))

    def _farthest_first(self, output: str, part: Part) -> list[int]:
        """Rows where a part adds more than the output's tolerance, the kernel more than it rounds
        by."""
        tolerance = self._tolerance(output)
        rounding = self._rounding[output] if part == "kernel" else {}
        added = {row: one.get(part, 0.0) for row, one in self._steps[output].items()}
        rows = [
            row for row, value in added.items() if value > max(tolerance, rounding.get(row, 0.0))
        ]
        return sorted(rows, key=lambda row: -added[row])

    def _flat(self, outputs: Sequence[Named]) -> Floats:
        """All outputs of each item as one row (n, …), each in its unit."""
        units = {output: self._unit(output) for output in self._stage.outputs}
        return np.stack(
            [
                np.concatenate([np.ravel(one[name]) / unit for name, unit in units.items()])
                for one in outputs
            ]
        )

    def _stacked(self, outputs: Sequence[Named]) -> dict[str, Floats]:
        return {
            name: np.stack([np.asarray(one[name], np.float64) for one in outputs])
            for name in self._stage.outputs
        }

    def _points_of(self, output: str) -> PointsAs | None:
        """How an output holds points, by the rule that reads them from it."""
        for rule in self._replay.pack.chain.rules.values():
            if isinstance(rule, ImagePoints) and (rule.of[0], rule.output) == (
                self._replay.net,
                output,
            ):
                side = self._stage.input.width_px / (rule.side_px if rule.unit == "share" else 1)
                return PointsAs(rule.count, rule.values, side)
        return None

    def _tolerance(self, output: str) -> float:
        return self._stage.tolerances.get(output, 0.0)

    def _unit(self, output: str) -> float:
        """The tolerance, or without one the spread of the reference's values."""
        sealed = self._replay.pack.reference_outputs[self._replay.net][output]
        return self._tolerance(output) or spread_of(sealed)


def _rms_apart(ours: Floats, theirs: Floats) -> float:
    """Root mean square of the difference; no number where one of them holds what is none."""
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(((np.float64(ours) - theirs) ** 2).mean()))


def _is_told(one: Explained) -> bool:
    return one.share >= (_FIT_ENOUGH if one.cause == "mean_or_scale" else _ENOUGH)


def _likeliest(tried: Sequence[Explained]) -> Explained:
    """What explains most; of those that explain alike, the one that was tried first."""
    most = max(each.share for each in tried)
    return next(each for each in tried if each.share >= most - _ALIKE)
