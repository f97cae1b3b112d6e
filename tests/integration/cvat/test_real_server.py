"""When tests go to a real server, which is here another stand-in, and what they leave on it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from standin.server import StandIn, standing_in

ONE_TEST = "test_push.py::test_a_batch_becomes_one_task_that_holds_what_was_sent"


@pytest.fixture
def server() -> Iterator[StandIn]:
    with standing_in() as made:
        yield made


def ran(server: StandIn, token_name: str, *tests: str) -> "subprocess.CompletedProcess[str]":
    """A run of tests in an environment that names the server, and a token under that name."""
    here = Path(__file__).parent
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", *(str(here / one) for one in tests or (ONE_TEST,))],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
            "MIRRORSET_CVAT_URL": server.url,
            token_name: server.token,
        },
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )


def is_touched(server: StandIn) -> bool:
    return any(token.last_used_at is not None for token in server.state.tokens.values())


def test_nothing_in_the_environment_names_a_server() -> None:
    """So that no command that is tested works with one; said of a run where something did."""
    assert [name for name in os.environ if name.startswith("MIRRORSET_CVAT_")] == []


def test_settings_of_a_server_to_work_with_do_not_reach_tests(server: StandIn) -> None:
    of_commands = f"{Path(__file__).name}::test_nothing_in_the_environment_names_a_server"
    run = ran(server, "MIRRORSET_CVAT_TOKEN", ONE_TEST, of_commands)
    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert not is_touched(server)


def test_a_token_for_tests_does_and_nothing_is_left(server: StandIn) -> None:
    run = ran(server, "MIRRORSET_CVAT_TEST_TOKEN")
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    assert is_touched(server)
    assert (server.state.projects, server.state.tasks) == ({}, {})


def test_a_server_that_somebody_works_with_is_refused(server: StandIn) -> None:
    requests.post(
        f"{server.url}/api/projects",
        json={"name": "somebody's"},
        headers={"Authorization": f"Bearer {server.token}"},
        timeout=60,
    ).raise_for_status()
    run = ran(server, "MIRRORSET_CVAT_TEST_TOKEN")
    assert run.returncode == 2
    assert f"{server.url} holds /api/projects/1: tests run only on" in run.stdout + run.stderr
    assert [one.name for one in server.state.projects.values()] == ["somebody's"]
