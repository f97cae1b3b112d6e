"""Secrets are planted; commands that fail in several ways write none of them anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorset.workspace import init

_SECRETS = {
    "MIRRORSET_CVAT_TOKEN": "planted-cvat-token-1",
    "MIRRORSET_CVAT_WEBHOOK_SECRET": "planted-webhook-2",
    "AWS_SECRET_ACCESS_KEY": "planted-s3-key-3",
    "FLICKR_API_KEY": "planted-flickr-4",
    "PREFECT_API_KEY": "planted-prefect-5",
}
_PASSWORD = "planted-password-6"  # noqa: S105 (one to be found)
_WRONG = {
    "no server": f"postgresql+psycopg://me:{_PASSWORD}@127.0.0.1:9/faces",
    "no driver": f"oracle+nothing://me:{_PASSWORD}@127.0.0.1:9/faces",
    "no port": f"postgresql+psycopg://me:{_PASSWORD}@127.0.0.1:none/faces",
    "unreadable": f"postgresql me:{_PASSWORD}@127.0.0.1",
}


@pytest.mark.parametrize("fault", _WRONG)
@pytest.mark.parametrize("command", [["status"], ["annotate", "status"], ["doctor", "--json"]])
def test_none_is_written(tmp_path: Path, fault: str, command: list[str]) -> None:
    home = init(tmp_path / "faces").home
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    planted = _SECRETS | {"MIRRORSET_CATALOGUE_URL": _WRONG[fault], "TMPDIR": str(scratch)}
    finished = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *command, "--home", str(home)],
        env=os.environ | planted,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode != 0
    written = finished.stdout + finished.stderr
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    written += b"".join(one.read_bytes() for one in files)
    for secret in (*_SECRETS.values(), _PASSWORD):
        assert secret.encode() not in written
