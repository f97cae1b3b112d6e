"""How well masks cover each other. Nobody labels persons' masks, so the reference alone judges."""

from collections.abc import Iterator

import numpy as np

from mirrorset.metrics import mask_iou
from parity.both import Both
from parity.columns import Column


def columns(both: Both, rule: str) -> Iterator[Column]:
    """Intersection over union; two empty masks agree."""
    before, after = both.values(rule)
    covered = np.array([mask_iou(a > 0, b > 0) for a, b in zip(before, after, strict=True)])
    yield Column("mask_iou_to_reference", rule, np.where(both.has_seen(rule), covered, np.nan))
