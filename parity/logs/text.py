"""The lines of one run → what they say: benchmark_model's, and litert-benchmark's on a terminal."""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from parity.logs.delegates import delegation_of
from parity.logs.lines import Line
from parity.logs.records import BenchmarkRun, Memory, Source, Timings, Tool

MIB_IN_MB = 1.048576
_NUMBER = r"([-+]?(?:\d{1,30}\.?\d{0,30}|\.\d{1,30}|nan|inf)(?:[eE][-+]?\d{1,4})?)"
_MOST_ERRORS = 20


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("NUMBER", _NUMBER), re.ASCII)


_MODEL = _compiled(
    r"(?:Graph: \[(?P<graph>.+)\]$|Loading model from: +(?P<from>.+)|Model:  +(?P<of>\S.*)"
    r"|Loaded model (?P<loaded>.+)|Model file not found: (?P<lost>.+))"
)
_SIZE_MB = _compiled(r"The input model file size \(MB\): NUMBER")
_SIZE_MIB = _compiled(r"Model size: +NUMBER MB")
_THREADS = _compiled(r"(?:#threads used for CPU inference: \[|Num threads: (?:\[| +))(\d{1,6})\b")
_SESSION = _compiled(r"(?:Initialized session in NUMBERms|Model initialization: +NUMBER ms)")
_TIMINGS = _compiled(
    r"Inference timings in us: Init: NUMBER, First inference: NUMBER, "
    r"(?:Warmup \(avg\): NUMBER, )?(?:Inference|no stats) \(avg\): NUMBER"
)
_STATISTIC = _compiled(
    r"(?P<of>Warmup|Inference) \((?P<name>avg|first|min|max|median|std|p5|p95)\): +NUMBER"
    r"(?: ms)?(?: \((?P<runs>\d{1,9}) runs\))?"
)
_PAIR = _compiled(r"(\w{1,12})=NUMBER")
_MEMORY_MIB = _compiled(
    r"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    r"init=NUMBER overall=NUMBER"
)
_FOOTPRINT_MIB = _compiled(r"(Init|Overall) footprint: +NUMBER MB")
_PEAK_MIB = _compiled(
    r"(?:Overall peak memory footprint \(MB\) via periodic monitoring: NUMBER"
    r"|Peak memory: +NUMBER MB)"
)
_DEVICE = _compiled(r"\[ro\.product\.(?:vendor\.)?model\]: \[(.+)\]$")
_ADAPTER = _compiled(r"Selected adapter: (.+)")
_ACCELERATOR = _compiled(r"NNAPI accelerator name: \[(.+)\]$")
_PROFILED = _compiled(r"Enable op profiling: \[(?:1|true)\]")
_TOOLS: tuple[tuple[Tool, re.Pattern[str]], ...] = (
    ("litert-benchmark", _compiled(r"(?:Accelerators: |Model file not found: )")),
    ("benchmark_litert_model", _compiled(r"(?:Loading model from: |=+ BENCHMARK RESULTS =)")),
)
_FAILED = _compiled(
    r"(?:Benchmarking failed|Failed to |Aborted|Segmentation fault|Disallowed CPU fallback"
    r"|Error: |(?:\w+\.)*\w*(?:Error|Exception): )"
)
_NAMES = {"avg": "mean_ms"}


def run_from_lines(lines: Sequence[Line], source: Source) -> BenchmarkRun:
    """The run that printed `lines`, not yet named or judged (`parity.logs.read`)."""
    messages = [line.message for line in lines]
    passes = [_pass(message) for message in messages if message.startswith("count=")]
    summary = _summary(messages)
    warm_up = _completed(summary.warm_up, passes, is_warm_up=True)
    inference = _completed(summary.inference, passes, is_warm_up=False)
    errors = tuple(_errors(lines))
    failure = _failure(messages, errors, inference)
    delegation = delegation_of(lines)
    if failure:
        delegation = delegation.model_copy(update={"runs_on": ""})
    path = next(filter(None, _first(_MODEL, messages)), "")
    size_mb, size_mib = _number(_SIZE_MB, messages), _number(_SIZE_MIB, messages)
    threads = _first(_THREADS, messages)
    return BenchmarkRun(
        run_id="",
        sources=(source,),
        tool=_tool(messages),
        failure=failure,
        model=model_name(path),
        model_mb=in_mb(size_mib) if size_mb is None else size_mb,
        device=_text(_DEVICE, messages),
        adapter=_text(_ADAPTER, messages),
        accelerator=_text(_ACCELERATOR, messages),
        threads=int(threads[0]) if threads and threads[0] else None,
        delegation=delegation,
        init_ms=summary.init_ms,
        first_inference_ms=summary.first_ms,
        warm_up=warm_up,
        inference=None if failure else inference,
        memory=_memory(messages),
        is_profiled=any(_PROFILED.match(message) for message in messages),
        errors=errors,
    )


def model_name(path: str) -> str:
    """The file's name, of a path of any system."""
    return re.split(r"[/\\]", path.strip())[-1]


def in_mb(size_mib: float | None) -> float | None:
    """MiB, which litert-benchmark calls MB, in 10⁶ bytes."""
    return None if size_mib is None else round(size_mib * MIB_IN_MB, 3)


def content_sha256(lines: Sequence[Line]) -> str:
    """sha256 of what the lines say, without their prefixes."""
    text = "\n".join(line.message for line in lines)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


class _Summary:
    """What the summary at the end of a run says, in ms."""

    def __init__(self) -> None:
        self.init_ms: float | None = None
        self.first_ms: float | None = None
        self.warm_up: dict[str, Any] = {}
        self.inference: dict[str, Any] = {}


def _summary(messages: Sequence[str]) -> _Summary:
    said = _Summary()
    said.init_ms = next(
        (_finite(value) for value in _first(_SESSION, messages) if value is not None), None
    )
    for message in messages:
        if found := _TIMINGS.match(message):
            init, first, warm_up, inference = (_from_us(value) for value in found.groups())
            said.init_ms, said.first_ms = init, first
            said.warm_up["mean_ms"], said.inference["mean_ms"] = warm_up, inference
        elif found := _STATISTIC.match(message):
            value = _finite(found[3])
            if found["of"] == "Warmup" and found["name"] == "first":
                said.first_ms = value or None
                continue
            of = said.warm_up if found["of"] == "Warmup" else said.inference
            of[_NAMES.get(found["name"], f"{found['name']}_ms")] = value
            if found["runs"]:
                of["count"] = int(found["runs"])
    return said


def _pass(message: str) -> Timings:
    """A line `count=…` with whatever fields it has, in µs; one inference is its own statistics."""
    us = {name: _from_us(value) for name, value in _PAIR.findall(message)}
    count = _count(message)
    if count == 1:
        only = us.get("curr", us.get("avg"))
        for name in ("first", "min", "max", "avg", "p5", "median", "p95"):
            us.setdefault(name, only)
        us.setdefault("std", 0.0)
    return Timings(
        count=count,
        mean_ms=us.get("avg"),
        first_ms=us.get("first"),
        min_ms=us.get("min"),
        max_ms=us.get("max"),
        std_ms=us.get("std"),
        p5_ms=us.get("p5"),
        median_ms=us.get("median"),
        p95_ms=us.get("p95"),
    )


def _completed(
    stated: dict[str, Any], passes: Sequence[Timings], *, is_warm_up: bool
) -> Timings | None:
    """The summary's statistics, with the more precise ones of its own pass where there is one.

    A pass is known by its mean. Warm-up comes first; without a summary, the first pass is it.
    """
    if stated.get("count") == 0:
        return None
    mean_ms = stated.get("mean_ms")
    if mean_ms is None:
        if is_warm_up and passes:
            return passes[0]
        return Timings(**stated) if any(value is not None for value in stated.values()) else None
    for each in passes if is_warm_up else reversed(passes):
        if each.mean_ms is not None and math.isclose(
            each.mean_ms, mean_ms, rel_tol=1e-4, abs_tol=0.0051
        ):
            precise = {name: value for name, value in each if value is not None}
            return Timings(**{**stated, **precise})
    return Timings(**stated)


def _errors(lines: Sequence[Line]) -> Iterator[str]:
    seen: set[str] = set()
    for line in lines:
        is_plain = line.level == "" and _FAILED.match(line.message)
        if (line.is_error or is_plain) and line.message not in seen and len(seen) < _MOST_ERRORS:
            seen.add(line.message)
            yield line.message[:300]


def _failure(messages: Sequence[str], errors: Sequence[str], inference: Timings | None) -> str:
    """Why there is no result, in a sentence; the first error is what the others follow from."""
    cause = f"{errors[0].rstrip('.')}." if errors else ""
    if any(message.startswith("Benchmarking failed") for message in messages):
        return cause or "Benchmarking failed."
    mean_ms = inference.mean_ms if inference else None
    if mean_ms is None:
        return cause or "The log ends before the timed runs: the tool was stopped or crashed."
    if mean_ms <= 0:
        return f"The mean time is {mean_ms} ms, which no inference takes."
    return ""


def _tool(messages: Sequence[str]) -> Tool:
    for tool, own_words in _TOOLS:
        if any(own_words.match(message) for message in messages):
            return tool
    return "benchmark_model"


def _memory(messages: Sequence[str]) -> Memory:
    mib: dict[str, float | None] = {}
    for message in messages:
        if found := _MEMORY_MIB.match(message):
            mib["init_mib"], mib["overall_mib"] = _finite(found[1]), _finite(found[2])
        elif found := _FOOTPRINT_MIB.match(message):
            mib[f"{found[1].lower()}_mib"] = _finite(found[2])
        elif found := _PEAK_MIB.match(message):
            mib["peak_mib"] = _finite(found[1] or found[2])
    # A system that does not tell is given as 0.
    return Memory(**{name: value for name, value in mib.items() if value and value > 0})


def _first(pattern: re.Pattern[str], messages: Sequence[str]) -> tuple[str | None, ...]:
    found = (pattern.match(message) for message in messages)
    return next((each.groups() for each in found if each), ())


def _text(pattern: re.Pattern[str], messages: Sequence[str]) -> str:
    return next(filter(None, _first(pattern, messages)), "")


def _number(pattern: re.Pattern[str], messages: Sequence[str]) -> float | None:
    return _finite(_text(pattern, messages))


def _count(message: str) -> int | None:
    digits = re.match(r"count=(\d{1,12})", message, re.ASCII)
    return int(digits[1]) if digits else None


def _from_us(text: str | None) -> float | None:
    us = _finite(text)
    return None if us is None else round(us / 1000, 6)


def _finite(text: str | None) -> float | None:
    """The number, or None where there is none or it is infinite."""
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None
