"""The device table and the fallback order for the terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from parity.devices.fallback import Entry, Fallback
from parity.devices.records import DeviceRow, DeviceTable, NetRow, Standing

_STANDINGS: dict[Standing, Text] = {
    "pass": Text("pass", style="green"),
    "fail": Text("FAIL", style="bold red"),
    "not_enough_evidence": Text("not enough evidence", style="yellow"),
    "not_runnable": Text("CANNOT RUN", style="bold red"),
    "benchmark_failed": Text("BENCHMARK FAILED", style="bold red"),
    "not_judged": Text("not judged", style="yellow"),
}


def render(table: DeviceTable, fallback: Fallback) -> Group:
    """Both, with what stands against each line under it."""
    return Group(_rows(table), *_remarks(table), Text(), render_order(fallback))


def render_order(fallback: Fallback, entries: Iterable[Entry] | None = None) -> Group:
    """The fallback order, or those of its `entries`."""
    order = Table(title="What an app tries, in order", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    order.add_column("", justify="right")
    for heading in ("where", "loads", "on"):
        order.add_column(heading, overflow="fold")
    order.add_column("ms", justify="right", no_wrap=True)
    shown = fallback.entries if entries is None else tuple(entries)
    for number, entry in enumerate(shown, start=1):
        nets = entry.nets.values()
        order.add_row(
            str(number),
            Text(_place(entry)),
            Text(_listed(net.model_file or net.model_sha256[:8] for net in nets)),
            Text(_listed(net.kernel for net in nets)),
            "" if entry.latency_ms is None else f"{entry.latency_ms:.3g}",
        )
    remark = fallback.without_any_cpu or "The last entry runs on any CPU."
    return Group(order, Text(remark, style="yellow" if fallback.without_any_cpu else "green"))


def _rows(table: DeviceTable) -> Table:
    shown = Table(
        title=f"{table.chain} on {table.release} {table.version}",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    shown.add_column("", justify="right")
    for heading in ("device", "model", "kernel", "runs on"):
        shown.add_column(heading, overflow="fold")
    for heading in ("delegated", "MB", "ms"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    for number, row in enumerate(table.rows, start=1):
        shown.add_row(
            str(number),
            Text(row.device or "not named"),
            Text(_listed(_model(net) for net in row.nets)),
            Text(_listed(net.kernel for net in row.nets)),
            Text(_listed(_runs_on(net) for net in row.nets)),
            _listed(
                "" if net.delegated_share is None else f"{net.delegated_share:.0%}"
                for net in row.nets
            ),
            "" if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f}",
            _latency(row),
            _STANDINGS[row.standing],
        )
    return shown


def _remarks(table: DeviceTable) -> Iterable[Text]:
    for number, row in enumerate(table.rows, start=1):
        against = [f"{reason}." for reason in row.reasons]
        against += [net.time.doubt for net in row.nets if net.time and net.time.doubt]
        for sentence in against:
            yield Text(f"{number}: {sentence}", style="yellow")


def _latency(row: DeviceRow) -> Text:
    if row.latency_ms is None:
        return Text("")
    if row.is_believable:
        return Text(f"{row.latency_ms:.3g}")
    return Text(f"{row.latency_ms:.3g} doubted", style="yellow")


def _model(net: NetRow) -> str:
    name = net.model_file or "not named"
    return name if net.model_sha256 is None else f"{name} {net.model_sha256[:8]}"


def _runs_on(net: NetRow) -> str:
    if net.has_refused:
        return f"CPU, not {net.delegate}"
    return net.runs_on or f"{net.delegate}?"


def _place(entry: Entry) -> str:
    match = entry.match
    place = match.device or (f"any {match.soc}" if match.soc else "any CPU")
    return f"{place} with {' and '.join(match.delegates)}" if match.delegates else place


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(word for word in words if word))
