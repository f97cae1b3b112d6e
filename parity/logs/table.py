"""Benchmark runs as a table for the terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from parity.logs.delegates import CPU, XNNPACK
from parity.logs.records import BenchmarkRun, Delegation

_WIDEST = 24


def render(runs: Iterable[BenchmarkRun]) -> Group:
    """A line for each run; under them why runs failed and which times are doubted."""
    table = Table(title="Benchmark runs", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", overflow="fold")
    for heading in ("runs on", "delegated"):
        table.add_column(heading, no_wrap=True)
    for heading in ("MB", "init", "mean", "median", "p95 ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    remarks: list[Text] = []
    for run in runs:
        table.add_row(*_cells(run))
        name = f"{_short(run.model) or 'not named'}, {run.sources[0].file}: "
        if run.failure:
            remarks.append(Text(f"{name}{run.failure}", style="red"))
        remarks += [Text(f"{name}{doubt.detail}", style="yellow") for doubt in run.doubts]
    return Group(table, *remarks)


def _cells(run: BenchmarkRun) -> tuple[str | Text, ...]:
    took = run.inference
    return (
        Text(_short(run.model.removesuffix(".tflite")) or "not named"),
        Text(_short(_runs_on(run))),
        _delegated(run.delegation),
        _number(run.model_mb),
        _number(run.init_ms),
        _number(took.mean_ms if took else None),
        _number(took.median_ms if took else None),
        _number(took.p95_ms if took else None),
        _verdict(run),
    )


def _runs_on(run: BenchmarkRun) -> str:
    asked, runs_on = run.delegation.delegate, run.delegation.runs_on
    if run.failure:
        return ""
    if runs_on == CPU and asked not in ("", XNNPACK):
        return f"CPU, not {asked}"
    return runs_on or f"{asked}?"


def _delegated(delegation: Delegation) -> str:
    if delegation.nodes is not None and delegation.all_nodes is not None:
        return f"{delegation.nodes}/{delegation.all_nodes}"
    return "" if delegation.share is None else f"{delegation.share:.0%}"


def _verdict(run: BenchmarkRun) -> Text:
    if run.failure:
        return Text("FAILED", style="bold red")
    return Text("doubted", style="yellow") if run.doubts else Text("ran", style="green")


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
