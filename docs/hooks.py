"""What the site has beside the files of this folder: the commands, read from the code."""

import re
from collections.abc import Iterator
from typing import Any

from mkdocs.structure.files import File, Files
from typer.main import get_command

from flows.cli import app
from flows.cli.examples import EXAMPLES

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the page of commands."""
    files.append(File.generated(config, "commands.md", content="\n".join(_commands())))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name a file of the checkout, which the site does not hold, instead of linking it."""
    return _OUTSIDE.sub(r"\1 (`\2` in the checkout)", markdown)


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "Every command has `--help`. Exit codes: 0 done, 1 an answer of no, 2 wrong usage or"
    yield "settings, 3 bad input, 4 something is not reachable, 5 damaged data, 6 a licence,"
    yield "7 a gate that failed, 70 a bug, 130 Ctrl-C (of `serve` 0).\n"
    yield "With `--json` a command prints one JSON object alone on stdout, of the schema that"
    yield "[answers.json](answers.json) has under its words; faults are sentences on stderr with an"
    yield "exit code. Where a field is renamed or dropped, the changelog says so.\n"
    yield from _described(get_command(app), ["mirrorset"])


def _described(command: Any, path: list[str]) -> Iterator[str]:
    if command.hidden:
        return
    children = getattr(command, "commands", {})
    is_run = not children or command.invoke_without_command
    if len(path) > 1:
        yield f"\n{'#' * min(len(path), 3)} `{' '.join(path)}`\n"
        yield f"{_plain(command.help or '')}\n"
    if is_run and len(path) > 1:
        yield from _parameters(command)
        words = " ".join(path[1:])
        calls = "\n".join(f"mirrorset {words} {each}".rstrip() for each in EXAMPLES[words])
        yield f"```bash\n{calls}\n```\n"
    for name in sorted(children):
        yield from _described(children[name], [*path, name])


def _parameters(command: Any) -> Iterator[str]:
    rows = [one for one in command.params if not getattr(one, "hidden", False)]
    rows = [one for one in rows if "--help" not in one.opts]
    if not rows:
        return
    yield "| argument or option | |\n|---|---|"
    for one in rows:
        is_option = any(name.startswith("-") for name in one.opts)
        names = [*one.opts, *one.secondary_opts] if is_option else [one.name.upper()]
        words = _plain(getattr(one, "help", None) or "").replace("|", "\\|").replace("\n", " ")
        yield f"| {', '.join(f'`{name}`' for name in names)} | {words} |"
    yield ""


def _plain(help_text: str) -> str:
    return help_text.replace("\f", "").strip()
