"""The compose file says what it may, names what there is, and holds no secret.

No engine runs it here: what can be told from the file is told.
"""

import os
import re
import subprocess
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker
from hatchling.builders.wheel import WheelBuilder
from prefect.cli.server import server_app
from prefect.settings import Settings as PrefectSettings
from pydantic import AliasChoices
from pydantic_settings import BaseSettings
from typer.main import get_command

from flows.cli import app
from flows.serve import show_alive
from mirrorset.commands import git
from mirrorset.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OURS = "mirrorset"
OWNERS = ("MIRRORSET_", "PREFECT_")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def test_every_service_has_an_image_of_a_fixed_version(services: dict[str, Any]) -> None:
    assert set(services) >= {"postgresql", "s3", "prefect", "dask-scheduler", "dask-worker", OURS}
    for service in services.values():
        image, _, tag = service["image"].partition(":")
        assert image == OURS or (tag and tag != "latest")


def test_what_others_wait_for_says_whether_it_is_well(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"][0] == "CMD"
            else:
                assert wanted["condition"] == "service_completed_successfully"
                assert services[name]["restart"] == "no"


def test_volumes_are_declared_and_ports_stay_on_this_machine(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    for service in services.values():
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert all(one["source"] in compose["configs"] for one in service.get("configs", ()))


def test_settings_are_ours_and_prefects(services: dict[str, Any]) -> None:
    known = {f"MIRRORSET_{name.upper()}" for name in Settings.model_fields} | _prefects()
    for service in services.values():
        named = {name for name in service.get("environment", {}) if name.startswith(OWNERS)}
        assert named <= known
    # What Prefect is told to import.
    import_module(services["prefect"]["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"])


def _prefects() -> set[str]:
    """Names of all settings of Prefect in the environment."""
    names, kinds = set(), [PrefectSettings]
    while kinds:
        kind = kinds.pop()
        prefix = kind.model_config["env_prefix"]
        for name, field in kind.model_fields.items():
            names |= {f"{prefix}{name}".upper()}
            if isinstance(field.validation_alias, AliasChoices):
                names |= {str(one).upper() for one in field.validation_alias.choices}
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings):
                kinds.append(field.annotation)
    return names


def test_programs_understand_their_commands(services: dict[str, Any]) -> None:
    own = [one for one in services.values() if one["image"] == OURS]
    tests = [one["healthcheck"]["test"][1:] for one in own if "healthcheck" in one]
    programs = set()
    for program, *words in [one["command"] for one in own] + tests:
        programs.add(program)
        if program == OURS:
            command = get_command(app).commands[words[0]]
            command.make_context(words[0], words[1:])
        elif program == "prefect":
            assert words[0] == "server"
            server_app.parse_args(words[1:], exit_on_error=False, print_error=False)
        elif program == "dask":
            kind = {"scheduler": dask_scheduler, "worker": dask_worker}[words[0]]
            kind.main.make_context(words[0], words[1:])
        elif program == "python":
            assert words[0] == "-c"
            compile(words[1], "compose.yaml", "exec")
        else:
            assert (program, words[0]) == ("sh", "-c")
    assert programs == {OURS, "prefect", "dask", "python", "sh"}


def test_serve_is_well_only_while_it_serves(services: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "serve.json"
    program, *words, command = services[OURS]["healthcheck"]["test"][1:]
    command = command.replace("/workspace/.mirrorset/serve.json", str(place))

    def is_well() -> bool:
        return not subprocess.run([program, *words, command], check=False).returncode

    assert not is_well()
    place.touch()
    assert is_well()
    # It was killed.
    os.utime(place, (0, 0))
    assert not is_well()
    show_alive(place)
    assert is_well()


def test_no_secret_has_a_value(services: dict[str, Any]) -> None:
    lines = (DEPLOY / "env.example").read_text().splitlines()
    asked = {line.rstrip("=") for line in lines if line and not line.startswith("#")}
    assert all(line.endswith("=") for line in lines if line and not line.startswith("#"))
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == asked
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", name):
                assert re.fullmatch(r"\$\{\w+:[?-]\}", value)
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()


def copied_first() -> list[str]:
    """The files by which the image's packages are installed, before the checkout itself comes."""
    recipe = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    (files,) = re.findall(r"^COPY (.+) \./$", recipe, re.MULTILINE)
    return files.split()


def test_the_image_is_made_of_files_that_are_there_and_let_through() -> None:
    copied = copied_first()
    assert all((ROOT / name).is_file() for name in copied)
    first, *others = (
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    )
    assert first == "*"
    let_through = [line.removeprefix("!") for line in others if line.startswith("!")]
    assert all(any(ROOT.glob(pattern)) for pattern in let_through)
    assert all(any(Path(name).match(one) for one in let_through) for name in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(let_through) >= {*packages["targets"]["wheel"]["packages"], "README.md", "LICENSE"}
    # No secret, no history, nothing built here.
    assert not {"deploy", ".git", ".venv", "."} & {one.partition("/")[0] for one in let_through}


def test_the_image_has_what_its_last_step_builds_with() -> None:
    locks = [(ROOT / name).read_text() for name in copied_first() if name.endswith(".lock")]
    extras = ("psycopg", "dvc-s3", "distributed", "asyncpg", "opentelemetry-sdk")
    for needed in ("hatchling", *extras):
        assert any(re.search(f"^{needed}==", lock, re.MULTILINE) for lock in locks)


def test_a_wheel_has_every_file_of_the_packages(tmp_path: Path) -> None:
    """Templates, schemas and presets, too; none that git ignores."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    files = git(
        ROOT,
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *sorted({name.partition("/")[0] for name in names}),
    )
    assert names == set(files.splitlines())
