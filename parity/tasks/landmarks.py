"""How far landmarks lie from the reference's and from those that people placed."""

from collections.abc import Iterator

import numpy as np

from parity.both import Both
from parity.columns import Column, Floats, against_labels, counted
from parity.measures import FAILURES


def columns(both: Both, rule: str) -> Iterator[Column]:
    """Distances in px of the picture and as shares of the labelled interocular distance.

    A failure is an error beyond 0.08 or 0.10. The area under the curve that says which share of
    the images has an error below x, for x from 0 to a limit and divided by it, is the mean of
    1 - error / limit over the images, with 0 for errors beyond it.
    """
    truth = both.pack.chain.truth
    is_seen = both.has_seen(rule)
    before, after = both.values(rule)
    interocular_px = np.array([item.interocular_px for item in both.items])
    distances = np.linalg.norm(after - before, axis=2)
    mean = distances.mean(axis=1)
    yield Column("nme_to_reference", rule, counted(mean / interocular_px, is_seen))
    yield Column("displacement_px", rule, counted(mean, is_seen))
    yield Column("worst_displacement_px", rule, counted(distances.max(axis=1), is_seen))
    if rule != truth.points or not truth.label_points:
        return
    labels = np.array([item.label_points for item in both.items])
    labelled = list(truth.label_points.values())

    def errors(found: Floats) -> Floats:
        apart = np.linalg.norm(found[:, labelled] - labels, axis=2)
        return counted(apart.mean(axis=1) / interocular_px, is_seen)

    errors_before, errors_after = errors(before), errors(after)
    yield from against_labels("nme", rule, errors_before, errors_after)
    for digits, limit in FAILURES.items():
        yield from against_labels(
            f"fr{digits}", rule, _failures(errors_before, limit), _failures(errors_after, limit)
        )
        yield from against_labels(
            f"auc{digits}", rule, _areas(errors_before, limit), _areas(errors_after, limit)
        )


def _failures(errors: Floats, limit: float) -> Floats:
    """1 for an error beyond the limit, NaN where an image does not count."""
    return np.where(np.isnan(errors), np.nan, errors > limit)


def _areas(errors: Floats, limit: float) -> Floats:
    """What each image adds to the area; `np.maximum` keeps NaN."""
    return np.maximum(1 - errors / limit, 0.0)
