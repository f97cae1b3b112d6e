"""Looks the locked versions up among known vulnerabilities; 1 where one is known or not looked up.

audit.py LOCK              pip-audit asks the package index about each version
audit.py LOCK ADVISORIES   a checkout of github.com/pypa/advisory-database is read instead,
                           where that service does not answer
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name
from packaging.version import Version

_LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)", re.MULTILINE)
#: Known and looked at: docs/security.md says why each does no harm here.
_JUDGED = {"PYSEC-2017-83", "CVE-2017-14158", "CVE-2025-69872"}


def asked(lock: Path) -> Iterator[tuple[str, set[str] | None]]:
    """Each package with the ids of its vulnerabilities, or None where nobody could tell."""
    said = subprocess.run(
        [Path(sys.executable).with_name("pip-audit"), "--requirement", lock, "--require-hashes",
         "--disable-pip", "--progress-spinner", "off", "--format", "json"],
        capture_output=True, check=False,
    )  # fmt: skip
    if not said.stdout:
        sys.exit(f"pip-audit failed: {said.stderr.decode().strip()[-500:]}")
    for one in json.loads(said.stdout)["dependencies"]:
        name = f"{one['name']} {one.get('version', '')}".strip()
        ids = {id_ for vuln in one.get("vulns", ()) for id_ in (vuln["id"], *vuln["aliases"])}
        yield name, None if "skip_reason" in one else ids


def read(lock: Path, advisories: Path) -> Iterator[tuple[str, set[str]]]:
    """Each package with the ids of the advisories that are of its version."""
    for name, version in _LOCKED.findall(lock.read_text()):
        files = sorted((advisories / "vulns" / canonicalize_name(name)).glob("*.yaml"))
        found = [yaml.safe_load(file.read_text()) for file in files]
        ids = {
            id_
            for one in found
            if "withdrawn" not in one and any(_is_of(part, version) for part in one["affected"])
            for id_ in (one["id"], *one.get("aliases", ()))
        }
        yield f"{name} {version}", ids


def _is_of(affected: dict, version: str) -> bool:
    """Whether a version is listed, or lies in a range (https://ossf.github.io/osv-schema/)."""
    if version in affected.get("versions", ()):
        return True
    is_in = False
    for range_ in affected.get("ranges", ()):
        for event in range_["events"] if range_["type"] == "ECOSYSTEM" else ():
            (kind, at), *_ = event.items()
            if kind == "introduced" and (at == "0" or Version(version) >= Version(at)):
                is_in = True
            if kind == "fixed" and Version(version) >= Version(at):
                is_in = False
            if kind == "last_affected" and Version(version) > Version(at):
                is_in = False
    return is_in


def main(lock: Path, advisories: Path | None) -> int:
    found = dict(read(lock, advisories) if advisories else asked(lock))
    unknown = [name for name, ids in found.items() if ids is None]
    known = {name: ids for name, ids in found.items() if ids}
    new = {name: ids for name, ids in known.items() if not ids & _JUDGED}
    told = [
        f"{name}: {', '.join(sorted(ids))}{'' if name in new else ' (judged)'}"
        for name, ids in known.items()
    ]
    if unknown:
        told.append(f"Not looked up, the service does not know them: {', '.join(unknown)}.")
    told.append(
        f"{len(found)} packages of {lock.name}: {len(found) - len(unknown)} looked up, "
        f"{len(known)} with known vulnerabilities, {len(new)} of them not judged yet."
    )
    sys.stdout.write("\n".join(told) + "\n")
    return 1 if unknown or new else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None))
