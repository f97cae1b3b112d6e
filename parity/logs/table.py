"""Benchmark runs as a table for the terminal."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from parity.logs.delegates import CPU
from parity.logs.records import BenchmarkRun, Delegation

_WIDEST = 40


def render(runs: Iterable[BenchmarkRun]) -> Table:
    """A line for each run, with its failure or doubts under it."""
    table = Table(title="Benchmark runs")
    for heading in ("model", "device", "runs on", "delegated"):
        table.add_column(heading, overflow="fold")
    for heading in ("parts", "MB", "init", "mean", "median", "p95 ms", "MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for run in runs:
        table.add_row(*_cells(run))
    return table


def _cells(run: BenchmarkRun) -> tuple[str | Text, ...]:
    took = run.inference
    memory = run.memory.peak_mib or run.memory.overall_mib
    return (
        Text(_short(run.model) or "not named"),
        Text(_short(run.device) or "not named"),
        Text(_short(_runs_on(run.delegation))),
        _delegated(run.delegation),
        _number(run.delegation.partitions),
        _number(run.model_mb),
        _number(run.init_ms),
        _number(took.mean_ms if took else None),
        _number(took.median_ms if took else None),
        _number(took.p95_ms if took else None),
        _number(memory),
        _verdict(run),
    )


def _runs_on(delegation: Delegation) -> str:
    asked = delegation.delegate
    if delegation.runs_on == CPU and asked:
        return f"CPU ({asked})" if asked == "XNNPACK" else f"CPU, not {asked}"
    return delegation.runs_on or (f"{asked}?" if asked else "?")


def _delegated(delegation: Delegation) -> str:
    if delegation.nodes is not None and delegation.all_nodes is not None:
        return f"{delegation.nodes} of {delegation.all_nodes}"
    return "" if delegation.share is None else f"{delegation.share:.0%}"


def _verdict(run: BenchmarkRun) -> Text:
    if run.failure:
        return Text(f"FAILED: {run.failure}", style="bold red")
    if run.doubts:
        return Text(" ".join(doubt.detail for doubt in run.doubts), style="yellow")
    return Text("ran", style="green")


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
