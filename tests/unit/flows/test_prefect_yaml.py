"""prefect.yaml says what `mirrorset serve` does."""

from pathlib import Path

import yaml

from flows.serving import steps
from flows.serving.deployments import deployments_of
from flows.serving.following import deployment_name
from flows.serving.prefect_yaml import prefect_yaml
from mirrorset.workspace import Workspace, init, open_workspace

_ROOT = Path(__file__).parents[3]


def workspace_of(home: Path) -> Workspace:
    """A new workspace with the preset `selfie`."""
    init(home)
    params = home / "params.yaml"
    text = params.read_text().replace("sources: []", "sources: [{preset: selfie}]")
    params.write_text(text)
    return open_workspace(home)


def test_the_committed_file_is_that_of_a_new_workspace(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path / "w")
    written = yaml.safe_load(prefect_yaml(workspace))
    for one in written["deployments"]:
        assert one["parameters"].pop("home") == str(workspace.home)
        one["parameters"]["home"] = "{{ $MIRRORSET_HOME }}"
    assert yaml.safe_load((_ROOT / "prefect.yaml").read_text()) == written


def test_every_deployment_is_written_under_the_name_that_what_follows_looks_for(
    tmp_path: Path,
) -> None:
    workspace = workspace_of(tmp_path / "w")
    written = yaml.safe_load(prefect_yaml(workspace))["deployments"]
    assert [one["name"] for one in written] == [one.name for one in deployments_of(workspace)]
    names = {f"{flow_of(one['entrypoint'])}/{one['name']}" for one in written}
    for step in ("prelabel", "push", "pull", "parity", "verify", "release"):
        assert deployment_name(workspace, step) in names
    assert len([name for name in names if name.startswith("scheduled-crawl/")]) > 1


def flow_of(entrypoint: str) -> str:
    path, _, function = entrypoint.partition(":")
    assert (_ROOT / path).is_file()
    return str(getattr(steps, function).name)
