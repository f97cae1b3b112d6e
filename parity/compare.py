"""Two runs on one pack, side by side: outputs, landmarks, labels, slices, time, gates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from faces.slices import SMALLEST_CELL
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.metrics import bootstrap_interval
from parity.gates import exactly, judge
from parity.pack import Pack
from parity.records import (
    Comparison,
    Estimate,
    Gate,
    NetComparison,
    PackItem,
    SliceRow,
    TensorDeviation,
)
from parity.replay import completed
from parity.rules.rule import NO_LABEL
from parity.run import RunResult

Floats = NDArray[np.float64]


def compare(
    pack: Pack, reference: RunResult, candidate: RunResult, gates: Iterable[Gate]
) -> Comparison:
    """What changes where `candidate` takes the place of `reference`, on the items and nets of both.

    Distances are in px of the image or shares of the labelled interocular distance. Intervals are
    95 % bootstrap over images; differences are paired by image. Raises InputError where the pack
    holds no face or calibrates, where a run is of another pack or lacks an output of a net that it
    holds, and where the two have no item or net in common.
    """
    pack.require_items()
    pack.require_purpose("test")
    both = _Both(pack, reference, candidate)
    # A broken model's infinities are judged, not warned of.
    with np.errstate(invalid="ignore", over="ignore"):
        tensors = tuple(
            _deviation(f"{net}/{output}", *both.outputs(net, output))
            for net in both.nets
            for output in pack.chain.nets[net].outputs
        )
        errors = _errors(both)
        rows = [_row("all", np.ones(len(both.items), dtype=bool), errors)]
        rows += [_row(name, chosen, errors) for name, chosen in _slices(both.items)]
    nets = tuple(
        NetComparison(
            net=net,
            reference=reference.record.nets[net].key,
            candidate=candidate.record.nets[net].key,
            reference_latency=reference.record.nets[net].latency,
            candidate_latency=candidate.record.nets[net].latency,
        )
        for net in both.nets
    )
    ratio = _latency_ratio(nets)
    return Comparison(
        release=pack.record.release,
        version=pack.record.version,
        pack_digest=pack.record.digest,
        chain=pack.chain.name,
        review_state=pack.record.review_state,
        count=len(both.items),
        nets=nets,
        not_runnable=candidate.record.not_runnable,
        tensors=tensors,
        slices=tuple(
            row if row.is_enough else SliceRow(slice=row.slice, count=row.count, is_enough=False)
            for row in rows
        ),
        latency_ratio=ratio,
        gates=judge(
            gates, rows, tensors, ratio, [f"{net}/{output}" for net, output in pack.chain.outputs]
        ),
    )


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write comparison.json, whole or not at all."""
    write_text(path, comparison.model_dump_json(indent=2) + "\n")


def read_comparison(path: Path) -> Comparison:
    """The comparison in `path`. Raises InputError where it is none."""
    try:
        return Comparison.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no comparison of this version: make one with `mirrorset parity compare`."
        ) from None


class _Both:
    """Two runs, row by row the same items: those that both hold, in the pack's order."""

    def __init__(self, pack: Pack, reference: RunResult, candidate: RunResult) -> None:
        self.pack = pack
        self._runs = tuple(completed(pack, run) for run in (reference, candidate))
        self._rows = []
        ids = [run.record.image_ids for run in self._runs]
        shared = set(ids[0]) & set(ids[1])
        self.items = [item for item in pack.items if item.image_id in shared]
        self.nets = [
            net for net in pack.chain.nets if all(net in run.outputs for run in self._runs)
        ]
        if not self.items or not (self.nets or candidate.record.not_runnable):
            raise InputError(
                f"The runs {reference.name} and {candidate.name} have no image or no net in "
                "common: run both on the same pack."
            )
        for run in self._runs:
            places = {image_id: row for row, image_id in enumerate(run.record.image_ids)}
            self._rows.append([places[item.image_id] for item in self.items])

    def outputs(self, net: str, output: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of the reference and of the candidate, (n, …) each, where both had something to see."""
        is_seen = self.has_seen(net)
        before, after = (
            run.outputs[net][output][rows][is_seen]
            for run, rows in zip(self._runs, self._rows, strict=True)
        )
        return before, after

    def values(self, rule: str | None) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """A rule's values likewise; None where one of the runs does not tell them."""
        if rule is None or not all(rule in run.rules for run in self._runs):
            return None
        before, after = (
            run.rules[rule][rows] for run, rows in zip(self._runs, self._rows, strict=True)
        )
        return before, after

    def has_seen(self, net: str) -> NDArray[np.bool_]:
        """Where both had something to look at, (N,)."""
        before, after = (
            np.isfinite(run.transforms[net][rows]).all(axis=(1, 2))
            if net in run.transforms
            else np.ones(len(rows), dtype=bool)
            for run, rows in zip(self._runs, self._rows, strict=True)
        )
        return np.asarray(before & after)


@dataclass(frozen=True)
class _Errors:
    """Per image, (N,) each, NaN where one of the runs found no face; see SliceRow. None where the
    chain gives no such value.
    """

    nme_to_reference: Floats | None = None
    displacement_px: Floats | None = None
    worst_displacement_px: Floats | None = None
    reference_nme: Floats | None = None
    candidate_nme: Floats | None = None
    nme_increase: Floats | None = None
    is_flipped: NDArray[np.bool_] | None = None


def _errors(both: _Both) -> _Errors:
    truth = both.pack.chain.truth
    present = both.values(truth.presence)
    flipped = None
    if present is not None:
        before, after = present
        flipped = (before != after) | (before == NO_LABEL) | (after == NO_LABEL)
    points = both.values(truth.points)
    if truth.points is None or points is None:
        return _Errors(is_flipped=flipped)
    (net,) = both.pack.chain.rules[truth.points].of
    is_seen = both.has_seen(net)
    interocular_px = np.array([item.interocular_px for item in both.items])
    labels = np.array([item.label_points for item in both.items])
    labelled = list(truth.label_points.values())

    def counted(values: Floats) -> Floats:
        """What is no number is infinitely far, but where there was nothing to look at."""
        return np.where(is_seen, np.where(np.isfinite(values), values, np.inf), np.nan)

    def nme_to_labels(found: Floats) -> Floats:
        distances = np.linalg.norm(found[:, labelled] - labels, axis=2)
        return np.asarray(distances.mean(axis=1) / interocular_px)

    displacement = np.linalg.norm(points[1] - points[0], axis=2)
    reference_nme, candidate_nme = map(nme_to_labels, points)
    return _Errors(
        nme_to_reference=counted(displacement.mean(axis=1) / interocular_px),
        displacement_px=counted(displacement.mean(axis=1)),
        worst_displacement_px=counted(displacement.max(axis=1)),
        reference_nme=counted(reference_nme),
        candidate_nme=counted(candidate_nme),
        nme_increase=counted(candidate_nme - reference_nme),
        is_flipped=flipped,
    )


def _slices(items: Sequence[PackItem]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Every cell of every axis, "axis=cell", with the images (N,) in it."""
    names = sorted({f"{axis}={cell}" for item in items for axis, cell in item.slices.items()})
    split = [name.partition("=") for name in names]
    return [
        (name, np.array([item.slices.get(axis) == cell for item in items]))
        for name, (axis, _, cell) in zip(names, split, strict=True)
    ]


def _latency_ratio(nets: Sequence[NetComparison]) -> float | None:
    before = [net.reference_latency for net in nets]
    after = [net.candidate_latency for net in nets]
    if None in before or None in after:
        return None
    if not nets:
        return None
    whole = sum(each.median_ms for each in before if each)
    return round(sum(each.median_ms for each in after if each) / whole, 4) if whole else None


def _row(name: str, chosen: NDArray[np.bool_], errors: _Errors) -> SliceRow:
    count = int(chosen.sum())
    flips = None if errors.is_flipped is None else float(errors.is_flipped[chosen].mean())
    worst = _seen(errors.worst_displacement_px, chosen)
    return SliceRow(
        slice=name,
        count=count,
        is_enough=count >= SMALLEST_CELL,
        nme_to_reference=_mean(_seen(errors.nme_to_reference, chosen)),
        displacement_px=_mean(_seen(errors.displacement_px, chosen)),
        worst_displacement_px=exactly(None if worst is None else float(worst.max())),
        reference_nme=_mean(_seen(errors.reference_nme, chosen)),
        candidate_nme=_mean(_seen(errors.candidate_nme, chosen)),
        nme_increase=_mean(_seen(errors.nme_increase, chosen)),
        presence_flip_share=exactly(flips),
    )


def _seen(values: Floats | None, chosen: NDArray[np.bool_]) -> Floats | None:
    """The chosen values of images that both runs had something to look at in, if there are any."""
    if values is None:
        return None
    kept = values[chosen & ~np.isnan(values)]
    return kept if kept.size else None


def _deviation(
    name: str, reference: NDArray[np.float32], candidate: NDArray[np.float32]
) -> TensorDeviation:
    """Of the images that both had something to look at in; infinite where there are none."""
    if not len(reference):
        return TensorDeviation(output=name, max_abs=np.inf, mean_abs=np.inf, cosine=-1.0)
    before = reference.reshape(len(reference), -1).astype(np.float64)
    after = candidate.reshape(len(candidate), -1).astype(np.float64)
    absolute = np.abs(after - before)
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    # Two vectors of zeros point the same way; one of zeros points nowhere.
    alike = np.asarray(~before.any(axis=1) & ~after.any(axis=1), dtype=np.float64)
    products = (before * after).sum(axis=1)
    cosines = np.divide(products, norms, out=alike, where=norms > 0)
    return TensorDeviation(
        output=name,
        max_abs=_finite(absolute.max()),
        mean_abs=_finite(absolute.mean()),
        cosine=float(np.nan_to_num(cosines, nan=-1.0).min()),
    )


def _mean(values: Floats | None) -> Estimate | None:
    if values is None:
        return None
    if not np.isfinite(values).all():
        return Estimate(value=np.inf, low=np.inf, high=np.inf)
    low, high = bootstrap_interval(values)
    return Estimate(value=float(values.mean()), low=low, high=high)


def _finite(value: ArrayLike) -> float:
    """The value, with what is no number counted as infinitely far."""
    return float(np.nan_to_num(value, nan=np.inf, posinf=np.inf))
