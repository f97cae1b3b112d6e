"""The command `mirrorset`: thin and lazy, and the one place where errors become exit codes."""

import sys

from rich.console import Console

from flows.cli import jobs as jobs
from flows.cli import models, parity, stages
from flows.cli.app import app
from mirrorset.errors import MirrorsetError

app.add_typer(models.app, name="models")
app.add_typer(parity.app, name="parity")
app.add_typer(stages.app, name="stage", hidden=True)


def main() -> None:
    """Run the command line; an error of ours ends as one sentence and its exit code."""
    try:
        app()
    except MirrorsetError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("[bold red]mirrorset:[/]", end=" ")
        console.print(str(error), markup=False)
        sys.exit(error.exit_code)
