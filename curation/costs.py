"""What each gate and each threshold costs, counted in one pass: the dry run of `select`."""

from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from curation.gates import GATES, LIMITS, Limit, SelectParams, Subject, subject_of
from curation.snapshot import Candidate
from mirrorset.records import IntendedUse, Reason, Record

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

# Shares of the threshold in force, and steps for one that counts.
_FACTORS = (0.5, 0.75, 0.9, 1.1, 1.25, 1.5)
_STEPS = (-2, -1, 1, 2)
_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)


class GateCost(Record):
    """What one gate keeps out.

    refused: images that fail it, whatever else they fail. counted: those of which it is the first
    such gate, under whose reason a release counts them. alone: those that fail nothing else.
    reasons: `refused` by reason.
    """

    gate: str
    refused: int
    counted: int
    alone: int
    reasons: dict[Reason, int]


class Step(Record):
    """Another value of a threshold, and how many images would be kept; all else as it is."""

    value: float | str
    kept: int


class Price(Record):
    """The value of a threshold that costs at most a share of what would be kept without it."""

    share: float
    value: float
    kept: int


class LimitCost(Record):
    """What one threshold keeps out.

    value: as it stands. measured: images that have what it limits. refused, alone: as of a gate;
    alone are the images that fail no gate and no other threshold. kept_without: images that would
    be kept if there were no such threshold. steps: other values around `value`, from loose to
    strict, `value` among them. prices: none where a threshold is in words.
    """

    gate: str
    param: str
    value: float | str
    measured: int
    refused: int
    alone: int
    kept_without: int
    steps: tuple[Step, ...]
    prices: tuple[Price, ...]


class Costs(Record):
    """What a selection would keep, and what each gate and threshold costs.

    images: all that are known. rejected_before: by an earlier step; unlabelled: without labels to
    judge; kept: that pass every gate. So images − rejected_before − unlabelled − kept is the sum of
    `counted`. Images with equal pixels are kept once. note: what is not counted, or "".
    """

    intended_use: IntendedUse
    images: int
    rejected_before: int
    unlabelled: int
    kept: int
    gates: tuple[GateCost, ...]
    limits: tuple[LimitCost, ...]
    note: str = ""


def count_costs(
    candidates: Iterable[Candidate],
    judged_before: Container[str],
    intended_use: IntendedUse,
    params: SelectParams,
) -> Costs:
    """Hold every image against every gate, not only up to the first that it fails.

    judged_before: ids of the images that earlier steps rejected.
    """
    images = rejected_before = unlabelled = 0
    tally = _Tally()
    for candidate in candidates:
        images += 1
        subject = subject_of(candidate, intended_use)
        if subject is not None:
            tally.add(subject)
        elif not candidate.annotations and candidate.image.image_id in judged_before:
            rejected_before += 1
        else:
            unlabelled += 1
    found = _Findings(tally, params)
    return Costs(
        intended_use=intended_use,
        images=images,
        rejected_before=rejected_before,
        unlabelled=unlabelled,
        kept=found.kept(found.failures == 0),
        gates=tuple(found.gate_costs()),
        limits=tuple(found.limit_costs()),
    )


class _Tally:
    """Of each image a few numbers: memory holds no labels.

    pixels: number of the image's pixels; equal ones share it. refused: a bit for each of GATES.
    measured: of each of LIMITS, NaN where there is nothing to measure.
    """

    def __init__(self) -> None:
        self.pixels = array("q")
        self.refused = array("Q")
        self.measured = [array("d") for _ in LIMITS]
        self.reasons: dict[str, Counter[Reason]] = {gate.name: Counter() for gate in GATES}
        self._number_of: dict[str, int] = {}

    def add(self, subject: Subject) -> None:
        pixel_hash = subject.candidate.image.pixel_hash
        self.pixels.append(self._number_of.setdefault(pixel_hash, len(self._number_of)))
        bits = 0
        for place, gate in enumerate(GATES):
            if refused := gate.refuse(subject):
                bits |= 1 << place
                self.reasons[gate.name][refused.reason] += 1
        self.refused.append(bits)
        for limit, measured in zip(LIMITS, self.measured, strict=True):
            value = limit.measure(subject)
            measured.append(np.nan if value is None else value)


class _Findings:
    """The tally against the thresholds. failures: how many conditions each image fails, (N,)."""

    def __init__(self, tally: _Tally, params: SelectParams) -> None:
        self._params = params
        self._pixels = np.array(tally.pixels)
        self._reasons = tally.reasons
        self._measured = [np.array(measured) for measured in tally.measured]
        bits = np.array(tally.refused, dtype=np.uint64)
        by_gate = [bits >> np.uint64(place) & np.uint64(1) != 0 for place in range(len(GATES))]
        self._broken = [
            limit.is_broken(measured, limit.threshold(params))
            for limit, measured in zip(LIMITS, self._measured, strict=True)
        ]
        self._names = [one.name for one in (*GATES, *LIMITS)]
        self._refused = np.array([*by_gate, *self._broken])
        self.failures = self._refused.sum(axis=0)

    def kept(self, passing: Flags) -> int:
        """How many of the images that pass (N,) have pixels of their own."""
        return len(np.unique(self._pixels[passing]))

    def gate_costs(self) -> Iterator[GateCost]:
        names = list(dict.fromkeys(self._names))
        refused = np.array(
            [self._refused[[one == name for one in self._names]].any(axis=0) for name in names]
        )
        by_how_many = refused.sum(axis=0)
        # The first condition decides, and those of a gate need not follow each other.
        first = np.where(self.failures > 0, self._refused.argmax(axis=0), -1)
        for name, by_this in zip(names, refused, strict=True):
            places = [place for place, one in enumerate(self._names) if one == name]
            yield GateCost(
                gate=name,
                refused=int(by_this.sum()),
                counted=int(np.isin(first, places).sum()),
                alone=int((by_this & (by_how_many == 1)).sum()),
                reasons=self._reasons_of(name),
            )
        twins = int((self.failures == 0).sum()) - self.kept(self.failures == 0)
        yield GateCost(
            gate="duplicates",
            refused=twins,
            counted=twins,
            alone=twins,
            reasons={Reason.DUPLICATE_PIXELS: twins} if twins else {},
        )

    def limit_costs(self) -> Iterator[LimitCost]:
        for limit, measured, broken in zip(LIMITS, self._measured, self._broken, strict=True):
            # What this threshold decides on: images that nothing else keeps out.
            open_to_it = self.failures - broken == 0
            yield LimitCost(
                gate=limit.name,
                param=limit.param,
                value=getattr(self._params, limit.param),
                measured=int((~np.isnan(measured)).sum()),
                refused=int(broken.sum()),
                alone=int((broken & open_to_it).sum()),
                kept_without=self.kept(open_to_it),
                steps=tuple(
                    Step(value=value, kept=self._kept_at(limit, measured, open_to_it, value))
                    for value in _values_around(limit, self._params)
                ),
                prices=tuple(self._prices(limit, measured, open_to_it)),
            )

    def _reasons_of(self, name: str) -> dict[Reason, int]:
        reasons = Counter(self._reasons.get(name, {}))
        limits = [(one, broken) for one, broken in zip(LIMITS, self._broken, strict=True)]
        of_gate = [(limit.reason, broken) for limit, broken in limits if limit.name == name]
        if of_gate:
            reasons[of_gate[0][0]] += int(np.any([broken for _, broken in of_gate], axis=0).sum())
        return {reason: count for reason, count in sorted(reasons.items()) if count}

    def _kept_at(
        self, limit: Limit, measured: Floats, open_to_it: Flags, value: float | str
    ) -> int:
        threshold = limit.threshold(self._params.model_copy(update={limit.param: value}))
        return self.kept(open_to_it & ~limit.is_broken(measured, threshold))

    def _prices(self, limit: Limit, measured: Floats, open_to_it: Flags) -> Iterator[Price]:
        values = measured[open_to_it & ~np.isnan(measured)]
        if limit.degrees or not values.size:
            return
        for share in _SHARES:
            # An image's own value, on the side that keeps it.
            value = float(
                np.quantile(values, 1 - share, method="higher")
                if limit.is_ceiling
                else np.quantile(values, share, method="lower")
            )
            yield Price(
                share=share,
                value=value,
                kept=self.kept(open_to_it & ~limit.is_broken(measured, value)),
            )


def _values_around(limit: Limit, params: SelectParams) -> Sequence[float | str]:
    """Values that params.yaml may hold around the one it holds, from loose to strict."""
    now = getattr(params, limit.param)
    if limit.degrees:
        return tuple(reversed(limit.degrees))
    others = (
        [now + step for step in _STEPS]
        if SelectParams.model_fields[limit.param].annotation is int
        else [round(now * factor, 6) for factor in _FACTORS]
    )
    allowed = {value for value in others if _is_allowed(limit.param, value)} | {now}
    return sorted(allowed, reverse=limit.is_ceiling)


def _is_allowed(param: str, value: float) -> bool:
    try:
        SelectParams.model_validate({param: value})
    except ValidationError:
        return False
    return True
