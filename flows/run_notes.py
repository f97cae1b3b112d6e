"""Notes of what runs did, one file a run below `.mirrorset/runs`: what `mirrorset status` reads.

A run that was killed leaves its note at "running"; `is_alive` tells whether its process is there.
On another host, a container's too, the note's file tells, which a living run touches.
"""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
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
_TOUCH_EVERY_S = 60.0
#: Clocks of hosts and file servers differ, and a machine may be busy.
_SILENT_FOR = timedelta(minutes=5)


class RunNote(Record):
    """One run of a flow. fault: one sentence on why it failed, was cancelled or waits.

    deployment: name of the deployment that it is a run of, or "" for one by hand. counts: numbers
    of its summary. host, process_id, process_began_at: the process that does the work; the last, a
    time in seconds as the system gives it, tells it from a later one with the same id. seen_at:
    when the run last touched its note, known where that was read.
    """

    run_id: str
    flow: str
    deployment: str = ""
    host: str
    process_id: int
    process_began_at: float
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    seen_at: AwareDatetime | None = None
    state: Literal["running", "waiting", "done", "failed", "cancelled"] = "running"
    fault: str = ""
    counts: dict[str, int] = Field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """Whether the process that does the work is there; on another host, was lately."""
        if self.host != socket.gethostname():
            return self.seen_at is not None and utc_now() - self.seen_at < _SILENT_FOR
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


@contextmanager
def touching(folder: Path, note: RunNote) -> Iterator[None]:
    """Touch the note's file now and then while the body runs: a sign of life."""
    is_over = threading.Event()

    def touch() -> None:
        while not is_over.wait(_TOUCH_EVERY_S):
            # An erasure may have removed it.
            with suppress(OSError):
                os.utime(_file(folder, note))

    threading.Thread(target=touch, name="sign of life", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def read_notes(folder: Path) -> Iterator[RunNote]:
    """All notes, the latest runs first. folder: the workspace's private one."""
    files = sorted(_files(folder), key=lambda file: file.name, reverse=True)
    for file in files:
        try:
            note = RunNote.model_validate_json(file.read_bytes())
            seen_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            yield note.model_copy(update={"seen_at": seen_at})
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


def faults_of(summary: Any) -> list[str]:
    """What kept parts of a flow's work from being done, each with the part's name."""
    parts = summary.items() if isinstance(summary, Mapping) else ()
    faults = {name: getattr(part, "fault", "") for name, part in parts}
    return [f"{name}: {fault}" for name, fault in faults.items() if fault]


def _write(folder: Path, note: RunNote) -> None:
    if note.state == "running":
        _remove_oldest(folder / "runs")
    write_text(_file(folder, note), note.model_dump_json(exclude={"seen_at"}) + "\n")


def _file(folder: Path, note: RunNote) -> Path:
    return folder / "runs" / f"{_stamp(note.began_at.astimezone(UTC))}-{note.run_id}.json"


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
