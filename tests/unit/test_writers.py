"""What is written for people passes one escaper a format: no module writes it in another way."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = (
    *("flows", "crawlers", "annotation", "curation", "parity", "reports", "faces", "mirrorset"),
)
#: Ways to write a table or a page, each with the one module that may use it.
_WRITERS = {
    "csv.writer": "mirrorset/spreadsheets.py",
    "csv.DictWriter": "mirrorset/spreadsheets.py",
    "to_csv": "",
    "savetxt": "",
    "write_csv": "",
    "Environment": "reports/environment.py",
    "Template": "",
    "Markup": "reports/environment.py",
    "HTMLResponse": "",
    "Console": "mirrorset/terminal.py",
    "sys.stdout.write": "mirrorset/terminal.py",
    "sys.stderr.write": "mirrorset/terminal.py",
    "typer.echo": "",
    "click.echo": "",
    "secho": "",
}
#: What draws on a terminal, and by itself on one of its own.
_DRAWN = ("Progress", "Live")
#: Speak to other programs by these.
_PROTOCOLS = ("crawlers/child.py", "parity/runtimes/probe.py", "flows/cli/answers.py")
#: Markup that a value is put into; the demo's gallery plays a site that is crawled.
_MARKUP = re.compile(r"<(html|script|a|img|table|td|div|svg|p|li|b|style)\b", re.IGNORECASE)
_PLAYS_A_SITE = "flows/demo/"
#: What only who writes tables in Markdown says.
_HEADS = ("| --- |", "---")


def faults(file: str, source: str) -> Iterator[str]:
    """What in a module writes markup or tables past the escapers."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            for name, module in _WRITERS.items():
                is_it = called == name or (called.endswith(f".{name}") and "." not in name)
                if is_it and file not in (module, *_PROTOCOLS) and "litert" not in file:
                    yield called
            is_drawn = called.rpartition(".")[2] in _DRAWN
            if is_drawn and not any(one.arg == "console" for one in node.keywords):
                yield f"{called} on a console of its own"
            yield from (
                "autoescape off"
                for one in node.keywords
                if one.arg == "autoescape" and ast.unparse(one.value) != "True"
            )
        if isinstance(node, ast.JoinedStr) and not file.startswith(_PLAYS_A_SITE):
            parts = [str(one.value) for one in node.values if isinstance(one, ast.Constant)]
            if _MARKUP.search("".join(parts)):
                yield f"markup of its own: {ast.unparse(node)[:40]}"
        is_head = isinstance(node, ast.Constant) and str(node.value) in _HEADS
        if is_head and "escaped" not in source:
            yield "a table in Markdown that nothing escapes"


@pytest.mark.parametrize("package", _PACKAGES)
def test_every_module_writes_through_the_escapers(package: str) -> None:
    found = []
    for path in sorted((_ROOT / package).rglob("*.py")):
        file = str(path.relative_to(_ROOT))
        found += [f"{file}: {one}" for one in faults(file, path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import csv; csv.writer(out).writerows(rows)",
        "frame.to_csv(path)",
        "jinja2.Environment(autoescape=False)",
        "Markup(author)",
        "page = f'<a href={address}>{author}</a>'",
        "lines = ['| author |', '| --- |', f'| {author} |']",
        "rich.console.Console().print(author)",
        "typer.echo(author)",
        "sys.stderr.write(author)",
        "Live(author)",
    ],
)
def test_one_that_does_not_would_be_found(source: str) -> None:
    assert list(faults("curation/new.py", source))


def test_no_template_switches_the_escaper_off() -> None:
    for template in (_ROOT / "reports/templates").glob("*.j2"):
        words = template.read_text()
        assert "|safe" not in words.replace(" ", "")
        assert "autoescape" not in words
