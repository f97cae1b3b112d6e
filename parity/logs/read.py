"""A file → the benchmark runs it tells of, each named by what was measured and judged."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mirrorset.errors import InputError, first_fault
from parity.logs.doubts import doubts_of
from parity.logs.lines import decode, runs_in
from parity.logs.litert_json import LitertAnswer, run_from_answer
from parity.logs.records import BenchmarkRun, Source
from parity.logs.text import content_sha256, run_from_lines

_LARGEST_BYTES = 256 * 1024**2
_SIZE_ROUNDING_MB = 0.006  # litert-benchmark rounds to hundredths of a MiB
_ANSWERS = TypeAdapter(LitertAnswer | list[LitertAnswer])


def read_log(path: Path) -> tuple[BenchmarkRun, ...]:
    """The runs in a log of benchmark_model, benchmark_litert_model or litert-benchmark, or in the
    latter's JSON; a run told of twice comes once.

    Raises InputError where the file cannot be read or holds no run.
    """
    return runs_of(_bytes(path), path)


def runs_of(content: bytes, path: Path) -> tuple[BenchmarkRun, ...]:
    """The runs in the bytes of a log, read from `path`. Raises InputError where it holds none."""
    source = Source(file=path.name, sha256=hashlib.sha256(content).hexdigest())
    text = decode(content)
    if text.lstrip().startswith("{"):
        found = _from_json(path, text, source)
    else:
        found = [
            _named(run_from_lines(lines, source), content_sha256(lines)) for lines in runs_in(text)
        ]
    if not found and text.lstrip().startswith("[{"):
        found = _from_json(path, text, source)
    if not found:
        raise InputError(
            f"{path} holds no benchmark run: give what benchmark_model or litert-benchmark "
            "printed, or the latter's JSON."
        )
    return tuple(united(found))


def united(runs: Iterable[BenchmarkRun]) -> list[BenchmarkRun]:
    """The runs, those with the same run_id made one."""
    by_id: dict[str, BenchmarkRun] = {}
    for run in runs:
        known = by_id.get(run.run_id)
        by_id[run.run_id] = run if known is None else completed(run, known)
    return list(by_id.values())


def completed(run: BenchmarkRun, known: BenchmarkRun) -> BenchmarkRun:
    """`run` with what only `known`, another account of it, says; judged by both."""
    said, known_said = run.model_dump(), known.model_dump()
    seen = {source.sha256 for source in run.sources}
    sources = (*run.sources, *(each for each in known.sources if each.sha256 not in seen))
    whole = BenchmarkRun.model_validate(_filled(said, known_said))
    whole = whole.model_copy(
        update={"sources": tuple(sorted(sources, key=lambda each: (each.file, each.sha256)))}
    )
    return judged(whole)


def judged(run: BenchmarkRun) -> BenchmarkRun:
    """The run with its doubts."""
    return run.model_copy(update={"doubts": doubts_of(run)})


def _filled(said: dict[str, object], known: dict[str, object]) -> dict[str, object]:
    filled = dict(said)
    for name, value in known.items():
        own = said.get(name)
        if isinstance(own, dict) and isinstance(value, dict):
            filled[name] = _filled(own, value)
        elif own is None or own is False or own in ("", ()):
            filled[name] = value
    return filled


def of_model(run: BenchmarkRun, model: Path) -> BenchmarkRun:
    """The run as one of the file `model`. Raises InputError where the log gives another size."""
    content = _bytes(model)
    size_mb = len(content) / 1e6
    if run.model_mb is not None and abs(run.model_mb - size_mb) > _SIZE_ROUNDING_MB:
        raise InputError(
            f"{model} has {size_mb:.2f} MB and {run.sources[0].file} is of a model with "
            f"{run.model_mb:.2f} MB: name the file that was on the device."
        )
    return run.model_copy(update={"model_sha256": hashlib.sha256(content).hexdigest()})


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path} is no file: give a log or the JSON of a benchmark tool.")
    if path.stat().st_size > _LARGEST_BYTES:
        raise InputError(
            f"{path} has over {_LARGEST_BYTES // 1024**2} MiB: keep the benchmark's lines, "
            "as `adb logcat -s tflite` does."
        )
    return path.read_bytes()


def _from_json(path: Path, text: str, source: Source) -> list[BenchmarkRun]:
    try:
        answers = _ANSWERS.validate_json(text.encode(errors="replace"))
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(
            f"{path} is JSON of no benchmark run ({where or 'the file'}: {fault}): "
            "give what litert-benchmark writes with --result_json."
        ) from None
    each = answers if isinstance(answers, list) else [answers]
    return [_named(run_from_answer(answer, source), source.sha256) for answer in each]


def _named(run: BenchmarkRun, content: str) -> BenchmarkRun:
    """The run named by what was measured; a failed one, which measured nothing, by its log."""
    inference = run.inference.model_dump() if run.inference else content
    measured = [run.tool, run.model, run.threads, run.init_ms, run.first_inference_ms, inference]
    text = json.dumps(measured, sort_keys=True)
    run_id = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return judged(run.model_copy(update={"run_id": run_id}))
