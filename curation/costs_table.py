"""The costs of gates and thresholds as tables for the terminal."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from curation.costs import Costs, GateCost, LimitCost


def tables(costs: Costs) -> Iterator[Table]:
    """What the gates refuse, other values of each threshold, and what a share would cost."""
    yield _gates(costs.gates)
    yield _steps(costs.limits)
    yield _prices(costs.limits)


def _gates(gates: Sequence[GateCost]) -> Table:
    table = Table(title="Images that each gate refuses", title_justify="left")
    table.add_column("gate", no_wrap=True)
    for heading in ("refused", "counted here", "by it alone"):
        table.add_column(heading, justify="right")
    table.add_column("reasons")
    for one in gates:
        reasons = ", ".join(f"{reason} {count}" for reason, count in one.reasons.items())
        table.add_row(one.gate, str(one.refused), str(one.counted), str(one.alone), reasons)
    return table


def _steps(limits: Sequence[LimitCost]) -> Table:
    """Of each threshold the values around it, from loose to strict, each with what it keeps."""
    table = Table(
        title="Images kept if one threshold were another (value→kept, in force: bold)",
        title_justify="left",
    )
    table.add_column("threshold", no_wrap=True)
    for heading in ("by it alone", "kept without"):
        table.add_column(heading, justify="right")
    table.add_column("kept at")
    for one in limits:
        steps = [
            Text(f"{_worded(step.value)}→{step.kept}", "bold" if step.value == one.value else "")
            for step in one.steps
        ]
        table.add_row(one.param, str(one.alone), str(one.kept_without), Text("  ").join(steps))
    return table


def _prices(limits: Sequence[LimitCost]) -> Table:
    """A line a threshold: where it must lie to cost so much of what would be kept without it."""
    priced = [one for one in limits if one.prices]
    table = Table(
        title="Thresholds that would cost at most this share of the images",
        title_justify="left",
        # Without lines, so that 80 columns hold every figure whole.
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("threshold", no_wrap=True)
    table.add_column("now", justify="right", no_wrap=True)
    for price in priced[0].prices if priced else ():
        table.add_column(f"{price.share:.0%}", justify="right", no_wrap=True)
    for one in priced:
        table.add_row(one.param, _worded(one.value), *(_worded(it.value) for it in one.prices))
    return table


def _worded(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"
