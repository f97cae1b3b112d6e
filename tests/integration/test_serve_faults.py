"""Runs that `mirrorset serve` does are cancelled and killed, and so is what serves them.

After each: whole files, no process, no place on a server held, and the next run goes on.
"""

import hashlib
import hmac
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psutil
import pytest
from loopback import Site, fill_gallery, serving
from made_images import fill
from standin.server import StandIn, standing_in

from flows import guard
from flows.run_notes import RunNote, read_notes
from mirrorset.commands import git
from mirrorset.load import open_release
from mirrorset.records import Batch, ImageRecord, utc_now
from mirrorset.workspace import Workspace, init, open_workspace
from tests.integration.test_serve import served

pytestmark = pytest.mark.thorough  # five minutes: every run is a process of its own

_SECRET = "of a test"  # noqa: S105
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_PATIENCE_S = 240
_PICTURES = 8
_LABELLED = 4


class Serve:
    """A running `mirrorset serve`, asked and told by its Prefect server's API."""

    def __init__(self, process: Any, told: dict[str, Any], workspace: Workspace) -> None:
        self.process = psutil.Process(process.pid)
        self.webhook_url = told["webhook_url"]
        self.deployments = {name.split("/")[0]: name for name in told["deployments"]}
        self.workspace = workspace
        self.api = httpx.Client(base_url=told["api_url"] + "/", timeout=30)

    def began(self, flow: str, **parameters: object) -> str:
        """A run of a deployment, which the runner is to find."""
        found = self.api.get(f"deployments/name/{self.deployments[flow]}").json()
        answer = self.asked_for(found["id"], parameters)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    def asked_for(self, deployment: str, parameters: dict[str, object]) -> httpx.Response:
        """What the server says to the wish for a run; SQLite is busy now and then, and says so."""
        while True:
            answer = self.api.post(
                f"deployments/{deployment}/create_flow_run", json={"parameters": parameters}
            )
            if answer.status_code != 503:
                return answer
            time.sleep(0.5)

    def state(self, run: str) -> dict[str, Any]:
        state: dict[str, Any] = self.api.get(f"flow_runs/{run}").json()["state"]
        return state

    def ended(self, run: str) -> tuple[str, str]:
        """How it ended, and what it said of that."""
        until(lambda: self.state(run)["type"] in _ENDED, lambda: self.state(run))
        state = self.state(run)
        return state["type"], state["message"] or ""

    def cancel(self, run: str) -> None:
        """As the button in Prefect's UI does."""
        state = {"type": "CANCELLING", "name": "Cancelling"}
        until(lambda: self.api.post(f"flow_runs/{run}/set_state", json={"state": state}).is_success)

    def runs(self, flow: str) -> list[dict[str, Any]]:
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.api.post("flow_runs/filter", json=asked).json()
        return found

    def held(self) -> float:
        """Places on servers that runs hold."""
        limits = self.api.post("v2/concurrency_limits/filter", json={}).json()
        return sum(one["active_slots"] for one in limits if "mirrorset" in one["name"])

    def processes(self) -> list[str]:
        """What runs beside Prefect's server and the guards."""
        found = []
        for child in self.process.children(recursive=True):
            try:
                words = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if words and not any(one in words for one in ("create_app", "flows.guard")):
                found.append(words)
        return found

    def is_quiet(self) -> bool:
        """Whether no run is left, no place is held, and the workspace is free."""
        return not self.processes() and not self.held()

    def note(self, run: str) -> RunNote:
        return next(one for one in read_notes(self.workspace.private) if one.run_id == run)


def until(is_so: Callable[[], object], told: Callable[[], object] = lambda: "") -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends_at, told()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as site:
        fill_gallery(site, _PICTURES)
        yield site


@pytest.fixture(scope="module")
def cvat() -> Iterator[StandIn]:
    with standing_in() as cvat:
        yield cvat


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Workspace:
    home = tmp_path_factory.mktemp("serve") / "faces"
    made = init(home, str(home.with_name("remote")))
    gallery = {"source": "gallery", "url": f"{site.url}/sitemap.xml"}
    made.params_file.write_text(
        f"""\
dataset: {{name: faults, is_unreviewed: true}}
responsible:
  {{controller: Lab, legal_basis: consent, contact: lab@example.org, retention_days: 3650}}
crawl:
  sources: [{json.dumps(gallery)}]
  allow_addresses: ["127.0.0.0/8"]
  politeness: {{start_delay_s: 0, max_delay_s: 0.02, retries: 1}}
prelabel: {{profile: research}}
serve:
  crawl: null
  pull: null
  release: null
  verify: null
  prelabel_after_crawl: false
  push_after_prelabel: false
  parity_after_release: false
  is_approval_needed: false
select: {{}}
group: {{}}
ledger: {{seed: faults}}
pack: {{}}
parity: {{}}
"""
    )
    return open_workspace(home)


@pytest.fixture(scope="module")
def environment(cvat: StandIn, workspace: Workspace) -> dict[str, str]:
    return {
        "MIRRORSET_CVAT_URL": cvat.url,
        "MIRRORSET_CVAT_TOKEN": cvat.token,
        "MIRRORSET_CVAT_WEBHOOK_SECRET": _SECRET,
        "PREFECT_HOME": str(workspace.home.with_name("prefect")),
    }


@pytest.fixture(scope="module")
def serve(workspace: Workspace, environment: dict[str, str]) -> Iterator[Serve]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        process, told = stack.enter_context(served(workspace.home, **environment))
        yield Serve(process, told, workspace)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def stored(workspace: Workspace) -> int:
    with workspace.catalogue() as catalogue:
        known = {one.image_id for one in catalogue.read(ImageRecord)}
    for image_id in known:
        # The store checks what it reads.
        assert workspace.blobs.get(image_id)
    return len(known)


def fetching(serve: Serve, site: Site) -> str:
    """A crawl that has pictures in the air, and many before it."""
    site.forget()
    run = serve.began("scheduled-crawl")
    until(lambda: sum(path.startswith("/i/") for _, path in site.asked) > 1, site.asked.copy)
    assert serve.held() == 1
    return run


def test_parameters_are_described_and_checked(serve: Serve) -> None:
    wrong: dict[str, dict[str, object]] = {
        "scheduled-crawl": {"shards": 65},
        "scheduled-prelabel": {"workers": 0},
        "scheduled-release": {"version": "one"},
        "scheduled-verify-licences": {"is_all": "perhaps"},
        "scheduled-push": {"home": 5},
    }
    for flow, name in serve.deployments.items():
        found = serve.api.get(f"deployments/name/{name}").json()
        assert found["description"], name
        for field, told in found["parameter_openapi_schema"]["properties"].items():
            assert told.get("description"), (name, field)
        if flow in wrong:
            answer = serve.asked_for(found["id"], wrong[flow])
            assert answer.status_code == 409, (name, answer.text)
            (field,) = wrong[flow]
            assert field in answer.json()["detail"], answer.text


def test_a_cancelled_crawl_leaves_whole_files_and_the_next_goes_on(
    serve: Serve, site: Site, workspace: Workspace
) -> None:
    site.delay_s = 1.5
    run = fetching(serve, site)
    serve.cancel(run)
    assert serve.ended(run)[0] == "CANCELLED"
    until(serve.is_quiet, serve.processes)
    assert (serve.note(run).state, serve.note(run).fault) == ("cancelled", "It was told to stop.")
    assert stored(workspace) < _PICTURES

    # One that is killed gives its place back when nobody renews it.
    run = fetching(serve, site)
    psutil.Process(serve.note(run).process_id).kill()
    assert serve.ended(run)[0] == "CRASHED"
    assert serve.held() == 1
    site.delay_s = 0
    following = serve.began("scheduled-crawl")
    assert serve.ended(following)[0] == "COMPLETED"
    until(serve.is_quiet, serve.processes)
    assert stored(workspace) == _PICTURES

    run = serve.began("scheduled-prelabel")
    until(lambda: any("spawn_main" in words for words in serve.processes()), serve.processes)
    serve.cancel(run)
    assert serve.ended(run)[0] == "CANCELLED"
    until(serve.is_quiet, serve.processes)


def test_news_of_cvat_starts_a_pull_at_once(serve: Serve, workspace: Workspace) -> None:
    fill(workspace, range(_LABELLED))
    assert serve.ended(serve.began("scheduled-push"))[0] == "COMPLETED"
    with workspace.catalogue() as catalogue:
        (batch,) = catalogue.read(Batch)
    told = {"id": 1, "project_id": int(batch.project), "updated_date": utc_now().isoformat()}
    body = json.dumps({"event": "update:task", "task": told}).encode()

    def delivered(content: bytes, secret: str = _SECRET) -> int:
        signed = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
        headers = {"X-Signature-256": f"sha256={signed}"}
        return httpx.post(serve.webhook_url, content=content, headers=headers).status_code

    assert delivered(body, "of another") == 401
    assert delivered(b" " * (2 << 20)) == 413
    assert not serve.runs("scheduled-pull")
    assert delivered(body) == 202
    until(lambda: serve.runs("scheduled-pull"))
    assert serve.ended(serve.runs("scheduled-pull")[0]["id"])[0] == "COMPLETED"
    assert delivered(body) == 409
    time.sleep(3)
    assert len(serve.runs("scheduled-pull")) == 1


def test_a_cancelled_release_is_made_whole_by_the_next(serve: Serve, workspace: Workspace) -> None:
    fill(workspace, range(_LABELLED))
    run = serve.began("scheduled-release")
    until(lambda: any("dvc repro" in words for words in serve.processes()))
    serve.cancel(run)
    assert serve.ended(run)[0] == "CANCELLED"
    until(serve.is_quiet, serve.processes)
    assert git(workspace.home, "tag") == ""
    run = serve.began("scheduled-release")
    assert serve.ended(run)[0] == "COMPLETED"
    open_release(workspace.release("faults", "0.1.0")).verify()
    shown = serve.api.post("artifacts/latest/filter", json={}).json()
    (where,) = [one["data"] for one in shown if one["key"] == "faults-report"]
    assert where.startswith(str(workspace.home / "report/index.html")), where
    # What `served` keeps of what the command says.
    assert git(workspace.home, "status", "--porcelain") == "?? serve.err"


def test_a_serve_that_is_killed_leaves_no_process_and_the_next_puts_it_right(
    serve: Serve,
    site: Site,
    workspace: Workspace,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    fill_gallery(site, 6 * _PICTURES)
    site.delay_s = 1.5
    run = fetching(serve, site)
    everything = serve.process.children(recursive=True)
    serve.process.kill()
    _, alive = psutil.wait_procs(everything, timeout=30)
    assert not alive, [one.cmdline() for one in alive]
    site.delay_s = 0
    with served(workspace.home, **environment) as (process, told):
        second = Serve(process, told, workspace)
        assert second.state(run)["type"] in {"CRASHED", "CANCELLED"}
        assert second.ended(second.began("scheduled-crawl"))[0] == "COMPLETED"
        assert stored(workspace) == 6 * _PICTURES + _LABELLED
        # The server of serve's own is gone for good: one sentence, and an end.
        (server,) = guard.children(second.process, guard.SERVER)
        server.kill()
        assert process.wait(30) == 4
    said = (workspace.home / "serve.err").read_text().splitlines()
    assert said[-1] == "mirrorset: Prefect's server has ended: start `mirrorset serve` again."
    assert not any("Traceback" in line for line in said)
