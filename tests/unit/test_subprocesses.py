"""Programs are started without a shell, from a list of arguments, and nothing that is read is run.

What comes from outside stands behind `--`, or behind the option that takes it, and so is none.
"""

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
_PROGRAMS = ("git", "dvc")
#: Options whose next argument is their value, whatever it looks like.
_WITH_VALUE = {"--message", "-n", "--dest", "--target"}
#: What needs no `--` before it, and why.
_PROVEN = {
    "f'{commit}:{name}'": "a commit's hash comes first, as git has told it",
    "*STAGES": "names of dvc.yaml's own stages",
    "*paths": "of `git diff`, behind its `--`",
    "sys.executable": "this Python",
    "__name__": "a module's own name",
    "command": "made of a list in the same module",
    "kernel": "one of a few words",
    "order_path": "of a file that was made below the workspace",
    "ref": "begins with refs/tags/",
}
#: Callables that run what they read.
_RUNNERS = {
    *("eval", "exec", "compile", "__import__", "marshal.load", "marshal.loads", "shelve.open"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "dill.loads", "joblib.load"),
    *("yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "yaml.unsafe_load_all"),
    *("torch.load", "shutil.unpack_archive", "pandas.read_pickle", "tempfile.mktemp"),
}
#: Those that are safe where they are, and why.
_KNOWN = {
    ("crawlers/decoders.py", "pickle.loads"): "between a process and its own children",
    ("mirrorset/written_yaml.py", "yaml.load"): "with a SafeLoader",
    ("annotation/cvat/connection.py", "yaml.load"): "with a SafeLoader",
}


def faults(source: str) -> Iterator[str]:
    """What in a module starts a program through a shell or from one string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield from _mistaken_for_options(node)
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


def _mistaken_for_options(call: ast.Call) -> Iterator[str]:
    called = ast.unparse(call.func)
    if called in _PROGRAMS:
        arguments = call.args[1:]
    elif called in _STARTERS and call.args and isinstance(call.args[0], ast.List):
        arguments = call.args[0].elts[1:]
    else:
        return
    before = ""
    for argument in arguments:
        if isinstance(argument, ast.Constant):
            if argument.value == "--":
                return
            before = str(argument.value)
            continue
        begins = argument.values[0] if isinstance(argument, ast.JoinedStr) else None
        is_plain = isinstance(begins, ast.Constant) and begins.value
        is_known = ast.unparse(argument) in _PROVEN or before in _WITH_VALUE
        if not is_plain and not is_known and not _is_own(argument):
            yield f"{called}: {ast.unparse(argument)} may be taken for an option"
        before = ""


def _is_own(argument: ast.expr) -> bool:
    """Whether it is spread out of a list or tuple, or is a number or this process's own."""
    said = ast.unparse(argument)
    return said.startswith(("*", "str(os.getpid())", "str(port)", "str(threads)", "str(model)"))


def runners(source: str) -> Iterator[str]:
    """What in a module runs, or unpacks as it likes, what it reads."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in _RUNNERS or called.endswith((".extractall", ".extract")):
            yield called
        for one in node.keywords:
            if one.arg == "allow_pickle" and ast.unparse(one.value) != "False":
                yield f"{called} with pickles"


@pytest.mark.parametrize("package", _PACKAGES)
def test_no_module_runs_what_it_reads(package: str) -> None:
    files = sorted((_ROOT / package).rglob("*.py"))
    named = [
        (str(file.relative_to(_ROOT)), one) for file in files for one in runners(file.read_text())
    ]
    assert [one for one in named if one not in _KNOWN] == []


@pytest.mark.parametrize(
    "source",
    [
        "yaml.load(text, Loader=yaml.Loader)",
        "np.load(file, allow_pickle=True)",
        "archive.extractall(folder)",
        "eval('1')",
    ],
)
def test_one_that_would_is_found(source: str) -> None:
    assert list(runners(source))


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
        "git(folder, 'fetch', address)",
        "git(folder, 'tag', f'{name}-1')",
        "import subprocess; subprocess.run(['git', 'fetch', address])",
    ],
)
def test_one_that_did_would_be_found(source: str) -> None:
    assert list(faults(source))
