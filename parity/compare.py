"""Two runs on one pack, side by side: outputs, landmarks, labels, slices, time, gates."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from faces.slices import SMALLEST_CELL
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.geometry import invert, transform
from mirrorset.metrics import bootstrap_interval
from parity.gates import exactly, judge
from parity.models import points_px
from parity.pack import Pack
from parity.records import Comparison, Estimate, Gate, SliceRow, TensorDeviation
from parity.run import RunResult

Floats = NDArray[np.float64]


def compare(
    pack: Pack, reference: RunResult, candidate: RunResult, gates: Iterable[Gate]
) -> Comparison:
    """What changes where `candidate` takes the place of `reference`.

    Distances are in px of the original image or shares of the labelled interocular distance.
    Intervals are 95 % bootstrap over images; differences are paired by image. Raises InputError
    where the pack holds no face, or a run is of another pack or lacks an output.
    """
    pack.require_faces()
    for result in (reference, candidate):
        _check_fit(result, pack)
    # A broken model's infinities are judged, not warned of.
    with np.errstate(invalid="ignore"):
        tensors = tuple(
            _deviation(name, reference.outputs[name], candidate.outputs[name])
            for name in pack.record.spec.outputs
        )
        errors = _errors(pack, reference, candidate)
        rows = [_row("all", np.ones(len(pack.items), dtype=bool), errors)]
        rows += [_row(name, chosen, errors) for name, chosen in _slices(pack)]
    ratio = None
    if reference.latency and candidate.latency:
        ratio = round(candidate.latency.median_ms / reference.latency.median_ms, 4)
    return Comparison(
        release=pack.record.release,
        version=pack.record.version,
        pack_digest=pack.record.digest,
        review_state=pack.record.review_state,
        count=len(pack.items),
        reference=reference.key,
        candidate=candidate.key,
        tensors=tensors,
        slices=tuple(
            row if row.is_enough else SliceRow(slice=row.slice, count=row.count, is_enough=False)
            for row in rows
        ),
        reference_latency=reference.latency,
        candidate_latency=candidate.latency,
        latency_ratio=ratio,
        gates=judge(gates, rows, tensors, ratio),
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


@dataclass(frozen=True)
class _Errors:
    """Per image, (N,) each; see SliceRow."""

    nme_to_reference: Floats
    displacement_px: Floats
    worst_displacement_px: Floats
    reference_nme: Floats
    candidate_nme: Floats
    is_flipped: NDArray[np.bool_] | None


def _errors(pack: Pack, reference: RunResult, candidate: RunResult) -> _Errors:
    spec = pack.record.spec
    interocular_px = np.array([item.interocular_px for item in pack.items])
    labels = np.array([item.label_points for item in pack.items])
    labelled = list(spec.label_points.values())
    before = _original_points(pack, reference)
    after = _original_points(pack, candidate)
    displacement = np.linalg.norm(after - before, axis=2)

    def nme_to_labels(points: Floats) -> Floats:
        distances = np.linalg.norm(points[:, labelled] - labels, axis=2)
        return np.asarray(distances.mean(axis=1) / interocular_px)

    flipped = None
    if spec.presence_output is not None:
        seen, sees = (
            run.outputs[spec.presence_output].reshape(len(pack.items))
            for run in (reference, candidate)
        )
        threshold = spec.presence_threshold
        is_answer = np.isfinite(seen) & np.isfinite(sees)
        flipped = ((seen > threshold) != (sees > threshold)) | ~is_answer
    return _Errors(
        nme_to_reference=displacement.mean(axis=1) / interocular_px,
        displacement_px=displacement.mean(axis=1),
        worst_displacement_px=displacement.max(axis=1),
        reference_nme=nme_to_labels(before),
        candidate_nme=nme_to_labels(after),
        is_flipped=flipped,
    )


def _original_points(pack: Pack, result: RunResult) -> Floats:
    """The run's landmarks (N, K, 2) in xy px of the original images."""
    spec = pack.record.spec
    in_crop = points_px(result.outputs[spec.points_output], spec)
    pairs = zip(in_crop, pack.transforms, strict=True)
    return np.stack([transform(points, invert(to_crop)) for points, to_crop in pairs])


def _slices(pack: Pack) -> list[tuple[str, NDArray[np.bool_]]]:
    """Every cell of every axis, "axis=cell", with the images (N,) in it."""
    names = sorted({f"{axis}={cell}" for item in pack.items for axis, cell in item.slices.items()})
    split = [name.partition("=") for name in names]
    return [
        (name, np.array([item.slices.get(axis) == cell for item in pack.items]))
        for name, (axis, _, cell) in zip(names, split, strict=True)
    ]


def _row(name: str, chosen: NDArray[np.bool_], errors: _Errors) -> SliceRow:
    count = int(chosen.sum())
    flips = None if errors.is_flipped is None else float(errors.is_flipped[chosen].mean())
    return SliceRow(
        slice=name,
        count=count,
        is_enough=count >= SMALLEST_CELL,
        nme_to_reference=_mean(errors.nme_to_reference[chosen]),
        displacement_px=_mean(errors.displacement_px[chosen]),
        worst_displacement_px=exactly(_finite(errors.worst_displacement_px[chosen].max())),
        reference_nme=_mean(errors.reference_nme[chosen]),
        candidate_nme=_mean(errors.candidate_nme[chosen]),
        nme_increase=_mean((errors.candidate_nme - errors.reference_nme)[chosen]),
        presence_flip_share=exactly(flips),
    )


def _deviation(
    name: str, reference: NDArray[np.float32], candidate: NDArray[np.float32]
) -> TensorDeviation:
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


def _mean(values: Floats) -> Estimate:
    if not np.isfinite(values).all():
        return Estimate(value=np.inf, low=np.inf, high=np.inf)
    low, high = bootstrap_interval(values)
    return Estimate(value=float(values.mean()), low=low, high=high)


def _finite(value: ArrayLike) -> float:
    """The value, with what is no number counted as infinitely far."""
    return float(np.nan_to_num(value, nan=np.inf, posinf=np.inf))


def _check_fit(result: RunResult, pack: Pack) -> None:
    if result.pack_digest != pack.record.digest:
        raise InputError(
            f"The {result.key.kernel} run is of another pack than {pack.path}: run the model on it."
        )
    lacking = sorted(set(pack.record.spec.outputs) - set(result.outputs))
    if lacking:
        raise InputError(
            f"The {result.key.kernel} run lacks {', '.join(lacking)}: run the model again."
        )
