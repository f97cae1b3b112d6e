"""The device table → what an app tries, in order, wherever it finds itself.

The rules, which docs/devices.md states for people:

- Only what passed is shipped, with every net of the chain; missing evidence is no pass.
- Entries for a device come first, then those for its chip, then those for any CPU.
- A chip's entries need a pass on a device with it, and any CPU's a pass on some CPU; and no device
  with the chip, or no CPU at all, on which the same files on the same kernels failed.
- Only kernels that every CPU has are for any CPU; half-precision arithmetic is not.
- Among entries for the same place: those with a believable time first; then the faster on the
  devices that all of these passed on, times rounded to two digits, or where there is no such device
  those that passed on more, and then the faster; then the smaller; then by name.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Literal

from mirrorset.records import Record, Sha256
from parity.devices.records import CPU, DeviceRow, DeviceTable, OfPack

Basis = Literal["device", "soc", "any_cpu"]
_PORTABLE_KERNELS = ("xnnpack", "optimised", "reference", "onnxruntime")
_AGAINST = ("fail", "not_runnable")


class Match(Record):
    """Where an entry fits: every field that is not None must be as the app finds it.

    device: the model alone ("Pixel 8"), soc: its chip, as docs/device-protocol.md names them;
    delegates: the app must be able to create all of them. Case does not matter. Without any of
    these it fits everywhere.
    """

    device: str | None = None
    soc: str | None = None
    delegates: tuple[str, ...] = ()

    def fits(self, device: str, soc: str, delegates: Iterable[str]) -> bool:
        """Whether the entry is for this place."""
        is_device = self.device is None or self.device.casefold() == device.casefold()
        is_soc = self.soc is None or self.soc.casefold() == soc.casefold()
        can_create = {each.casefold() for each in delegates}
        return is_device and is_soc and {each.casefold() for each in self.delegates} <= can_create


class ShippedNet(Record):
    """A model file and how to run it. size_bytes, threads: None where unknown."""

    model_file: str
    model_sha256: Sha256
    size_bytes: int | None
    runtime: str
    runtime_version: str
    kernel: str
    delegate: str
    threads: int | None


class Entry(Record):
    """What to load where `match` fits.

    basis: what the match rests on. latency_ms: all nets together, believable, on judged_on; of
    several the slowest; None where unknown. judged_on: devices on which it passed.
    """

    match: Match
    basis: Basis
    nets: dict[str, ShippedNet]
    latency_ms: float | None
    judged_on: tuple[str, ...]


class Fallback(OfPack):
    """fallback.json. An app takes the first entry that fits, and where that cannot be loaded the
    next one that does.

    without_any_cpu: why the last entry is none for any CPU, a sentence; "" where it is one.
    """

    entries: tuple[Entry, ...]
    without_any_cpu: str

    def fitting(self, device: str, soc: str, delegates: Sequence[str]) -> tuple[Entry, ...]:
        """The entries for a place, in the order to try them."""
        return tuple(each for each in self.entries if each.match.fits(device, soc, delegates))


def fallback_of(table: DeviceTable, nets: Iterable[str]) -> Fallback:
    """The order for a chain of these `nets`."""
    wanted = set(nets)
    rows = [row for row in table.rows if {net.net for net in row.nets} == wanted]
    on_cpus = [row for row in rows if row.runs_on == (CPU,) and _is_portable(row)]
    entries = [
        *_entries(rows, "device", lambda row: row.name.model),
        *_entries(rows, "soc", lambda row: row.name.soc),
        *_entries(on_cpus, "any_cpu", lambda _: CPU),
    ]
    is_safe = bool(entries) and entries[-1].basis == "any_cpu"
    return Fallback(
        release=table.release,
        version=table.version,
        release_digest=table.release_digest,
        pack_digest=table.pack_digest,
        chain=table.chain,
        review_state=table.review_state,
        entries=tuple(entries),
        without_any_cpu="" if is_safe else _why_not(on_cpus),
    )


def _entries(
    rows: Iterable[DeviceRow], basis: Basis, place_of: Callable[[DeviceRow], str]
) -> Iterator[Entry]:
    """Of each place in order of their names; rows whose place is "" have none."""
    groups: dict[str, dict[str, list[DeviceRow]]] = {}
    for row in rows:
        if place := place_of(row):
            same = groups.setdefault(place.casefold(), {})
            same.setdefault(_identity(row), []).append(row)
    for place in sorted(groups):
        shipped = [same for same in groups[place].values() if _may_ship(same)]
        timed = [times for same in shipped if (times := _times(same))]
        shared = set.intersection(*map(set, timed)) if timed else set()
        entries = [(_speed(_times(same), shared), _entry(same, basis)) for same in shipped]
        yield from (entry for _, entry in sorted(entries, key=lambda one: _preference(*one)))


def _identity(row: DeviceRow) -> str:
    """The same files on the same kernels and delegates, wherever it was."""
    told = (
        f"{net.net} {net.model_sha256} {net.kernel} {net.delegate} {net.runs_on} {net.threads}"
        for net in row.nets
    )
    return "\n".join(sorted(told))


def _may_ship(rows: Sequence[DeviceRow]) -> bool:
    has_passed = any(row.standing == "pass" for row in rows)
    has_failed = any(row.standing in _AGAINST for row in rows)
    # The CPU's own entry stands for what an accelerator would not take.
    has_refused = any(net.has_refused for row in rows for net in row.nets)
    return has_passed and not has_failed and not has_refused


def _entry(rows: Sequence[DeviceRow], basis: Basis) -> Entry:
    """rows: all of one identity. What is shown beside the files is of the slowest pass."""
    passed = [row for row in rows if row.standing == "pass"]
    believed = [row for row in passed if row.is_believable]
    chosen = max(believed or passed, key=lambda row: (row.latency_ms or 0, row.device))
    return Entry(
        match=Match(
            device=chosen.name.model if basis == "device" else None,
            soc=chosen.name.soc if basis == "soc" else None,
            delegates=tuple(each for each in chosen.runs_on if each != CPU),
        ),
        basis=basis,
        nets={
            net.net: ShippedNet.model_validate(net.model_dump(include=set(ShippedNet.model_fields)))
            for net in chosen.nets
        },
        latency_ms=chosen.latency_ms if believed else None,
        judged_on=tuple(sorted({row.device for row in passed})),
    )


def _times(rows: Sequence[DeviceRow]) -> dict[str, float]:
    """By device on which they passed, of several times the slowest that is believed."""
    found: dict[str, float] = {}
    for row in rows:
        if row.standing == "pass" and row.is_believable and row.latency_ms is not None:
            device = row.device.casefold()
            found[device] = max(row.latency_ms, found.get(device, 0.0))
    return found


def _speed(times: Mapping[str, float], shared: Set[str]) -> tuple[float, ...]:
    """What sorts by speed: times on other devices do not tell which of two is faster."""
    if not times:
        return (math.inf,)
    count = 0 if shared else -len(times)
    return count, float(f"{max(times[each] for each in shared or times):.1e}")


def _preference(speed: tuple[float, ...], entry: Entry) -> tuple[object, ...]:
    sizes = [net.size_bytes for net in entry.nets.values()]
    known = [size for size in sizes if size is not None]
    has_sizes = len(known) == len(sizes)
    named = sorted((name, net.model_file, net.kernel) for name, net in entry.nets.items())
    hashes = sorted(net.model_sha256 for net in entry.nets.values())
    size = sum(known) if has_sizes else 0
    return entry.latency_ms is None, speed, not has_sizes, size, named, hashes


def _is_portable(row: DeviceRow) -> bool:
    return all(net.kernel in _PORTABLE_KERNELS for net in row.nets)


def _why_not(on_cpus: Sequence[DeviceRow]) -> str:
    if not on_cpus:
        return "No run of the whole chain came from a CPU with kernels that every CPU has."
    if not any(row.standing == "pass" for row in on_cpus):
        return "Nothing passed its gates on a CPU: an app must do without where no entry fits."
    return "Whatever passed on one CPU failed on another: an app must do without where none fits."
