"""A line of the device table: model files, the place where they run, and what is known of them."""

from typing import Annotated, Literal

from pydantic import Field

from mirrorset.records import Record, Sha256
from parity.records import ReviewState

#: The worst first: of several verdicts on the same files in the same place, the first holds.
Standing = Literal[
    "not_runnable", "fail", "not_enough_evidence", "pass", "benchmark_failed", "not_judged"
]
CPU = "CPU"


class DeviceName(Record):
    """A device as docs/device-protocol.md names it: "Pixel 8, Android 15, Tensor G3".

    system and soc are "" where the name does not have them.
    """

    model: str
    system: str = ""
    soc: str = ""


class Time(Record):
    """One inference of a net.

    source: "run" (the run's own clock, inference alone) or "log" (a benchmark tool's); evidence:
    the run or log. doubt: why it is not believed, a sentence; "" where it is.
    """

    median_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    source: Literal["run", "log"]
    evidence: str
    doubt: str = ""


class NetRow(Record):
    """One model file as it runs in one place.

    net: stage of the chain; "" in a benchmark log, which knows of none. runs_on: "CPU", the
    delegate, or "" where nothing proves either. size_bytes, threads, delegated_share, time: None
    where unknown.
    """

    net: str
    model_file: str
    model_sha256: Sha256 | None
    size_bytes: int | None = None
    runtime: str = ""
    runtime_version: str = ""
    kernel: str = ""
    delegate: str = ""
    runs_on: str = ""
    threads: int | None = None
    delegated_share: float | None = None
    time: Time | None = None

    @property
    def has_refused(self) -> bool:
        """Whether the delegate is an accelerator that took no node: then it is the CPU's work."""
        return is_accelerator(self.delegate) and self.runs_on == CPU


class DeviceRow(Record):
    """The nets of a chain as one run had them, or the one net of a benchmark log.

    reasons: clauses that say what stands against it. images: that were judged. evidence: runs,
    comparisons and logs by name.
    """

    device: str
    nets: tuple[NetRow, ...]
    standing: Standing
    reasons: tuple[str, ...] = ()
    images: int = 0
    evidence: tuple[str, ...] = ()

    @property
    def name(self) -> DeviceName:
        """The device's name in its parts."""
        return device_name(self.device)

    @property
    def latency_ms(self) -> float | None:
        """Medians of all nets together; None where one is not timed."""
        times = [net.time.median_ms for net in self.nets if net.time]
        return round(sum(times), 4) if len(times) == len(self.nets) else None

    @property
    def is_believable(self) -> bool:
        """Whether every net has a time that nothing speaks against."""
        return all(net.time is not None and not net.time.doubt for net in self.nets)

    @property
    def size_bytes(self) -> int | None:
        """Of all files together; None where one is unknown."""
        sizes = [net.size_bytes for net in self.nets if net.size_bytes is not None]
        return sum(sizes) if len(sizes) == len(self.nets) else None

    @property
    def runs_on(self) -> tuple[str, ...]:
        """Where its nets run, each once, in order: ("CPU",), ("GPU", "CPU")."""
        return tuple(dict.fromkeys(net.runs_on for net in self.nets))


class OfPack(Record):
    """What is told of one pack; of release, chain and labels as the pack says."""

    format_version: Literal[1] = 1
    release: str
    version: str
    release_digest: str
    pack_digest: str
    chain: str
    review_state: ReviewState


class DeviceTable(OfPack):
    """All lines."""

    rows: tuple[DeviceRow, ...]


def device_name(device: str) -> DeviceName:
    """The parts of a device's name, which commas divide: model, system, and last the chip."""
    parts = [part.strip() for part in device.split(",")]
    return DeviceName(
        model=parts[0],
        system=parts[1] if len(parts) > 1 else "",
        soc=parts[-1] if len(parts) > 2 else "",
    )


def is_accelerator(delegate: str) -> bool:
    """Whether it is something else than the CPU: XNNPACK and plain kernels are not."""
    return delegate.casefold() not in ("", "none", "xnnpack", "cpu")
