"""Secrets are planted; commands that fail in several ways write none of them anywhere.

All servers, and commands that succeed: tests/integration/test_planted_secrets.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted import Planted

from mirrorset.workspace import init

_PASSWORD = "planted-password-6"  # noqa: S105 (one to be found)
_SECRETS = {
    "MIRRORSET_CVAT_TOKEN": "planted-cvat-token-1",
    "MIRRORSET_CVAT_WEBHOOK_SECRET": "planted-webhook-2",
    "AWS_SECRET_ACCESS_KEY": "planted-s3-key-3",
    "MIRRORSET_FLICKR_API_KEY": "planted-flickr-4",
    "PREFECT_API_KEY": "planted-prefect-5",
    "AWS_SESSION_TOKEN": "planted-s3/session+7",
    "PREFECT_API_AUTH_STRING": "admin:planted-prefect/8",
}
#: A server that is gone is not waited for.
_IMPATIENT = """
from flows import prefect_server
from flows.cli import main
prefect_server._ANSWERS_WITHIN_S = 0
main()
"""
_GONE = {"MIRRORSET_CATALOGUE_URL": f"postgresql+psycopg://me:{_PASSWORD}@127.0.0.1:9/faces"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that all commands find as it was, for they fail."""
    return init(tmp_path_factory.mktemp("secrets") / "faces").home


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (["status"], _GONE),
        (["status"], {"MIRRORSET_CATALOGUE_URL": f"oracle+nothing://me:{_PASSWORD}@127.0.0.1:9/x"}),
        (["status"], {"MIRRORSET_CATALOGUE_URL": f"postgresql://me:{_PASSWORD}@127.0.0.1:none/x"}),
        (["status"], {"MIRRORSET_CATALOGUE_URL": f"postgresql me:{_PASSWORD}@127.0.0.1"}),
        (["annotate", "status"], _GONE),
        (["doctor", "--json"], _GONE),
        (["status"], {"MIRRORSET_CVAT_URL": f"https://me:{_PASSWORD}@cvat.example"}),
        (["serve"], {"PREFECT_API_URL": f"http://me:{_PASSWORD}@127.0.0.1:9/api"}),
    ],
)
def test_none_is_written(
    home: Path, tmp_path: Path, command: list[str], fault: dict[str, str]
) -> None:
    planted = _SECRETS | fault | {"TMPDIR": str(tmp_path), "PREFECT_CLIENT_MAX_RETRIES": "0"}
    finished = subprocess.run(
        [sys.executable, "-c", _IMPATIENT, *command, "--home", str(home)],
        env=os.environ | planted,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode != 0
    sought = Planted(
        {name: value.rpartition(":")[2] for name, value in _SECRETS.items()} | {"": _PASSWORD}
    )
    assert sought.found_in(finished.stdout + finished.stderr) == set()
    assert [*sought.found_below(home), *sought.found_below(tmp_path)] == []
