"""What doctor says of this machine and of a workspace, check by check; servers are elsewhere."""

import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from crawlers.sources.flickr import KEY_VARIABLE
from crawlers.sources.openverse import ID_VARIABLE
from flows.cli import app
from flows.doctor import Finding, examine
from flows.doctor.findings import Check, examined, ok
from flows.doctor.machine import locked_packages, required_packages
from flows.doctor.places import disk, report_port, secret_files, ui_port, webhook_port
from flows.doctor.servers import on_postgresql
from mirrorset.catalogue.tallies import stored_bytes
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.masking import hide
from mirrorset.workspace import Workspace, init, open_workspace

_CHECKOUT = Path(__file__).parents[3]
_NOBODY = 65534
_AS_NOBODY = f"""
import os, sys
from pathlib import Path
from flows.doctor.places import folders
from mirrorset.settings import Settings
from mirrorset.workspace import Workspace
home = Path(sys.argv[1])
os.setgid({_NOBODY})
os.setuid({_NOBODY})
print(*folders(Workspace(home, Settings(blobs_url=str(home / "blobs"), cache=home))))
"""


class Usage(NamedTuple):
    """As shutil tells it."""

    total: int
    used: int
    free: int


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init(tmp_path_factory.mktemp("made") / "faces").home


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(made, tmp_path / "faces")
    return open_workspace(tmp_path / "faces")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def _params(workspace: Workspace, text: str) -> None:
    file = workspace.params_file
    file.write_text(file.read_text() + text)


def _of(home: Path) -> dict[str, Finding]:
    return {one.name: one for one in examine(home)}


def test_a_new_workspace_is_well(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    said = CliRunner().invoke(app, ["doctor", "--home", str(workspace.home), "--json"])
    findings = json.loads(said.stdout)["findings"]
    assert [set(one) for one in findings] == [{"name", "verdict", "found", "remedy"}] * len(
        findings
    )
    verdicts = {one["name"]: one["verdict"] for one in findings}
    assert len(verdicts) == len(findings)
    assert [name for name, verdict in verdicts.items() if verdict == "fails"] == []
    assert said.exit_code == 0
    well = ("Python", "required packages", "git", "disk workspace", "repository", "catalogue")
    assert {verdicts[name] for name in well} == {"ok"}
    unset = ("CVAT", "Dask", "remote", "sources", "telemetry", "files with secrets")
    assert {verdicts[name] for name in unset} == {"not set"}


def test_without_a_workspace_it_says_how_to_make_one(tmp_path: Path) -> None:
    found = _of(tmp_path / "none")
    assert found["workspace"].verdict == "not set"
    assert "mirrorset init" in found["workspace"].remedy
    assert "catalogue" not in found
    assert not (tmp_path / "none").exists()


def test_settings_that_cannot_be_read_hide_nothing_of_the_machine(workspace: Workspace) -> None:
    (workspace.home / "mirrorset.toml").write_text("catalog_url = 1\n")
    found = _of(workspace.home)
    assert found["settings"].verdict == "fails"
    assert "catalog_url" in found["settings"].remedy
    assert found["Python"].verdict == "ok"


def test_an_old_postgresql_is_said() -> None:
    assert on_postgresql("3 images", (15, 14)) == ok("3 images, on PostgreSQL 15.14")
    old = on_postgresql("3 images", (14, 9))
    assert (old.verdict, "15 is the oldest" in old.remedy) == ("warning", True)


def test_one_that_hangs_keeps_nobody_else_waiting() -> None:
    hide("planted-secret")

    def fail() -> None:
        raise ValueError("no planted-secret")

    began = time.monotonic()
    hanging, wrong, broken, well = examined(
        [
            Check("hanging", lambda: time.sleep(60)),
            Check("wrong", SettingsError("planted-secret is wrong.")),
            Check("broken", fail),
            Check("well", lambda: ok("here")),
        ],
        limit_s=0.3,
    )
    assert time.monotonic() - began < 2
    assert (hanging.verdict, hanging.found) == ("fails", "no answer within 0.3 s")
    assert (wrong.verdict, wrong.remedy) == ("fails", "*** is wrong.")
    assert (broken.verdict, broken.found) == ("fails", "ValueError: no ***")
    assert (well.verdict, well.found) == ("ok", "here")


def test_packages_are_compared_with_what_is_required_and_locked(tmp_path: Path) -> None:
    assert required_packages(_CHECKOUT).verdict == "ok"
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["prefect>=99", "no-such-thing", "x; python_version < \'3\'"]\n'
    )
    verdict, said, _ = required_packages(tmp_path)
    assert verdict == "fails"
    assert said.endswith("(needs >=99); no-such-thing missing (needs it)")
    assert locked_packages(tmp_path).verdict == "not set"
    (tmp_path / "requirements.lock").write_text(
        "prefect==0.1 \\\n    --hash=sha256:00\nno-such-thing==1 ; sys_platform == 'never' \\\n"
    )
    verdict, said, _ = locked_packages(tmp_path)
    assert verdict == "warning"
    assert said.startswith("prefect ")
    assert said.endswith("(locked: 0.1)")


@pytest.mark.parametrize(
    ("free", "originals", "verdict"),
    [(10, 5, "ok"), (10, 20, "warning"), (1, 0, "warning"), (0.3, 0, "fails")],
)
def test_room_is_judged_by_what_a_release_needs(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    free: float,
    originals: float,
    verdict: str,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, int(free * 1e9)))
    assert stored_bytes(workspace.catalogue()) == 0
    monkeypatch.setattr("flows.doctor.places.stored_bytes", lambda _: int(originals * 1e9))
    assert disk(workspace, workspace.private).verdict == verdict


def test_damaged_weights_fail_and_missing_ones_are_fetched_later(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "age-v1.onnx").write_bytes(b"damaged")
    monkeypatch.setenv("MIRRORSET_CACHE", str(tmp_path / "cache"))
    found = _of(workspace.home)
    assert found["weights age-v1"].verdict == "fails"
    assert found["weights yunet"].verdict == "not set"
    assert found["weights yunet"].remedy == "Run `mirrorset models fetch yunet`."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_is_another_users_is_named(workspace: Workspace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        home.chmod(0o755)
        for name in ("cvat", "data"):
            (home / name).mkdir()
            os.chown(home / name, _NOBODY, _NOBODY)
        (home / "data").chmod(0o555)
        said = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, scratch],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert f"fails this user may not write to {scratch}, {scratch}/data, {scratch} Work" in said
    for path in (workspace.home, *workspace.home.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)
    repository = _of(workspace.home)["repository"]
    assert repository.verdict == "fails"
    assert "safe.directory" in repository.remedy


def test_a_file_with_secrets_is_for_one_user(workspace: Workspace) -> None:
    assert secret_files(workspace).verdict == "not set"
    file = workspace.home / "mirrorset.toml"
    file.write_text('catalogue_url = "postgresql+psycopg://me:planted-password@127.0.0.1/faces"\n')
    file.chmod(0o644)
    outcome = secret_files(workspace)
    assert outcome.verdict == "warning"
    assert outcome.remedy == f"Run `chmod 600 {file}`."
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert secret_files(workspace).verdict == "ok"
    local = workspace.home / ".dvc" / "config.local"
    local.write_text("")
    local.chmod(0o640)
    assert str(local) in secret_files(workspace).found


def test_sources_need_their_keys_and_somebody_who_answers(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workspace.params_file
    text = file.read_text().replace("sources: []", "sources: [{source: flickr, text: face}]")
    assert "flickr" in text
    file.write_text(text)
    found = _of(workspace.home)
    assert found["sources"].verdict == "fails"
    assert "somebody answers" in found["sources"].remedy
    assert (found["key of Flickr"].verdict, found["CVAT"].verdict) == ("fails", "not set")
    assert KEY_VARIABLE in found["key of Flickr"].found
    assert found["credentials of Openverse"].verdict == "not set"
    monkeypatch.setenv(KEY_VARIABLE, "planted-flickr-key")
    monkeypatch.setenv(ID_VARIABLE, "half")
    found = _of(workspace.home)
    assert found["key of Flickr"].verdict == "ok"
    assert found["credentials of Openverse"].verdict == "warning"


def test_ports_that_serve_would_take(
    workspace: Workspace, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert report_port(workspace).verdict == "not set"
    _params(workspace, f"\nserve: {{ui_port: {taken}, webhook_port: {taken}}}\n")
    assert ui_port(workspace).verdict == "warning"
    assert webhook_port(workspace).verdict == "not set"
    monkeypatch.setenv("MIRRORSET_CVAT_WEBHOOK_SECRET", "planted-webhook-secret")
    workspace = open_workspace(workspace.home)
    assert webhook_port(workspace).verdict == "fails"
    with (workspace.private / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert (ui_port(workspace).verdict, webhook_port(workspace).verdict) == ("ok", "ok")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert ui_port(workspace).verdict == "not set"
    ports = f"ui_port: {taken}, webhook_port: {taken}"
    params = workspace.params_file.read_text().replace(ports, f"report_port: {taken}")
    workspace.params_file.write_text(params)
    assert report_port(open_workspace(workspace.home)).verdict == "fails"


def test_a_catalogue_of_another_version_is_told_and_left_as_it_is(workspace: Workspace) -> None:
    (workspace.private / "catalogue.sqlite").unlink()
    found = _of(workspace.home)["catalogue"]
    assert found.verdict == "warning"
    assert "mirrorset init" in found.remedy
    assert not (workspace.private / "catalogue.sqlite").exists()


def test_what_fails_is_named_with_the_exit_code_of_what_is_away(workspace: Workspace) -> None:
    _params(workspace, "\nserv: {}\n")
    said = CliRunner().invoke(app, ["doctor", "--home", str(workspace.home)])
    assert isinstance(said.exception, UnavailableError)
    assert str(said.exception).startswith("Not ready: workspace")
    assert "'serv'" in said.stdout
