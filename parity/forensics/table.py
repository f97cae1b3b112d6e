"""An explanation for the terminal: what was found, and where each stage's deviation arises."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from parity.forensics.records import Deviation, Explanation, Finding

# Headings by step, broken where all would not fit a terminal of 80 columns.
_STEPS = {
    "whole": "whole",
    "before": "before",
    "preprocessing": "pre-\nprocessing",
    "model": "model",
    "kernel": "kernel",
    "rule": "rule",
}
_CAUSES = {
    "image_order": "other order of images",
    "not_a_number": "no numbers",
    "half_pixel_shift": "half-pixel shift",
    "mean_or_scale": "mean or scale",
    "calibration": "calibration that does not fit",
}


def render(explanation: Explanation) -> Iterator[Table | str]:
    """Findings first, then all steps, then the first tensors, then the worst images."""
    if explanation.findings:
        yield f"What departs in the {explanation.run} run ({explanation.count} images):"
    else:
        yield f"Nothing departs by more than its tolerance ({explanation.count} images)."
    yield from map(_told, explanation.findings)
    yield _steps(explanation.deviations)
    for one in explanation.departures:
        sides = f"{one.net}: {one.reference} against {one.candidate}"
        if one.tensor is None:
            yield f"{sides}: no tensor is {one.tolerance:g} of its spread apart"
        else:
            yield (
                f"{sides}: first apart is {one.tensor}, by {one.operation}, operation "
                f"{one.place} of {one.operation_count}, by {one.deviation:.3g} of its spread"
            )
    for worst in explanation.worst:
        where = f", {worst.picture}" if worst.picture else ""
        yield f"{worst.image_id[:12]}  {worst.times_tolerance:.3g} × {worst.name}{where}"


def _told(one: Finding) -> str:
    """Stage, part and cause first: a line that is too long for the terminal breaks after them."""
    where = f"{one.output or ', '.join(one.stages)}, {' or '.join(one.parts)}"
    cause = _CAUSES.get(one.cause, one.cause.replace("_", " "))
    share = "" if one.explained is None else f", {one.explained:.1%} explained"
    return f"{where}: {cause} ({one.count} images{share}): {one.detail}"


def _steps(deviations: tuple[Deviation, ...]) -> Table:
    table = Table(
        title="Largest deviation of any image, and what each step adds",
        box=None, padding=(0, 1), collapse_padding=True, pad_edge=False,
    )  # fmt: skip
    table.add_column("output or rule", overflow="fold")
    for heading in ("toler-\nance", "images", *_STEPS.values()):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for one in deviations:
        added = [getattr(one, step) for step in _STEPS]
        numbers = ["" if value is None else f"{value:.2g}" for value in added]
        table.add_row(one.name, f"{one.tolerance:g}", str(one.count), *numbers)
    return table
