"""How well the box of the face that was found covers the reference's and the labelled one."""

from collections.abc import Iterator

import numpy as np

from mirrorset.geometry import iou
from parity.both import Both
from parity.columns import Column, Floats, against_labels


def columns(both: Both, rule: str) -> Iterator[Column]:
    """Intersection over union; 0 where one run alone finds a face."""
    before, after = (values[:, :4] for values in both.values(rule))
    is_found = np.isfinite(before).all(axis=1) | np.isfinite(after).all(axis=1)
    is_counted = both.has_seen(rule) & is_found
    yield Column("box_iou_to_reference", rule, np.where(is_counted, _ious(before, after), np.nan))
    labels = np.array([item.box for item in both.items])
    yield from against_labels("box_iou", rule, _ious(before, labels), _ious(after, labels))


def _ious(a: Floats, b: Floats) -> Floats:
    """Of each pair of boxes (N, 4); 0 where one is no box."""
    pairs = [float(iou(one, other)[0, 0]) for one, other in zip(a, b, strict=True)]
    ious: Floats = np.nan_to_num(np.array(pairs), nan=0.0)
    return ious
