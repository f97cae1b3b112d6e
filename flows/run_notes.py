"""Notes of what runs did, one file a run below `.mirrorset/runs`: what `mirrorset status` reads.

A run that was killed leaves its note at "running"; `is_alive` tells whether its process is there.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import AwareDatetime, Field, ValidationError

from mirrorset.erasure import Gone, Removed
from mirrorset.files import write_text
from mirrorset.records import Record, utc_now

_LONGEST_FAULT = 500
#: Notes of the last months, at a run each few minutes; older ones are removed.
_KEPT = 10_000


class RunNote(Record):
    """One run of a flow. fault: one sentence on why it failed, was cancelled or waits.

    deployment: name of the deployment that it is a run of, or "" for one by hand. counts: numbers
    of its summary. host, process_id, process_began_at: the process that does the work; the last, a
    time in seconds as the system gives it, tells it from a later one with the same id.
    """

    run_id: str
    flow: str
    deployment: str = ""
    host: str
    process_id: int
    process_began_at: float
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    state: Literal["running", "waiting", "done", "failed", "cancelled"] = "running"
    fault: str = ""
    counts: dict[str, int] = Field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """Whether the process that does the work is there; taken for granted on another host."""
        if self.host != socket.gethostname():
            return True
        try:
            began_at = psutil.Process(self.process_id).create_time()
        except psutil.Error:
            return False
        return abs(began_at - self.process_began_at) < 1


def begun(folder: Path, run_id: str, flow: str, deployment: str = "") -> RunNote:
    """Note that this process has begun a run. folder: the workspace's private one."""
    note = RunNote(
        run_id=run_id,
        flow=flow,
        deployment=deployment,
        host=socket.gethostname(),
        process_id=os.getpid(),
        process_began_at=psutil.Process().create_time(),
        began_at=_began_before(folder, run_id) or utc_now(),
    )
    _write(folder, note)
    return note


def ended(
    folder: Path,
    note: RunNote,
    state: Literal["waiting", "done", "failed", "cancelled"],
    fault: str = "",
    counts: Mapping[str, int] | None = None,
) -> None:
    """Note how a run ended, or that it waits for a person."""
    how = {"state": state, "fault": fault[:_LONGEST_FAULT], "counts": dict(counts or {})}
    _write(folder, note.model_copy(update={"ended_at": utc_now(), **how}))


def read_notes(folder: Path) -> Iterator[RunNote]:
    """All notes, the latest runs first. folder: the workspace's private one."""
    files = sorted(_files(folder), key=lambda file: file.name, reverse=True)
    for file in files:
        try:
            yield RunNote.model_validate_json(file.read_bytes())
        except (ValidationError, FileNotFoundError):
            # Of another version, or removed meanwhile: a note is no truth that work depends on.
            continue


def erase(folder: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove the notes that mention one of the images, as a fault may."""
    held = [file for file in _files(folder) if gone.is_told_in(file.read_bytes())]
    if not is_dry_run:
        for file in held:
            file.unlink(missing_ok=True)
    return [Removed(place="workspace", name="notes of runs", count=len(held))] if held else []


def counts_of(summary: Any, prefix: str = "") -> dict[str, int]:
    """The numbers of a flow's summary by name, those of its parts as "rejected.too_small"."""
    if isinstance(summary, Record):
        summary = dict(summary)
    if not isinstance(summary, Mapping):
        return {}
    counts: dict[str, int] = {}
    for name, value in summary.items():
        if isinstance(value, int):
            counts[f"{prefix}{name}"] = int(value)
        else:
            counts |= counts_of(value, f"{prefix}{name}.")
    return counts


def _write(folder: Path, note: RunNote) -> None:
    runs = folder / "runs"
    began_at = note.began_at.astimezone(UTC)
    if note.state == "running":
        _remove_oldest(runs)
    write_text(runs / f"{_stamp(began_at)}-{note.run_id}.json", note.model_dump_json() + "\n")


def _stamp(at: datetime) -> str:
    """A time as it sorts in file names."""
    return f"{at:%Y%m%dT%H%M%S.%f}"


def _began_before(folder: Path, run_id: str) -> datetime | None:
    """When a run that goes on had begun, as one that has waited for a person."""
    for file in (folder / "runs").glob(f"*-{run_id}.json"):
        with suppress(ValidationError):
            return RunNote.model_validate_json(file.read_bytes()).began_at
    return None


def _files(folder: Path) -> list[Path]:
    return list((folder / "runs").glob("*.json"))


def _remove_oldest(runs: Path) -> None:
    files = sorted(runs.glob("*.json"))
    for file in files[: max(0, len(files) - _KEPT)]:
        file.unlink(missing_ok=True)
