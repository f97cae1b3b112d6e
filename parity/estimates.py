"""Columns of images → one figure of each slice, with its interval."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mirrorset.metrics import bootstrap_intervals, rate_change_interval, wilson_interval
from parity.columns import Column, Floats, counted
from parity.measures import MEASURES, Figuring
from parity.records import Estimate, Figure, PackItem
from parity.slices import ALL


@dataclass(frozen=True)
class Evidence:
    """What was measured of two runs.

    columns: image by image (N,). slices: by name which images (N,) are in it, "all" first.
    latency_ratio: None where a run was not timed.
    """

    columns: Sequence[Column]
    slices: Mapping[str, NDArray[np.bool_]]
    latency_ratio: float | None = None

    @cached_property
    def figures(self) -> dict[tuple[str, str, str], Figure]:
        """By metric, output and slice."""
        found = [figure for name in self.slices for figure in _figures(self.columns, name, self)]
        if self.latency_ratio is not None:
            found.append(
                Figure(
                    metric="latency_ratio",
                    output="",
                    slice=ALL,
                    count=self.count(ALL),
                    estimate=exactly(self.latency_ratio),
                )
            )
        return {(one.metric, one.output, one.slice): one for one in found}

    def count(self, slice_: str) -> int:
        """Images in the slice; 0 where there is no such slice."""
        return int(self.slices[slice_].sum()) if slice_ in self.slices else 0

    def beyond(self, metric: str, output: str, times: float, slice_: str) -> Figure | None:
        """How far the candidate's `metric` lies above `times` the reference's, paired by image; the
        figure's sign is such that above is high. None where one of the two was not measured.
        """
        values = {
            column.metric: column.values for column in self.columns if column.output == output
        }
        own, other = values.get(metric), values.get(metric.replace("candidate_", "reference_", 1))
        if own is None or other is None or slice_ not in self.slices:
            return None
        # A broken candidate is infinitely far beyond whatever the reference has.
        with np.errstate(invalid="ignore"):
            apart = counted(own - times * other, ~np.isnan(own) & ~np.isnan(other))
        (figure,) = _figures([Column(metric, output, apart)], slice_, self)
        return figure


def slices_of_items(items: Sequence[PackItem]) -> dict[str, NDArray[np.bool_]]:
    """ "all" and every cell of every axis, "axis=cell", with the items (N,) in it."""
    names = sorted({f"{axis}={cell}" for item in items for axis, cell in item.slices.items()})
    cells = {
        name: np.array([f"{axis}={item.slices.get(axis)}" == name for item in items])
        for name, axis in ((name, name.partition("=")[0]) for name in names)
    }
    return {ALL: np.ones(len(items), dtype=bool), **cells}


def exactly(value: float) -> Estimate:
    """A fact as an estimate without doubt."""
    return Estimate(value=value, low=value, high=value)


def _figures(columns: Sequence[Column], slice_: str, evidence: Evidence) -> Iterator[Figure]:
    chosen = evidence.slices[slice_]
    sliced = [column.values[chosen] for column in columns]
    kinds = [MEASURES[column.metric].kind for column in columns]
    is_mean = [kind == "mean" for kind in kinds]
    means = iter(_means([values for values, each in zip(sliced, is_mean, strict=True) if each]))
    for column, values, kind in zip(columns, sliced, kinds, strict=True):
        kept = values[~np.isnan(values)]
        estimate = next(means) if kind == "mean" else None
        if kind != "mean" and kept.size:
            estimate = _OTHERS[kind](kept)
        yield Figure(
            metric=column.metric,
            output=column.output,
            slice=slice_,
            count=kept.size,
            estimate=estimate,
        )


def _means(columns: Sequence[Floats]) -> list[Estimate | None]:
    """The mean of each of the columns (n,), as far as it is not NaN.

    Those that are of the same images are drawn together.
    """
    means: list[Estimate | None] = [None] * len(columns)
    alike: dict[bytes, list[int]] = {}
    for place, values in enumerate(columns):
        kept = values[~np.isnan(values)]
        if kept.size and not np.isfinite(kept).all():
            means[place] = exactly(np.inf)
        elif kept.size:
            alike.setdefault(np.isnan(values).tobytes(), []).append(place)
    for places in alike.values():
        sample = np.column_stack([columns[place] for place in places])
        sample = sample[~np.isnan(sample[:, 0])]
        lows, highs = bootstrap_intervals(sample)
        for place, value, low, high in zip(places, sample.mean(axis=0), lows, highs, strict=True):
            means[place] = _with_interval(float(value), float(low), float(high))
    return means


def _with_interval(value: float, low: float, high: float) -> Estimate:
    """One image has no interval: its mean may be anything."""
    if np.isnan(low):
        return Estimate(value=value, low=-np.inf, high=np.inf)
    # The mean of equal values differs from them by its rounding.
    return Estimate(value=min(max(value, low), high), low=low, high=high)


def _rate(values: Floats) -> Estimate:
    low, high = wilson_interval(int(values.sum()), values.size)
    return Estimate(value=float(values.mean()), low=low, high=high)


def _rate_change(values: Floats) -> Estimate:
    gained, lost = int((values > 0).sum()), int((values < 0).sum())
    low, high = rate_change_interval(gained, lost, values.size)
    return Estimate(value=float(values.mean()), low=low, high=high)


_OTHERS: dict[Figuring, Callable[[Floats], Estimate]] = {
    "rate": _rate,
    "rate_change": _rate_change,
    "largest": lambda values: exactly(float(values.max())),
    "smallest": lambda values: exactly(float(values.min())),
}
