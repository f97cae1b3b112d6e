"""What Prefect's server is told of deployments: whose they are, what is dead, what is refused."""

import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from deployed_runs import Runs, deployed_runs
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Pending, Running

from flows import run_notes
from flows.prefect_server import Server
from flows.serving import registry
from flows.serving.deployments import deployments_of
from flows.serving.following import is_awaited, is_overdue, start_following
from mirrorset.errors import InputError, SettingsError, UnavailableError
from mirrorset.workspace import Workspace, init, open_workspace

_NAME = f"one-{os.getpid()}"
_PATIENCE_S = 20


def made(home: Path) -> Workspace:
    init(home).params_file.write_text(f"dataset: {{name: {_NAME}}}\n")
    return open_workspace(home)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return made(tmp_path / "faces")


@pytest.fixture
def runs(prefect: None) -> Iterator[Runs]:
    with deployed_runs() as runs:
        yield runs


def served(workspace: Workspace, step: str) -> None:
    """One deployment of it, for each takes a second."""
    deployments = [one for one in deployments_of(workspace) if one.function == step]
    registry.registered(workspace, deployments, 1)


def test_a_run_that_died_before_its_note_holds_nothing_up(runs: Runs, workspace: Workspace) -> None:
    name = f"scheduled-push/{_NAME}"
    served(workspace, "push")
    dead = runs.begun(name)
    assert runs.client.set_flow_run_state(dead, Pending()).status == SetStateStatus.ACCEPT
    assert is_awaited(name)
    assert not start_following(workspace, "push")
    waits = runs.begun(name)
    assert runs.client.set_flow_run_state(waits, Pending()).status == SetStateStatus.REJECT
    runs.client.delete_flow_run(waits)

    served(workspace, "push")
    assert runs.read(dead).state.type == StateType.CRASHED
    assert start_following(workspace, "push")
    following = runs.begun(name)
    assert runs.client.set_flow_run_state(following, Pending()).status == SetStateStatus.ACCEPT
    run = runs.read(following)
    assert not is_overdue(run)
    run.state.timestamp -= timedelta(minutes=11)
    assert is_overdue(run)


def test_a_run_that_may_live_is_looked_at_again(runs: Runs, workspace: Workspace) -> None:
    served(workspace, "push")
    run = runs.begun(f"scheduled-push/{_NAME}")
    runs.client.set_flow_run_state(run, Running(), force=True)
    note = run_notes.begun(workspace.private, str(run), "scheduled-push")
    assert registry.settle(workspace, [runs.read(run)]) == [run]
    # The process is another by now.
    note = note.model_copy(update={"process_began_at": 0.0})
    (file,) = (workspace.private / "runs").iterdir()
    file.write_text(note.model_dump_json())
    assert registry.settle(workspace, [runs.read(run)]) == []
    assert runs.read(run).state.type == StateType.CRASHED


def test_a_parameter_that_is_none_is_refused_before_there_is_a_run(
    runs: Runs, workspace: Workspace
) -> None:
    served(workspace, "pull")
    with pytest.raises(PrefectHTTPStatusError, match="nonsense") as refused:
        runs.begun(f"scheduled-pull/{_NAME}", nonsense=1)
    assert refused.value.response.status_code == httpx.codes.CONFLICT


def test_two_workspaces_of_one_name_are_not_served_by_one_server(
    runs: Runs, workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"scheduled-release/{_NAME}"
    served(workspace, "release")
    found = runs.client.read_deployment_by_name(name)
    # As the runner asks for what is due.
    runs.client.get_scheduled_flow_runs_for_deployments([found.id])
    ends_at = time.monotonic() + _PATIENCE_S
    while runs.client.read_deployment(found.id).last_polled is None:
        assert time.monotonic() < ends_at
        time.sleep(0.2)
    other = made(tmp_path / "others" / "faces")
    with pytest.raises(InputError, match=rf"{name} of another workspace, {workspace.home}, which"):
        served(other, "release")
    assert runs.client.read_deployment(found.id).parameters["home"] == str(workspace.home)
    served(workspace, "release")

    # One that lies at the same path in another container.
    (workspace.private / "serve.id").rename(tmp_path / "id")
    with pytest.raises(InputError, match="which is served"):
        served(workspace, "release")
    (tmp_path / "id").rename(workspace.private / "serve.id")

    # Its serve has ended, and it was moved.
    runs.client.pause_deployment(found.id)
    moved = open_workspace(workspace.home.rename(tmp_path / "moved"))
    served(moved, "release")
    assert f"{name} was that of {workspace.home} until now." in caplog.text
    assert runs.client.read_deployment(found.id).parameters["home"] == str(moved.home)


def test_an_address_without_api_is_no_bug(prefect: None, monkeypatch: pytest.MonkeyPatch) -> None:
    address = os.environ["PREFECT_API_URL"]
    Server(address).await_ready(lambda: False)
    with pytest.raises(SettingsError, match="see that PREFECT_API_URL ends in /api"):
        Server(address.removesuffix("/api")).await_ready(lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setattr("flows.prefect_server._ANSWERS_WITHIN_S", 0)
    with pytest.raises(UnavailableError, match=r"does not answer .* start it, or unset") as said:
        Server(f"http://me:secret@127.0.0.1:{port}/api").await_ready(lambda: False)
    assert "secret" not in str(said.value)
