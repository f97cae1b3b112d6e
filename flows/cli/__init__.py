"""The command `mirrorset`: thin and lazy, and the one place where errors become exit codes."""

import logging
import sys
import tempfile
import traceback

from rich.console import Console

from flows.cli import annotate, models, parity, quarantine, release, stages
from flows.cli import ingest as ingest
from flows.cli import jobs as jobs
from flows.cli.app import app
from mirrorset.errors import InputError, MirrorsetError

app.add_typer(annotate.app, name="annotate")
app.add_typer(models.app, name="models")
app.add_typer(parity.app, name="parity")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(release.app, name="release")
app.add_typer(stages.app, name="stage", hidden=True)


_BUG = 70  # EX_SOFTWARE of sysexits.h

# Whose warnings are meant for who runs a command; libraries speak to programmers.
_OURS = ("flows", "crawlers", "annotation", "curation", "parity", "reports", "faces", "mirrorset")


def main() -> None:
    """Run the command line; an error ends as one sentence and its exit code.

    Ours say what to do. Anything else is a bug: its traceback goes to a file.
    """
    for name in _OURS:
        logging.getLogger(name).addHandler(_Warnings(logging.WARNING))
    try:
        app()
    except MirrorsetError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        _say(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
        sys.exit(InputError.exit_code)
    except Exception as error:
        with tempfile.NamedTemporaryFile(
            "w", prefix="mirrorset-", suffix=".log", delete=False
        ) as log:
            traceback.print_exception(error, file=log)
        what = " ".join(f"{type(error).__name__}: {error}".split())
        _say(f"This is a bug ({what[:200]}): please report it with {log.name}.")
        sys.exit(_BUG)


class _Warnings(logging.Handler):
    """Shows warnings on stderr: Prefect, whose own log stays in its database, would hide them."""

    def emit(self, record: logging.LogRecord) -> None:
        # Where bars are shown, sys.stderr is theirs and writes above them.
        sys.stderr.write(f"mirrorset: {record.getMessage()}\n")
        sys.stderr.flush()


def _say(sentence: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]mirrorset:[/]", end=" ")
    console.print(sentence, markup=False)
