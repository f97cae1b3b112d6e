"""prefect.yaml: the same deployments for `prefect deploy --all`, run by workers of a work pool."""

from typing import Any

import yaml

from flows.serving.deployments import Deployment, deployments_of
from mirrorset.workspace import Workspace

#: What workers of a machine take runs from: `prefect work-pool create mirrorset --type process`.
WORK_POOL = "mirrorset"

_HEAD = """\
# The deployments of a workspace for `prefect deploy --all` in mirrorset's checkout; workers take
# their runs from there. Written by `mirrorset serve --prefect-yaml`; docs/operate.md says more.
"""


def prefect_yaml(workspace: Workspace) -> str:
    """The file for this workspace; `mirrorset serve` has the same deployments without it."""
    deployments = [_as_written(one) for one in deployments_of(workspace)]
    text = yaml.safe_dump(
        {"name": "mirrorset", "deployments": deployments}, sort_keys=False, width=100
    )
    return _HEAD + text


def _as_written(one: Deployment) -> dict[str, Any]:
    module, _, function = one.entrypoint.rpartition(".")
    written: dict[str, Any] = {
        "name": one.name,
        "entrypoint": f"{module.replace('.', '/')}.py:{function}",
        "parameters": one.parameters,
        "enforce_parameter_schema": True,
        "tags": ["mirrorset"],
        "concurrency_limit": {
            "limit": 1,
            "collision_strategy": "CANCEL_NEW" if one.is_second_cancelled else "ENQUEUE",
        },
        "work_pool": {"name": WORK_POOL},
    }
    if one.schedule:
        written["schedules"] = [one.schedule]
    return written
