"""How far the expression that one run sees lies from the other's."""

from collections.abc import Iterator

import numpy as np

from faces.expression import change_between
from parity.both import Both
from parity.columns import Column, counted


def columns(both: Both, rule: str) -> Iterator[Column]:
    """`ExpressionChange.distance`, in distances of the outer eye corners of a mean head."""
    before, after = both.values(rule)
    told_before, told_after = (np.isfinite(each).all(axis=(1, 2)) for each in (before, after))
    apart = [change_between(b, a).distance for a, b in zip(before, after, strict=True)]
    # The largest of three parts does not tell that another one is no number.
    distances = np.where(told_before & told_after, apart, np.inf)
    is_counted = both.has_seen(rule) & (told_before | told_after)
    yield Column("expression_to_reference", rule, counted(distances, is_counted))
