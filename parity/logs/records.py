"""What is kept of a benchmark run, as far as its log says it. Times are in ms.

A value that the log does not give is None, or "" where it is a text.
"""

from typing import Annotated, Literal

from pydantic import Field

from mirrorset.records import Record, Sha256

Tool = Literal["benchmark_model", "benchmark_litert_model", "litert-benchmark"]
DoubtKind = Literal["asynchronous", "software", "unproven", "contradictory", "profiled"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Timings(Record):
    """Statistics over `count` inferences. p5_ms, p95_ms: percentiles."""

    count: Count | None = None
    mean_ms: Finite | None = None
    first_ms: Finite | None = None
    min_ms: Finite | None = None
    max_ms: Finite | None = None
    std_ms: Finite | None = None
    p5_ms: Finite | None = None
    median_ms: Finite | None = None
    p95_ms: Finite | None = None


class Memory(Record):
    """Growth of the process in MiB, up to the first inference and overall, and its peak."""

    init_mib: Finite | None = None
    overall_mib: Finite | None = None
    peak_mib: Finite | None = None


class Delegation(Record):
    """Which delegate was to run the model, and how much of it it took.

    delegate: "XNNPACK", "GPU", "NNAPI", "CoreML", "QNN", …; "" where the log names none.
    nodes, all_nodes: of the model's graphs, what the delegate took and all. share: nodes over
    all_nodes, 0 to 1. partitions: as the log counts them; may exceed nodes.
    runs_on: "CPU" where nothing but XNNPACK or plain kernels ran, whatever was asked for; else the
    delegate; "" where the log does not prove either.
    """

    delegate: str = ""
    nodes: Count | None = None
    all_nodes: Count | None = None
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    partitions: Count | None = None
    runs_on: str = ""


class Doubt(Record):
    """Why the times are not to be believed as they stand (asynchronous, software, contradictory),
    or what the log leaves open (unproven, profiled). detail: one sentence.
    """

    kind: DoubtKind
    detail: str


class Source(Record):
    """A file that told of the run, and the sha256 of all its bytes."""

    file: str
    sha256: Sha256


class BenchmarkRun(Record):
    """One run of a benchmark tool.

    run_id: names what was measured: text and JSON of one run have the same. failure: why there are
    no timings, one sentence; "" for a run that ended well. model: the file's name on the device.
    model_mb: its size in 10⁶ bytes. model_sha256: of the file that was named as this model.
    first_inference_ms: the very first, before or as part of the warm-up. adapter: what the GPU
    called itself. accelerator: the NNAPI accelerator asked for. errors: as the log has them.
    """

    run_id: str
    sources: tuple[Source, ...]
    tool: Tool
    failure: str = ""
    model: str = ""
    model_mb: Finite | None = None
    model_sha256: Sha256 | None = None
    device: str = ""
    adapter: str = ""
    accelerator: str = ""
    threads: int | None = None
    delegation: Delegation = Delegation()
    init_ms: Finite | None = None
    first_inference_ms: Finite | None = None
    warm_up: Timings | None = None
    inference: Timings | None = None
    memory: Memory = Memory()
    is_profiled: bool = False
    errors: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    @property
    def is_believable(self) -> bool:
        """Whether there are times and nothing speaks against them."""
        untrue = {"asynchronous", "software", "contradictory"}
        return not self.failure and not any(doubt.kind in untrue for doubt in self.doubts)
