"""What runs have to say, a JSON object a line, in `.mirrorset/logs/mirrorset.jsonl` or on stderr.

    {"time": "2026-01-31T10:00:00.000Z", "level": "INFO", "logger": "flows.engine", "message": "…",
     "run": "…", "step": "crawl", "image_id": null, "host": "…", "pid": 17}

Child processes write to the same file with the run and step of their parent, which they inherit in
their environment; Dask's workers write to stderr. The file is bounded: at 10 MB it becomes
mirrorset.jsonl.1, and so on up to .4.
"""

import fcntl
import json
import logging
import os
import re
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from mirrorset.masking import masked

#: The packages whose loggers are written down; libraries speak to programmers.
OURS = ("flows", "crawlers", "annotation", "curation", "parity", "reports", "faces", "mirrorset")

_FILE = "mirrorset.jsonl"
_LARGEST_BYTES = 10_000_000
_KEPT = 4
_IMAGE_ID = re.compile(r"\b[0-9a-f]{64}\b")
#: How a run's children learn of it: "file:/folder" or "stderr:", the run and the step.
_INHERITED = "_MIRRORSET_LOG"

Where = Literal["file", "stderr"]

_step: ContextVar[tuple[str, str]] = ContextVar("step", default=("", ""))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = masked(record.getMessage())
        run, step = _step.get()
        if run == "":
            run, step = _inherited()[1:]
        named = getattr(record, "image_id", None) or _IMAGE_ID.search(message)
        line = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
            + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "run": run,
            "step": step,
            "image_id": named[0] if isinstance(named, re.Match) else named,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            said = "".join(traceback.format_exception(record.exc_info[1]))
            line["traceback"] = masked(said)
        return json.dumps(line, ensure_ascii=True)


class MaskedFormatter(logging.Formatter):
    """Formats as its base does, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, masked."""
        return masked(super().format(record))


class _File(logging.Handler):
    """Appends whole lines, also where several processes do."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.INFO)
        self._folder = folder
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            with locked(self._folder):
                path = self._folder / _FILE
                if path.exists() and path.stat().st_size > _LARGEST_BYTES:
                    _rotate(self._folder)
                with path.open("a", encoding="ascii") as out:
                    out.write(line + "\n")
        except Exception:
            # A full disk must not end the work, which will say so itself.
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Lose the line."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to the logs of `folder` meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def log_files(folder: Path) -> list[Path]:
    """The JSON logs that are there, the newest first."""
    names = [_FILE, *(f"{_FILE}.{number}" for number in range(1, _KEPT + 1))]
    return [folder / name for name in names if (folder / name).is_file()]


@contextmanager
def written(folder: Path, where: Where, run: str, step: str) -> Iterator[None]:
    """Write down what this process and its children say while the body runs, as part of `run`.

    folder: of the logs; unused for "stderr".
    """
    told = json.dumps([f"{where}:{folder.resolve()}", run, step])
    with _as_part_of(told), _attached(_handler(where, folder)):
        yield


@contextmanager
def at_step(step: str) -> Iterator[None]:
    """Say that what this process and its children log belongs to `step` of the same run."""
    where, run, _ = _inherited()
    with _as_part_of(json.dumps([where, run, step])):
        yield


def handed_on() -> str:
    """What a worker elsewhere needs to know of this run, for `joined`."""
    return json.dumps(_inherited())


@contextmanager
def joined(told: str) -> Iterator[None]:
    """On a worker elsewhere: take part in the run of which `handed_on` has told.

    What this thread says goes to stderr, which is its cluster's log; children write to the same
    place as those of the run, for whom it must be there.
    """
    handler = _handler("stderr", Path())
    own = threading.get_ident()
    handler.addFilter(lambda record: record.thread == own)
    with _as_part_of(told), _attached(handler):
        yield


@contextmanager
def _as_part_of(told: str) -> Iterator[None]:
    _, run, step = json.loads(told)
    before = os.environ.get(_INHERITED)
    os.environ[_INHERITED] = told
    token = _step.set((run, step))
    try:
        yield
    finally:
        _step.reset(token)
        if before is None:
            del os.environ[_INHERITED]
        else:
            os.environ[_INHERITED] = before


def inherit() -> None:
    """In a child process: write to where the parent does, as part of its run; else nowhere."""
    where, _, folder = _inherited()[0].partition(":")
    if where in ("file", "stderr"):
        _attach(_handler("file" if where == "file" else "stderr", Path(folder)))


def _inherited() -> tuple[str, str, str]:
    where, run, step = json.loads(os.environ.get(_INHERITED, '["", "", ""]'))
    return where, run, step


def _handler(where: Where, folder: Path) -> logging.Handler:
    if where == "file":
        return _File(folder)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    return handler


@contextmanager
def _attached(handler: logging.Handler) -> Iterator[None]:
    levels = _attach(handler)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(level)


def _attach(handler: logging.Handler) -> dict[str, int]:
    """Give our loggers the handler; returns the levels that they had."""
    levels = {name: logging.getLogger(name).level for name in OURS}
    for name in OURS:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    return levels


def _rotate(folder: Path) -> None:
    for number in range(_KEPT - 1, 0, -1):
        if (older := folder / f"{_FILE}.{number}").exists():
            older.replace(folder / f"{_FILE}.{number + 1}")
    (folder / _FILE).replace(folder / f"{_FILE}.1")
