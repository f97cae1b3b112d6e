"""prefect.yaml on a real Prefect server: `prefect deploy --all`, and a worker that does a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

from flows.run_notes import read_notes
from mirrorset.workspace import init

_ROOT = Path(__file__).parents[2]


def prefect_said(home: Path, *words: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("prefect"), "--no-prompt", *words],
        cwd=_ROOT,
        env=os.environ | {"MIRRORSET_HOME": str(home), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_is_deployed_and_a_worker_does_a_run(
    prefect: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "workspace"
    init(home)
    prefect_said(home, "work-pool", "create", "mirrorset", "--type", "process", "--overwrite")
    prefect_said(home, "deploy", "--all")
    with get_client(sync_client=True) as client:
        names = {
            f"{client.read_flow(one.flow_id).name}/{one.name}" for one in client.read_deployments()
        }
        assert "scheduled-crawl/faces-commons-wikimedia-org-2e8fe4" in names
        release = client.read_deployment_by_name("scheduled-release/faces")
        assert release.schedules[0].schedule.model_dump()["cron"] == "0 6 * * 1"
        due = client.read_deployment_by_name("scheduled-erase-due/faces")
        run = client.create_flow_run_from_deployment(due.id)
        prefect_said(home, "worker", "start", "--pool", "mirrorset", "--run-once")
        state = client.read_flow_run(run.id).state
        assert state is not None
        assert state.type == StateType.COMPLETED, state.message
    assert [note.flow for note in read_notes(home / ".mirrorset")] == ["scheduled-erase-due"]
