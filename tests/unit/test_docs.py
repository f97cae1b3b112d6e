"""The documentation and --help are whole: no warning, no dead link, commands that there are."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_pages import CALLED, FENCE, PAGES, ROOT, SCRIPTS
from typer.main import get_command

from flows.cli import app
from flows.cli.answers import ANSWERS, schema
from flows.cli.examples import EXAMPLES

#: Before a comment, a pipe or what comes after the command.
END = re.compile(r"\s+#|\s{2,}|\s+(?:&&|\|\|?|;)\s|$")
STEP = re.compile(r"(?:^|&& )(?:[A-Z_]+=\S+ )*mirrorset (?=[a-z])", re.M)


def commands() -> Iterator[tuple[str, str]]:
    """Each page's name with each call of `mirrorset` in it."""
    for page, script in [*SCRIPTS.items(), ("--help", "\n".join(CALLED))]:
        text = re.sub(r"\\\n\s*", "", script)
        for found in STEP.finditer(text):
            rest = text[found.end() :].split("\n", 1)[0]
            yield page, rest[: END.search(rest).start()]  # type: ignore[union-attr]


COMMAND = get_command(app)


CALLS = sorted(set(commands()))


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    assert "mirrorset annotate push" in (tmp_path / "site/commands/index.html").read_text()


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}: {call}" for page, call in CALLS])
def test_a_command_is_one_that_there_is(page: str, call: str) -> None:
    del page
    words = [word for word in shlex.split(call) if word not in ("…", "...")]
    command: Any = COMMAND
    context = command.make_context("mirrorset", [], resilient_parsing=True)
    while words and getattr(command, "commands", None) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        context = command.make_context(command.name, [], parent=context, resilient_parsing=True)
    assert not getattr(command, "commands", None) or command.invoke_without_command, call
    # Raises where an option is unknown, or a value is none that it takes.
    if not is_cut(call):
        command.make_context(command.name, words, parent=context.parent)


def is_cut(call: str) -> bool:
    """Whether the page shows only how a call begins."""
    return call.endswith("…")


def test_every_block_says_its_language() -> None:
    said = {language for page in PAGES for language, _ in FENCE.findall(page.read_text("utf-8"))}
    assert said == {"bash", "json", "python", "text", "toml", "yaml"}


def test_the_pages_call_commands() -> None:
    assert len(CALLS) > 50


def test_every_command_has_an_example() -> None:
    def named(command: Any, before: str = "") -> Iterator[str]:
        children = getattr(command, "commands", {})
        if before and (not children or command.invoke_without_command):
            yield before.strip()
        for name, child in children.items():
            if not child.hidden:
                yield from named(child, f"{before} {name}")

    assert set(named(COMMAND)) == set(EXAMPLES)


def with_json(command: Any, before: str = "") -> Iterator[str]:
    """The words of each command that takes --json."""
    if any("--json" in one.opts for one in command.params) and before:
        yield before.strip()
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from with_json(child, f"{before} {name}")


def test_every_command_answers_in_json_and_its_schema_is_in_the_docs() -> None:
    assert set(with_json(COMMAND)) == set(ANSWERS) == set(EXAMPLES)
    written = json.loads((ROOT / "docs/answers.json").read_text())
    assert written == json.loads(json.dumps(schema())), (
        "What --json prints is another than docs/answers.json says. Where that is meant, write it "
        "anew with `python -m flows.cli.answers > docs/answers.json` and say so in CHANGELOG.md."
    )


def test_the_errors_in_question_are_ones_that_are_said() -> None:
    said = (ROOT / "Makefile").read_text() + "".join(
        file.read_text(encoding="utf-8")
        for package in ("flows", "curation", "mirrorset", "reports")
        for file in (ROOT / package).rglob("*.py")
    )
    quoted = re.findall(r'^## "(.+?)"', (ROOT / "docs/faq.md").read_text(encoding="utf-8"), re.M)
    assert len(quoted) >= 6
    for sentence in quoted:
        for part in sentence.split("…"):
            assert part.strip(" .:") in said, sentence
