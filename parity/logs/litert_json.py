"""The JSON that litert-benchmark writes with --result_json."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from parity.logs.delegates import litert_delegation
from parity.logs.records import BenchmarkRun, Count, Finite, Source, Timings
from parity.logs.text import in_mb, model_name

Ms = Annotated[Finite, Field(ge=0)]


class _Answer(BaseModel):
    """Fields that are read; a newer version may write more."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Latency(_Answer):
    init_ms: Ms | None = None
    warmup_first_ms: Ms | None = None
    warmup_avg_ms: Ms | None = None
    num_warmup_runs: Count | None = None
    avg_ms: Ms
    min_ms: Ms | None = None
    max_ms: Ms | None = None
    median_ms: Ms | None = None
    std_ms: Ms | None = None
    p5_ms: Ms | None = None
    p95_ms: Ms | None = None
    num_runs: Count | None = None


class LitertAnswer(_Answer):
    """One result as litert-benchmark writes it."""

    model: str
    model_size_mb: Finite | None = None
    accelerators: list[str] = []
    fully_accelerated: bool | None = None
    num_threads: int | None = None
    latency: _Latency


def run_from_answer(answer: LitertAnswer, source: Source) -> BenchmarkRun:
    """The run that `answer` tells of, not yet named or judged (`parity.logs.read`)."""
    took = answer.latency
    warm_up = None
    if took.num_warmup_runs:
        warm_up = Timings(count=took.num_warmup_runs, mean_ms=took.warmup_avg_ms)
    failure = "" if took.avg_ms > 0 else f"The mean time is {took.avg_ms} ms, which none takes."
    delegation = litert_delegation(tuple(answer.accelerators), answer.fully_accelerated)
    if failure:
        delegation = delegation.model_copy(update={"runs_on": ""})
    return BenchmarkRun(
        run_id="",
        sources=(source,),
        tool="litert-benchmark",
        failure=failure,
        model=model_name(answer.model),
        model_mb=in_mb(answer.model_size_mb),
        threads=answer.num_threads,
        delegation=delegation,
        init_ms=took.init_ms,
        first_inference_ms=took.warmup_first_ms or None,
        warm_up=warm_up,
        inference=None
        if failure
        else Timings(
            count=took.num_runs,
            mean_ms=took.avg_ms,
            min_ms=took.min_ms,
            max_ms=took.max_ms,
            std_ms=took.std_ms,
            p5_ms=took.p5_ms,
            median_ms=took.median_ms,
            p95_ms=took.p95_ms,
        ),
    )
