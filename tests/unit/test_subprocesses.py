"""Programs are started without a shell, from a list of arguments."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = (
    *("flows", "crawlers", "annotation", "curation", "parity", "reports", "faces", "mirrorset"),
)
_SHELLS = {
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("asyncio.create_subprocess_shell", "commands.getoutput", "pty.spawn"),
}
_STARTERS = {
    f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")
}


def faults(source: str) -> Iterator[str]:
    """What in a module starts a program through a shell or from one string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in ("subprocess", "os", "pty"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (f"{name} under a name of its own" for name in names & (_SHELLS | _STARTERS))
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in _SHELLS:
            yield called
        if any(one.arg == "shell" and ast.unparse(one.value) != "False" for one in node.keywords):
            yield f"{called} with a shell"
        if called in _STARTERS and (
            not node.args or not isinstance(node.args[0], ast.List | ast.Name)
        ):
            yield f"{called} without a list of arguments"


@pytest.mark.parametrize("package", _PACKAGES)
def test_no_module_starts_a_shell(package: str) -> None:
    files = sorted((_ROOT / package).rglob("*.py"))
    assert files
    found = [f"{file}: {one}" for file in files for one in faults(file.read_text())]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.system('ls')",
        "import subprocess; subprocess.run(['ls'], shell=True)",
        "import subprocess; subprocess.run(f'git add {path}')",
        "from subprocess import run",
    ],
)
def test_one_that_did_would_be_found(source: str) -> None:
    assert list(faults(source))
