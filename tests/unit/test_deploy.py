"""The compose file says what it may, names what there is, and holds no secret.

No engine runs it here: what can be told from the file is told.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from flows.cli import app
from mirrorset.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OURS = "mirrorset"
# Programs of the image's packages, and of the images by others.
PROGRAMS = {"mirrorset", "prefect", "dask", "python"}


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


def test_settings_are_ours_and_commands_exist(services: dict[str, Any]) -> None:
    known = {f"MIRRORSET_{name.upper()}" for name in Settings.model_fields}
    for service in services.values():
        if service["image"] != OURS:
            continue
        named = {name for name in service["environment"] if name.startswith("MIRRORSET_")}
        assert named <= known
        assert service["command"][0] in PROGRAMS
        for command in (service["command"], service.get("healthcheck", {}).get("test", [""])[1:]):
            if command and command[0] == "mirrorset":
                assert command[1] in get_command(app).commands


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


def test_files_that_the_image_is_made_of_are_there() -> None:
    copied = re.findall(r"^COPY (.+) \./$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert all((ROOT / name).is_file() for one in copied for name in one.split())
