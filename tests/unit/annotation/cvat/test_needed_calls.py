"""`NEEDED` names exactly the calls that the modules of annotation/cvat make, by their source.

A call is a method and a path: `connection.call("GET", "/api/jobs")`, or `connection.pages(path)`,
where the path is written there, or is a name that was given one in the same function.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import annotation.cvat
from annotation.cvat.connection import NEEDED

SOURCES = sorted(Path(annotation.cvat.__file__).parent.glob("*.py"))
#: Asked before it is known whether the server has what is needed.
BEFORE = {"GET /api/server/about", "GET /api/schema"}
#: Where a path is a parameter, so that the caller names it.
HANDED_ON = {("connection.py", "pages"), ("waiting.py", "_start")}


def in_one_form(call: str) -> str:
    """Without the parameters' names and a slash at the end, which the server does not mind."""
    return re.sub(r"\{[^}]*\}", "{}", call).rstrip("/")


def written(node: ast.expr, names: dict[str, ast.expr]) -> str | None:
    """A path as the code writes it, {} for what is filled in."""
    match node:
        case ast.Constant(value=str(path)):
            return path
        case ast.JoinedStr(values=parts):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts
            )
        case ast.Name(id=name) if name in names:
            return written(names[name], names)
        case ast.Call(func=ast.Name(id="request_path")):
            return "/api/requests/{}"
    return None


def calls_in(file: str, source: str) -> Iterator[str]:
    """Every call in a module's text. Fails where a path cannot be told."""
    tree = ast.parse(source)
    holders = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    outermost = [node for holder in holders for node in holder.body]
    for function in (node for node in outermost if isinstance(node, ast.FunctionDef)):
        names = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="call"),
                    args=[ast.Constant(value=str(method)), target, *_],
                ):
                    pass
                case ast.Call(func=ast.Attribute(attr="pages"), args=[target, *_]):
                    method = "GET"
                case _:
                    continue
            path = written(target, names)
            if path is None:
                assert (file, function.name) in HANDED_ON, f"{file}:{node.lineno}: no path is told"
                continue
            yield in_one_form(f"{method} {path}")


def made() -> set[str]:
    return {call for file in SOURCES for call in calls_in(file.name, file.read_text("utf-8"))}


def test_what_is_needed_is_what_is_called() -> None:
    assert {in_one_form(call) for call in NEEDED} == made() - BEFORE
    assert len(set(NEEDED)) == len(NEEDED)


@pytest.mark.parametrize(
    "line",
    [
        'connection.call("PUT", f"/api/jobs/{job}/annotations/", body={})',
        'path = f"/api/jobs/{job}/annotations/"; connection.call("PUT", path)',
    ],
)
def test_calls_are_read_from_the_source(line: str) -> None:
    assert list(calls_in("x.py", f"def f(connection, job):\n    {line}")) == [
        "PUT /api/jobs/{}/annotations"
    ]


def test_a_path_from_elsewhere_is_no_secret() -> None:
    with pytest.raises(AssertionError, match=r"x\.py:2"):
        list(calls_in("x.py", "def f(connection, path):\n    connection.call('GET', path)"))
