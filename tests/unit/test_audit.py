"""The audit of locked versions against a folder of advisories (`make audit ADVISORIES=…`)."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

_AUDIT = Path(__file__).parents[2] / ".ci/audit.py"
_EVENTS = [{"introduced": "1.1"}, {"fixed": "1.4"}, {"introduced": "2.0"}, {"last_affected": "2.1"}]


def audited(folder: Path, version: str, **advisory: object) -> tuple[int, str]:
    """Exit code and words of an audit of a lock with one package."""
    (folder / "requirements.lock").write_text(f"Any_Thing=={version} \\\n    --hash=sha256:0\n")
    place = folder / "vulns/any-thing"
    place.mkdir(parents=True, exist_ok=True)
    told = {
        "id": "PYSEC-2026-1",
        "aliases": ["CVE-2026-1"],
        "affected": [{"versions": ["0.9"], "ranges": [{"type": "ECOSYSTEM", "events": _EVENTS}]}],
    }
    (place / "PYSEC-2026-1.yaml").write_text(yaml.safe_dump(told | advisory))
    command = [sys.executable, _AUDIT, folder / "requirements.lock", folder]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.stderr == ""
    return finished.returncode, finished.stdout


@pytest.mark.parametrize("version", ["0.9", "1.1", "1.3.9", "2.0", "2.1"])
def test_a_version_that_an_advisory_names_fails(tmp_path: Path, version: str) -> None:
    code, said = audited(tmp_path, version)
    assert code == 1
    assert f"Any_Thing {version}: CVE-2026-1, PYSEC-2026-1\n" in said
    assert "1 packages of requirements.lock: 1 looked up, 1 with known vulnerabilities" in said


@pytest.mark.parametrize("version", ["1.0", "1.4", "1.10", "2.1.1", "3"])
def test_others_do_not(tmp_path: Path, version: str) -> None:
    assert audited(tmp_path, version)[0] == 0


def test_what_was_judged_or_withdrawn_does_not(tmp_path: Path) -> None:
    code, said = audited(tmp_path, "1.2", id="PYSEC-2017-83")
    assert (code, "(judged)" in said) == (0, True)
    assert audited(tmp_path, "1.2", withdrawn="2026-01-01T00:00:00Z")[0] == 0
