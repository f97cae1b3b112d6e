"""What can go wrong, as a tree; each message is one sentence that says what, where and what to do.

    MirrorsetError                exit code 1
    ├── SettingsError             2   a setting, parameter or argument is wrong or missing
    ├── InputError                3   a file or folder given by the user cannot be used
    ├── UnavailableError          4   something outside (registry, server) could not be reached
    │   └── OverdueError              it was waited for as long as it may take
    ├── IntegrityError            5   bytes are not what their checksum says
    ├── LicenceError              6   a licence forbids the stated use
    └── GateError                 7   a gate failed: the work is done, the verdict is "no"

A bad *record* is no error: it becomes a `mirrorset.records.Rejected` and the work goes on.
"""


class MirrorsetError(Exception):
    """Base of every error shown to a user, as one sentence."""

    exit_code = 1


class SettingsError(MirrorsetError):
    """A setting, parameter or argument is wrong or missing."""

    exit_code = 2


class InputError(MirrorsetError):
    """A file or folder given by the user cannot be used."""

    exit_code = 3


class UnavailableError(MirrorsetError):
    """Something outside this machine, or a tool on it, could not be reached."""

    exit_code = 4


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
