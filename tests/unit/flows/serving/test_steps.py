"""What a data engineer sees of flows before they run: names, parameters and their bounds."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import Flow, Task
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import is_valid_schema, validate

import flows
from flows.engine import flow
from flows.serving import steps

SCHEDULED = {
    name: one
    for name, one in vars(steps).items()
    if isinstance(one, Flow) and one.name.startswith("scheduled-")
}


def made() -> Iterator[Flow | Task]:
    """All flows and tasks of the package."""
    for module in pkgutil.walk_packages(flows.__path__, "flows."):
        if not module.name.startswith("flows.cli"):
            found = vars(importlib.import_module(module.name)).values()
            yield from (one for one in found if isinstance(one, Flow | Task))


def test_every_run_has_a_name_that_says_what_it_does() -> None:
    names = {one.name: one.flow_run_name for one in made() if isinstance(one, Flow)}
    names |= {one.name: one.task_run_name for one in made() if isinstance(one, Task)}
    assert len(names) > 25
    assert all(names.values()), names
    assert names["push-batch"] == "push batch {batch.batch_id}"


def test_every_parameter_of_a_deployment_is_described() -> None:
    assert len(SCHEDULED) == 8
    for one in SCHEDULED.values():
        assert one.description, one.name
        is_valid_schema(one.parameters.model_dump_for_openapi())
        # As deployments have it.
        for name, said in parameter_schema(one).properties.items():
            assert said["description"].endswith("."), (one.name, name)


def test_parameters_have_bounds() -> None:
    crawl = SCHEDULED["crawl"].parameters.model_dump_for_openapi()
    release = SCHEDULED["release"].parameters.model_dump_for_openapi()
    good = {"home": "/data/faces", "place": "example.org"}
    for parameters, is_good in (
        (good, True),
        (good | {"shards": 64}, True),
        (good | {"shards": 65}, False),
        (good | {"shards": 0}, False),
        (good | {"is_dry_run": "perhaps"}, False),
        ({"home": "/data/faces"}, False),
        (good | {"home": ""}, False),
    ):
        assert (not validate(parameters, crawl)) == is_good, parameters
    assert not validate({"home": "/data/faces", "version": "1.2.0"}, release)
    assert validate({"home": "/data/faces", "version": "one"}, release)


def test_a_deployment_that_was_made_without_a_home_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `prefect deploy --all` makes it without MIRRORSET_HOME; workers check no schema."""
    monkeypatch.chdir(tmp_path)
    for name, one in SCHEDULED.items():
        place = {"place": "example.org"} if name == "crawl" else {}
        with pytest.raises(ParameterTypeError, match="deploy again with MIRRORSET_HOME set"):
            one.validate_parameters({"home": "", **place})


def test_a_flow_is_named_by_itself() -> None:
    made_here = flow(name="as-it-is")(lambda: None)
    assert made_here.flow_run_name == "as-it-is"
