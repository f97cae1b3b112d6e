"""The Typer application, the options that every command shares, and how results are shown."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel
from pydantic_core import to_json, to_jsonable_python

from flows import guard
from flows.progress import watched
from mirrorset.terminal import echo, echo_json

app = typer.Typer(
    name="mirrorset",
    epilog="Start with `mirrorset doctor`, then `mirrorset demo`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _told_version(is_asked: bool) -> None:
    if is_asked:
        echo(version("mirrorset"))
        raise typer.Exit


@app.callback()
def mirrorset(
    is_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which mirrorset this is.", callback=_told_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Crawl, annotate and version openly licensed face images, and test models on them."""
    del is_version


Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="MIRRORSET_HOME",
        help="The workspace, as made by `mirrorset init`.",
        show_default="this folder",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

#: Typer's default for --home.
HERE = Path()

Result = BaseModel | Mapping[str, object]


@contextmanager
def working(is_json: bool, home: Path | None = None) -> Iterator[None]:
    """Show progress while the body works, unless JSON was asked for; leave nothing running.

    home: the workspace that the body needs, looked at before Prefect takes its time to start.
    """
    if home is not None:
        from mirrorset.workspace import open_workspace

        open_workspace(home)
    guard.start()
    with watched(is_shown=not is_json):
        yield


def show(result: Result, is_json: bool, title: str) -> None:
    """Print a result: one JSON object (`flows.cli.answers`), or a line for each name and value."""
    if is_json:
        # JSON has no infinity: it is the text "Infinity", as in the files that hold it.
        echo_json(to_json(result, indent=2, inf_nan_mode="strings").decode())
        return
    values = to_jsonable_python(result)
    lines = [(name.replace("_", " "), value) for name, value in _flat(values)]
    width = max((len(name) for name, _ in lines), default=0)
    echo(title)
    for name, value in lines:
        echo(f"  {name:<{width}}  {value}")


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name} · ")
        elif isinstance(value, list):
            yield f"{prefix}{name}", ", ".join(str(item) for item in value) or "none"
        else:
            yield f"{prefix}{name}", _worded(value)


def _worded(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "", {}) else str(value)
