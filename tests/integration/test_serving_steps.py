"""Runs of deployments in this process: what is tried again, what is ended, and what is shown."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from deployed_runs import Runs, deployed_runs
from loopback import fill_gallery, serving
from made_images import fill
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import StateType, TaskRun
from standin.faults import Kind
from standin.server import standing_in

from flows.run_notes import RunNote, read_notes
from flows.serving import registry, steps
from flows.serving.deployments import deployments_of
from mirrorset.records import ImageRecord
from mirrorset.workspace import Workspace, init, open_workspace

_NAME = f"steps-{os.getpid()}"
#: The stand-in's slow answer comes later.
_SHORT_S = 8
_SLOW_S = 60
_PARAMS = f"""\
dataset: {{name: {_NAME}, is_unreviewed: true}}
responsible:
  {{controller: Lab, legal_basis: consent, contact: lab@example.org, retention_days: 30}}
crawl:
  sources: []
  allow_addresses: ["127.0.0.0/8"]
  politeness: {{start_delay_s: 0, max_delay_s: 0.02}}
serve:
  pull: {{time_limit_s: {_SHORT_S}}}
  verify: {{time_limit_s: {_SHORT_S}}}
  prelabel_after_crawl: false
  push_after_prelabel: false
  retries: 2
  retry_after_s: 0.2
select: {{}}
group: {{}}
ledger: {{seed: steps}}
pack: {{}}
parity: {{}}
"""


#: By itself it is a signal, which Prefect then does not use for its own limits.
pytestmark = pytest.mark.timeout(method="thread")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    home = tmp_path / "faces"
    init(home).params_file.write_text(_PARAMS)
    return open_workspace(home)


@pytest.fixture
def runs(prefect: None) -> Iterator[Runs]:
    with deployed_runs() as runs:
        yield runs


def family(runs: Runs, run: UUID) -> list[UUID]:
    """A run, and the run of the command's flow that it has made."""
    of_run = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run]))
    return [run, *(one.id for one in runs.client.read_flow_runs(flow_run_filter=of_run))]


def tasks(runs: Runs, run: UUID) -> dict[str, TaskRun]:
    """The tasks of a run, by their names."""
    of_runs = FlowRunFilter(id=FlowRunFilterId(any_=family(runs, run)))
    return {one.name: one for one in runs.client.read_task_runs(flow_run_filter=of_runs)}


def shown(runs: Runs, run: UUID) -> dict[str, object]:
    """What a run shows, by the keys of the artifacts without the dataset's name."""
    of_runs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=family(runs, run)))
    found = runs.client.read_artifacts(artifact_filter=of_runs)
    return {one.key.removeprefix(f"{_NAME}-"): one.data for one in found if one.key}


def note(workspace: Workspace, run: UUID) -> RunNote:
    return next(one for one in read_notes(workspace.private) if one.run_id == str(run))


def children() -> list[str]:
    """The children of a crawl that this process has."""
    found = [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
    return [words for words in found if "crawlers" in words]


def test_a_crawl_and_its_verification(runs: Runs, workspace: Workspace) -> None:
    with serving() as site:
        paths = fill_gallery(site, 3)
        gallery = {"source": "gallery", "url": f"{site.url}/sitemap.xml"}
        params = _PARAMS.replace("sources: []", f"sources: [{json.dumps(gallery)}]")
        workspace.params_file.write_text(params)
        deployments = deployments_of(workspace)
        registry.registered(workspace, deployments, 1)
        run = runs.begun(registry.deployment_name_of(deployments[0]))
        assert runs.done(steps.crawl, run).type == StateType.COMPLETED
        assert runs.read(run).name == f"crawl {site.host}"
        assert {"crawl", f"crawl gallery {site.url}/sitemap.xml"} <= tasks(runs, run).keys()
        assert shown(runs, run)["crawl-progress"] == 100
        assert r".stored | 3 |" in str(shown(runs, run)["crawl"])

        run = runs.begun(f"scheduled-verify-licences/{_NAME}", is_all=True)
        assert runs.done(steps.verify, run).type == StateType.COMPLETED
        assert note(workspace, run).counts["checked"] == 3
        assert f"verify gallery {site.url}/sitemap.xml" in tasks(runs, run)

        # Out of time, it ends with all that it has started.
        site.delay_s = _SLOW_S
        run = runs.begun(f"scheduled-verify-licences/{_NAME}", is_all=True)
        state = runs.done(steps.verify, run)
        assert state.type == StateType.FAILED
        assert note(workspace, run).fault == (
            f"It took longer than serve.verify.time_limit_s, {_SHORT_S} s, and was stopped: the "
            "next run goes on where it was."
        )
        assert tasks(runs, run)["verify"].run_count == 1
        assert children() == []
        site.delay_s = 0
    with workspace.locked(), workspace.catalogue() as catalogue:
        images = list(catalogue.read(ImageRecord))
    assert len(images) == len(paths)
    assert all(workspace.blobs.get(one.image_id) for one in images)


def test_what_may_pass_is_tried_again_and_nothing_else(
    runs: Runs, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing_in() as cvat:
        monkeypatch.setenv("MIRRORSET_CVAT_URL", cvat.url)
        monkeypatch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
        workspace = open_workspace(workspace.home)
        registry.registered(workspace, deployments_of(workspace), 1)
        fill(workspace, range(3))
        # Who connects asks three times, and then believes the server.
        cvat.faults.next(Kind.ERROR, 3)
        run = runs.begun(f"scheduled-push/{_NAME}")
        assert runs.done(steps.push, run).type == StateType.COMPLETED
        assert tasks(runs, run)["push"].run_count == 2
        (task,) = cvat.state.tasks
        assert f"[task {task}]({cvat.url}/tasks/{task})" in str(shown(runs, run)["cvat"])
        assert shown(runs, run)["push-progress"] == 100

        cvat.faults.next(Kind.SLOW, 1, seconds=_SLOW_S)
        run = runs.begun(f"scheduled-pull/{_NAME}")
        assert runs.done(steps.pull, run).type == StateType.FAILED
        assert "serve.pull.time_limit_s" in note(workspace, run).fault
        assert tasks(runs, run)["pull"].run_count == 1
        run = runs.begun(f"scheduled-pull/{_NAME}")
        assert runs.done(steps.pull, run).type == StateType.COMPLETED
        assert note(workspace, run).counts["batches"] == 1

        # They were seen long before what params.yaml says they may be kept.
        run = runs.begun(f"scheduled-erase-due/{_NAME}")
        assert runs.done(steps.erase_due, run).type == StateType.COMPLETED
        assert note(workspace, run).counts == {"images": 3, "unreached": 0}

    run = runs.begun(f"scheduled-parity/{_NAME}")
    assert runs.done(steps.parity, run).type == StateType.FAILED
    assert "holds no release yet: run `mirrorset release`" in note(workspace, run).fault
    assert tasks(runs, run)["parity"].run_count == 1
