"""The command `mirrorset`: thin and lazy, and the one place where errors become exit codes."""

import errno
import logging
import sys
import tempfile
import traceback

from flows.cli import annotate, models, parity, quarantine, release, stages
from flows.cli import ingest as ingest
from flows.cli import jobs as jobs
from flows.cli import serve as serve
from flows.cli import view as view
from flows.cli.app import app
from flows.cli.examples import add_examples
from mirrorset.errors import InputError, MirrorsetError, UnavailableError
from mirrorset.logs import OURS
from mirrorset.masking import masked
from mirrorset.terminal import Terminal, echo

app.add_typer(annotate.app, name="annotate")
app.add_typer(models.app, name="models")
app.add_typer(parity.app, name="parity")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(release.app, name="release")
app.add_typer(stages.app, name="stage", hidden=True)
add_examples(app)


_BUG = 70  # EX_SOFTWARE of sysexits.h
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


def main() -> None:
    """Run the command line; an error ends as one sentence and its exit code.

    Ours say what to do. Anything else is a bug: its traceback goes to a file.
    """
    for name in OURS:
        logging.getLogger(name).addHandler(_Warnings(logging.WARNING))
    try:
        app()
    except MirrorsetError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        what = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}"
        _say(f"{what}{_remedy(error)}.")
        sys.exit(InputError.exit_code)
    except Exception as error:
        if known := _fault_of_engine(error):
            _say(str(known))
            sys.exit(known.exit_code)
        with tempfile.NamedTemporaryFile(
            "w", prefix="mirrorset-", suffix=".log", delete=False
        ) as log:
            log.write(masked("".join(traceback.format_exception(error))))
        what = f"{type(error).__name__}: {error}"[:200]
        _say(f"This is a bug ({what}): please report it with {log.name}.")
        sys.exit(_BUG)


def _fault_of_engine(error: Exception) -> MirrorsetError | None:
    """What is wrong with Prefect's server, where it is the server that ended the command."""
    from flows.engine import get_current_settings
    from flows.prefect_server import is_silence, version_of

    if is_silence(error):
        return UnavailableError(
            "Prefect's server did not answer in time: run the same again, when this machine is "
            "less busy or, where PREFECT_API_URL is set, that server is up. Where it stays so, see "
            f"that {get_current_settings().home} can be written to and its prefect.db is whole."
        )
    if type(error).__name__ == "PrefectHTTPStatusError":
        try:
            version_of(get_current_settings().api.url or "")
        except MirrorsetError as fault:
            return fault
    return None


def _remedy(error: OSError) -> str:
    if error.errno in _NO_ROOM:
        return "; make room there and run the same again"
    if error.errno in _NO_RIGHT:
        return "; make it writable and run the same again"
    return ""


class _Warnings(logging.Handler):
    """Shows warnings on stderr: Prefect, whose own log stays in its database, would hide them."""

    def emit(self, record: logging.LogRecord) -> None:
        # An error ends the command, which says it.
        if record.levelno > logging.WARNING:
            return
        # Where bars are shown, sys.stderr is theirs and writes above them.
        echo(f"mirrorset: {' '.join(record.getMessage().split())}", is_error=True)


def _say(sentence: str) -> None:
    console = Terminal(stderr=True, highlight=False, soft_wrap=True)
    console.print("mirrorset:", style="bold red", end=" ")
    console.print(" ".join(sentence.split()))
