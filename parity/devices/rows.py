"""Runs, comparisons and benchmark logs → the lines of the device table.

The rules, which docs/devices.md states for people:

- A line is what ran: the same files on the same kernels, delegates, threads and device.
- Evidence of another release or chain counts only where there is none of this one, and then says
  nothing but that.
- Of several comparisons of a line, the worst holds.
- A log belongs to a line where file (by sha256), device and what ran it are the same, and the
  threads where it tells them. Its believable time goes before the run's own clock; of several the
  slowest. A log that belongs to no line is one by itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from mirrorset.records import ParityKey
from parity.devices.records import (
    CPU,
    DeviceRow,
    DeviceTable,
    NetRow,
    Standing,
    Time,
    device_name,
    is_accelerator,
)
from parity.logs.doubts import SHORTEST_MS
from parity.logs.records import BenchmarkRun
from parity.outcome import outcome_of, reasons_of
from parity.records import Comparison, PackRecord, RunRecord

_WORST_FIRST: tuple[Standing, ...] = get_args(Standing)
_OLD = "it is of a pack that is not at hand, or of another release or chain: run it on this one"
_UNJUDGED = "it was compared with nothing: run `mirrorset parity devices`"


@dataclass(frozen=True)
class Evidence:
    """What is known: runs and comparisons by name, benchmark runs, sizes in bytes by sha256.

    digests: of the packs that count: of one release and chain, whole or limited. unjudged: why a
    run could not be compared, a sentence. reference: the name of the run that the
    others are held against, or "".
    """

    runs: Mapping[str, RunRecord]
    comparisons: Mapping[str, Comparison]
    digests: frozenset[str]
    benchmarks: Sequence[BenchmarkRun] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    unjudged: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""


@dataclass
class _Line:
    """What ran, by net, and all that is said of it."""

    keys: dict[str, ParityKey]
    files: dict[str, str] = field(default_factory=dict)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    logs: dict[str, list[BenchmarkRun]] = field(default_factory=dict)


def table_of(pack: PackRecord, evidence: Evidence) -> DeviceTable:
    """The device table of a pack: lines by device, then by standing, then by name."""
    lines = _lines(evidence)
    alone = [run for run in evidence.benchmarks if not _joined(run, lines)]
    rows = [_row(line, evidence) for line in lines]
    rows += [_benchmark_row(run, evidence.sizes) for run in alone]
    return DeviceTable(
        release=pack.release,
        version=pack.version,
        release_digest=pack.release_digest,
        pack_digest=pack.digest,
        chain=pack.chain.name,
        review_state=pack.review_state,
        rows=tuple(sorted(rows, key=_order)),
    )


def runs_on(delegate: str, delegated_share: float | None) -> str:
    """ "CPU", or the delegate; one that took no node is the CPU, whatever was asked for."""
    return delegate if is_accelerator(delegate) and delegated_share != 0 else CPU


def _lines(evidence: Evidence) -> list[_Line]:
    lines: dict[str, _Line] = {}

    def line_of(keys: Mapping[str, ParityKey]) -> _Line:
        return lines.setdefault(_identity(keys), _Line(dict(keys)))

    for name, run in evidence.runs.items():
        line = line_of(run.tried)
        line.runs[name] = run
        line.files |= {net: one.model_file for net, one in run.nets.items()}
        line.files |= {net: one.model_file for net, one in run.not_runnable.items()}
    for name, comparison in evidence.comparisons.items():
        keys = {one.net: one.candidate for one in comparison.nets}
        keys |= {net: one.key for net, one in comparison.not_runnable.items()}
        line = line_of(keys)
        line.comparisons[name] = comparison
        line.files |= {net: one.model_file for net, one in comparison.not_runnable.items()}
    return list(lines.values())


def _identity(keys: Mapping[str, ParityKey]) -> str:
    """Two with the same ran the same in the same place; what share was delegated is a result."""
    told = (f"{net} {keys[net].model_dump_json(exclude={'delegated_share'})}" for net in keys)
    return "\n".join(sorted(told)).casefold()


def _joined(log: BenchmarkRun, lines: Iterable[_Line]) -> bool:
    """Whether the log belongs to lines; they have it then. A failed one timed nothing."""
    if log.failure or log.model_sha256 is None or not log.device:
        return False
    is_joined = False
    for line in lines:
        for net, key in line.keys.items():
            if _is_of(log, key):
                line.logs.setdefault(net, []).append(log)
                is_joined = True
    return is_joined


def _is_of(log: BenchmarkRun, key: ParityKey) -> bool:
    models = [device_name(name).model.casefold() for name in (log.device, key.device)]
    places = [log.delegation.runs_on, runs_on(key.delegate, key.delegated_share)]
    return (
        log.model_sha256 == key.model_sha256
        and models[0] == models[1]
        and places[0].casefold() == places[1].casefold()
        and log.threads in (None, key.threads)
    )


def _row(line: _Line, evidence: Evidence) -> DeviceRow:
    runs = {name: run for name, run in line.runs.items() if run.pack_digest in evidence.digests}
    comparisons = {
        name: one for name, one in line.comparisons.items() if one.pack_digest in evidence.digests
    }
    is_old = not runs and not comparisons
    standing, reasons = _standing(runs, comparisons, evidence)
    logs = [log for logs in line.logs.values() for log in logs]
    names = [*(line.runs if is_old else runs), *(line.comparisons if is_old else comparisons)]
    return DeviceRow(
        device=", then ".join(dict.fromkeys(key.device for key in line.keys.values())),
        nets=tuple(
            _net_row(net, key, line, runs or line.runs, evidence.sizes)
            for net, key in line.keys.items()
        ),
        standing=standing,
        reasons=(_OLD,) if is_old else reasons,
        images=max((one.count for one in comparisons.values()), default=0),
        evidence=tuple(dict.fromkeys([*names, *(log.sources[0].file for log in logs)])),
    )


def _standing(
    runs: Mapping[str, RunRecord], comparisons: Mapping[str, Comparison], evidence: Evidence
) -> tuple[Standing, tuple[str, ...]]:
    said: list[tuple[Standing, tuple[str, ...]]] = []
    for one in comparisons.values():
        standing: Standing = "not_runnable" if one.not_runnable else outcome_of(one)
        said.append((standing, reasons_of(one)))
    for run in runs.values():
        if run.not_runnable:
            stopped = run.not_runnable.items()
            reasons = tuple(f"{net} cannot run: {one.reason}" for net, one in stopped)
            said.append(("not_runnable", reasons))
    if said:
        return min(said, key=lambda each: _WORST_FIRST.index(each[0]))
    if evidence.reference in runs:
        return "not_judged", ("it is the reference that the others are held against",)
    if refused := [evidence.unjudged[name] for name in runs if name in evidence.unjudged]:
        return "not_judged", tuple(each.rstrip(".") for each in refused)
    return "not_judged", (_UNJUDGED,)


def _net_row(
    net: str, key: ParityKey, line: _Line, runs: Mapping[str, RunRecord], sizes: Mapping[str, int]
) -> NetRow:
    shares = [run.tried[net].delegated_share for run in runs.values()]
    logs = line.logs.get(net, [])
    shares += [key.delegated_share, *(log.delegation.share for log in logs)]
    # One that took no node once is not counted on.
    share = min((each for each in shares if each is not None), default=None)
    place = runs_on(key.delegate, share)
    size = sizes.get(key.model_sha256)
    if size is None:
        size = next((round(log.model_mb * 1e6) for log in logs if log.model_mb), None)
    return NetRow(
        net=net,
        model_file=line.files.get(net, ""),
        model_sha256=key.model_sha256,
        size_bytes=size,
        runtime=key.runtime,
        runtime_version=key.runtime_version,
        kernel=key.kernel,
        delegate=key.delegate,
        runs_on=place,
        threads=key.threads,
        delegated_share=share,
        time=_time(net, place, runs, logs),
    )


def _time(
    net: str, place: str, runs: Mapping[str, RunRecord], logs: Sequence[BenchmarkRun]
) -> Time | None:
    """The slowest believable log's; else the slowest believable run's; else what is doubted."""
    told = [*_log_times(logs), *_run_times(net, place, runs)]
    believed = [time for time in told if not time.doubt]
    for times in (believed, told):
        of_logs = [time for time in times if time.source == "log"]
        if of_logs or times:
            return max(of_logs or times, key=lambda time: (time.median_ms, time.evidence))
    return None


def _log_times(logs: Iterable[BenchmarkRun]) -> Iterator[Time]:
    for log in logs:
        took = log.inference
        # The mean stands in where a log has no median.
        median_ms = None if took is None else took.median_ms or took.mean_ms
        if median_ms is not None and median_ms > 0:
            against = [each.detail for each in log.doubts if not log.is_believable]
            yield Time(
                median_ms=median_ms,
                source="log",
                evidence=log.sources[0].file,
                doubt=against[0] if against else "",
            )


def _run_times(net: str, place: str, runs: Mapping[str, RunRecord]) -> Iterator[Time]:
    for name, run in runs.items():
        ran = run.nets.get(net)
        if ran is None or ran.latency is None or not 0 <= ran.latency.median_ms < float("inf"):
            continue
        is_instant = ran.latency.median_ms < SHORTEST_MS and place != CPU
        took_nothing = ran.latency.median_ms == 0
        doubt = (
            f"{ran.latency.median_ms:g} ms are less than starting {place} takes: "
            "time it until the output is read."
        )
        yield Time(
            median_ms=ran.latency.median_ms,
            source="run",
            evidence=name,
            doubt=doubt if is_instant or took_nothing else "",
        )


def _benchmark_row(log: BenchmarkRun, sizes: Mapping[str, int]) -> DeviceRow:
    """A log that belongs to no run: how fast, and never whether it is right."""
    if log.failure:
        reason = log.failure.rstrip(".")
    elif log.model_sha256 is None:
        reason = "the log does not say which file ran: ingest it with --model FILE"
    elif not log.device:
        reason = "the log does not say where it ran: ingest it with --device"
    else:
        reason = "no run of this file came from this device and delegate: nothing says it is right"
    size = sizes.get(log.model_sha256 or "")
    net = NetRow(
        net="",
        model_file=log.model,
        model_sha256=log.model_sha256,
        size_bytes=round(log.model_mb * 1e6) if size is None and log.model_mb else size,
        runtime="LiteRT" if "litert" in log.tool else "TensorFlow Lite",
        delegate=log.delegation.delegate,
        runs_on=log.delegation.runs_on,
        threads=log.threads,
        delegated_share=log.delegation.share,
        time=next(_log_times([log]), None),
    )
    return DeviceRow(
        device=log.device,
        nets=(net,),
        standing="benchmark_failed" if log.failure else "not_judged",
        reasons=(reason,),
        evidence=tuple(source.file for source in log.sources),
    )


_BEST_FIRST: tuple[Standing, ...] = (
    "pass",
    "not_enough_evidence",
    "fail",
    "not_runnable",
    "benchmark_failed",
    "not_judged",
)


def _order(row: DeviceRow) -> tuple[object, ...]:
    files = [(net.net, net.model_file, net.model_sha256 or "", net.kernel) for net in row.nets]
    is_timed = row.latency_ms is not None and row.is_believable
    return (
        row.device.casefold(),
        _BEST_FIRST.index(row.standing),
        not is_timed,
        row.latency_ms or 0,
        files,
        row.evidence,
    )
