"""Benchmark runs kept in a folder, one JSON file each, however often their logs are ingested."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mirrorset.errors import InputError
from mirrorset.files import write_text
from parity.logs.read import completed
from parity.logs.records import BenchmarkRun


@dataclass(frozen=True)
class Kept:
    """The runs as they are kept now, and how many were new, told more, or said nothing new."""

    runs: tuple[BenchmarkRun, ...]
    new: int
    extended: int
    known: int


def keep_runs(folder: Path, runs: Iterable[BenchmarkRun]) -> Kept:
    """Keep each run in `folder`; what was known of it stays where `runs` say nothing else."""
    kept: list[BenchmarkRun] = []
    new = extended = known = 0
    for run in runs:
        path = folder / f"{run.run_id}.json"
        before = _read(path) if path.is_file() else None
        now = run if before is None else completed(run, before)
        kept.append(now)
        if before is None:
            new += 1
        elif now == before:
            known += 1
            continue
        else:
            extended += 1
        write_text(path, now.model_dump_json(indent=2) + "\n")
    return Kept(tuple(kept), new, extended, known)


def kept_runs(folder: Path) -> tuple[BenchmarkRun, ...]:
    """All runs kept in `folder`, by model, then by id; none where it is not there."""
    runs = [_read(path) for path in sorted(folder.glob("[0-9a-f]*.json"))]
    return tuple(sorted(runs, key=lambda run: (run.model, run.run_id)))


def _read(path: Path) -> BenchmarkRun:
    try:
        return BenchmarkRun.model_validate_json(path.read_bytes())
    except ValidationError:
        raise InputError(
            f"{path} is no benchmark run of this version: remove it and ingest its log again."
        ) from None
