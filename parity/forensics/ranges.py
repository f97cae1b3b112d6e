"""Whether a quantised file's ranges hold the values that real images bring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parity.forensics.graph import Graph
from parity.runtimes.tensors import Array

# Share of a tensor's values beyond its range. The worst tensor of the mirror's detector and
# landmark models cuts off up to 0.8 % after calibration on portraits, 1.2 % on a single one; 5.4 %
# and more (55 % at most) on noise, on white, or on portraits at a half to a twentieth of their
# light.
_CUT_SHARE = 0.025
# A range so many times wider than its values leaves them a sixteenth of the 256 steps. Ranges are
# up to 1.5 times as wide after portraits, 3.3 after noise, over 300 after bytes in place of 0 to 1.
_WIDTH = 16.0
# Of fewer values no share can be told: a net's single score is beyond its range or is not.
_FEW = 100


@dataclass(frozen=True)
class RangeFault:
    """tensor: the first whose range does not fit. detail: a clause. count: of all that do not."""

    tensor: str
    detail: str
    count: int


def range_fault(float_graph: Graph, quantised: Graph, given: Sequence[Array]) -> RangeFault | None:
    """The first tensor, in the order of operations, whose int8 range does not fit what the float
    model computes on `given` (inputs (1, …) each); None where all do.

    Tensors are matched by name. Raises what `Graph.all_values` does.
    """
    ranges = quantised.ranges()
    found: dict[str, list[Array]] = {}
    for one in given:
        for name, values in float_graph.all_values(one).items():
            if name in ranges:
                found.setdefault(name, []).append(values.ravel())
    faults = []
    for made in quantised.made:
        if made.name not in found:
            continue
        low, high = ranges[made.name]
        values = np.concatenate(found[made.name])
        said = _fault(values, low, high, made.place) if values.size >= _FEW else None
        if said:
            faults.append((made.name, said))
    if not faults:
        return None
    (tensor, detail), count = faults[0], len(faults)
    return RangeFault(tensor, detail, count)


def _fault(values: Array, low: float, high: float, place: int) -> str | None:
    # An activation at an end of its range cuts off by itself: half a step is no loss.
    step = (high - low) / 255
    cut = float(((values < low - step) | (values > high + step)).mean())
    bounds = f"{low:.3g} to {high:.3g}, where images bring {values.min():.3g} to {values.max():.3g}"
    if cut > _CUT_SHARE:
        return f"operation {place} cuts off {cut:.1%} of its values: its range is {bounds}"
    width = max(float(values.max()), 0.0) - min(float(values.min()), 0.0)
    if width > 0 and (high - low) / width > _WIDTH:
        return f"operation {place} leaves its values few steps: its range is {bounds}"
    return None
