"""The device table and the fallback order for the terminal, in lines that fit 80 columns."""

from collections.abc import Iterable, Iterator

from rich.console import Group
from rich.text import Text

from parity.devices.fallback import Entry, Fallback
from parity.devices.records import DeviceRow, DeviceTable, NetRow, Standing

_STANDINGS: dict[Standing, tuple[str, str]] = {
    "pass": ("pass", "green"),
    "fail": ("FAIL", "bold red"),
    "not_enough_evidence": ("not enough evidence", "yellow"),
    "not_runnable": ("CANNOT RUN", "bold red"),
    "benchmark_failed": ("BENCHMARK FAILED", "bold red"),
    "not_judged": ("not judged", "yellow"),
}


def render(table: DeviceTable, fallback: Fallback) -> Group:
    """Both, with what stands against each line under it."""
    told = [Text(f"{table.chain} on {table.release} {table.version}", "bold")]
    for number, row in enumerate(table.rows, start=1):
        told += _row(number, row)
    return Group(*told, Text(), render_order(fallback))


def render_order(fallback: Fallback, entries: Iterable[Entry] | None = None) -> Group:
    """The fallback order, or those of its `entries`."""
    told = [Text("What an app tries, in order", "bold")]
    shown = fallback.entries if entries is None else tuple(entries)
    for number, entry in enumerate(shown, start=1):
        time = "" if entry.latency_ms is None else f", {entry.latency_ms:.3g} ms"
        told.append(Text(f"{number:>3}  {_place(entry)}{time}"))
        for name, net in entry.nets.items():
            told.append(
                _indented(f"{name}: {net.model_file} {net.model_sha256[:8]} on {net.kernel}")
            )
    remark = fallback.without_any_cpu or "The last entry runs on any CPU."
    return Group(*told, Text(remark, "yellow" if fallback.without_any_cpu else "green"))


def _row(number: int, row: DeviceRow) -> Iterator[Text]:
    words, style = _STANDINGS[row.standing]
    told = [_latency(row), "" if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f} MB"]
    more = "".join(f", {each}" for each in told if each)
    yield Text.assemble(f"{number:>3}  {row.device or 'not named'}: ", (words, style), more)
    for net in row.nets:
        yield _indented(_net(net))
    against = [f"{reason}." for reason in row.reasons]
    against += [net.time.doubt for net in row.nets if net.time and net.time.doubt]
    for sentence in against:
        yield _indented(sentence, "yellow")


def _net(net: NetRow) -> str:
    model = net.model_file or "not named"
    sha256 = "" if net.model_sha256 is None else f" {net.model_sha256[:8]}"
    kernel = f" on {net.kernel}" if net.kernel else ""
    is_told = net.delegated_share is not None and net.delegated_share < 1
    share = f", delegated {net.delegated_share:.0%}" if is_told else ""
    name = f"{net.net}: " if net.net else ""
    return f"{name}{model}{sha256}{kernel}, {_runs_on(net)}{share}"


def _indented(words: str, style: str = "") -> Text:
    return Text(f"     {words}", style)


def _latency(row: DeviceRow) -> str:
    if row.latency_ms is None:
        return ""
    return f"{row.latency_ms:.3g} ms" + ("" if row.is_believable else ", doubted")


def _runs_on(net: NetRow) -> str:
    if net.has_refused:
        return f"CPU, not {net.delegate}"
    return net.runs_on or f"{net.delegate}?"


def _place(entry: Entry) -> str:
    match = entry.match
    place = match.device or (f"any {match.soc}" if match.soc else "any CPU")
    return f"{place} with {' and '.join(match.delegates)}" if match.delegates else place
