"""What can go wrong, as a tree; each message is one sentence that says what, where and what to do.

    MirrorsetError                exit code 1
    ├── SettingsError             2   a setting, parameter or argument is wrong or missing
    ├── InputError                3   a file or folder given by the user cannot be used
    │   └── NotRunnableError              a model file on kernels that cannot run it
    ├── UnavailableError          4   something outside (registry, server) could not be reached
    │   └── OverdueError              it was waited for as long as it may take
    ├── IntegrityError            5   bytes are not what their checksum says
    ├── LicenceError              6   a licence forbids the stated use
    └── GateError                 7   a gate failed: the work is done, the verdict is "no"

A bad *record* is no error: it becomes a `mirrorset.records.Rejected` and the work goes on.
"""

import re
from pathlib import Path

from pydantic import ValidationError


class MirrorsetError(Exception):
    """Base of every error shown to a user, as one sentence.

    may_pass: whether the same may succeed later though nobody has changed anything.
    """

    exit_code = 1
    may_pass = False


class SettingsError(MirrorsetError):
    """A setting, parameter or argument is wrong or missing."""

    exit_code = 2


class InputError(MirrorsetError):
    """A file or folder given by the user cannot be used."""

    exit_code = 3


class NotRunnableError(InputError):
    """A model file and kernels that cannot run it; `reason` is a clause in the runtime's words."""

    def __init__(self, model: Path, kernel: str, reason: str) -> None:
        self.reason = _clause(reason) or "the runtime gave no reason"
        super().__init__(
            f"{model} cannot run on the {kernel} kernels ({self.reason}): choose other kernels, or "
            "convert the model for these."
        )


class UnavailableError(MirrorsetError):
    """Something outside this machine, or a tool on it, could not be reached."""

    exit_code = 4
    may_pass = True


class OverdueError(UnavailableError):
    """Something outside was waited for as long as it may take: who tries again doubles the wait."""


class IntegrityError(MirrorsetError):
    """Bytes are not what their checksum says."""

    exit_code = 5


class LicenceError(MirrorsetError):
    """A licence forbids the stated use."""

    exit_code = 6


class GateError(MirrorsetError):
    """A gate failed: the work is done and its verdict is "no"."""

    exit_code = 7


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where the first value is that does not fit, as "sources.0.url", and in words why.

    The place of a value that is wrong as a whole is "".
    """
    first = error.errors(include_url=False, include_input=False)[0]
    # Pydantic's own words before those of a validator of ours.
    return ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")


def _clause(said: str) -> str:
    """A library's message of several lines as one clause without links."""
    text = re.sub(r"\s*See instructions: \S+", ".", " ".join(said.split()))
    return re.sub(r"\.+\s+", "; ", text).strip(" .;")
