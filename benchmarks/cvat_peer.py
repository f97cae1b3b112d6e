"""cvat-cli 2.80: its environment, and one round trip by it measured."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from measured import run

PINNED = Path(__file__).with_name("cvat_cli.txt")
# As fast as it can be told to ask; for an import it cannot be told, and asks every 5 s.
_PERIOD_S = "0.05"
# With a token it sends no Origin header, without which the server breaks over an upload in parts.
USER, PASSWORD = "admin", "admin-password"
_FORMAT = "COCO Keypoints 1.0"


@dataclass(frozen=True)
class PeerRun:
    """Wall time of each command, whole processes. annotations: that came back, of keypoints."""

    create_s: float
    import_s: float
    export_s: float
    annotations: int

    @property
    def wall_s(self) -> float:
        """Of all of them."""
        return self.create_s + self.import_s + self.export_s


def environment(cache: Path) -> Path:
    """The program `cvat-cli` in an environment of its own, made where `cache` lacks it."""
    digest = hashlib.sha256(PINNED.read_bytes()).hexdigest()[:8]
    folder = cache / "benchmarks" / f"cvat-cli-{digest}"
    if not (folder / "complete").exists():
        uv = str(Path(sys.executable).parent / "uv")
        python = ["--python", str(folder / "bin" / "python")]
        _checked([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)])
        # Compiled now, as ours are: no run pays for it.
        wanted = ["--compile-bytecode", "--no-deps", "--requirements", str(PINNED)]
        _checked([uv, "pip", "install", "--quiet", *python, *wanted])
        (folder / "complete").touch()
    return folder / "bin" / "cvat-cli"


def round_trip(
    program: Path, url: str, folder: Path, scratch: Path, job_size: int, is_joined: bool
) -> PeerRun:
    """Create a task of `folder`, import its labels, export them.

    is_joined: labels go along with `task create`, whose polling can be told for both.
    """
    env = {**os.environ, "PASS": PASSWORD, "PYTHONPATH": ""}
    host, _, port = url.rpartition(":")
    cli = [str(program), "--auth", USER, "--server-host", host, "--server-port", port]
    files = sorted(str(path) for path in (folder / "images").iterdir())
    log = scratch / "peer.log"
    create = [
        *(*cli, "task", "create", "bench", "--labels", str(folder / "labels.json")),
        *("--segment_size", str(job_size), "--completion_verification_period", _PERIOD_S),
    ]
    if is_joined:
        create += ["--annotation_path", str(folder / "coco.json"), "--annotation_format", _FORMAT]
    made = run([*create, "local", *files], log, env)
    task = re.findall(r"\d+", log.read_text().strip().splitlines()[-1])[-1]
    import_s = 0.0
    if not is_joined:
        command = [*cli, "task", "import-dataset", "--format", _FORMAT, task]
        import_s = run([*command, str(folder / "coco.json")], log, env).wall_s
    out = scratch / "export.zip"
    out.unlink(missing_ok=True)
    options = ["--format", _FORMAT, "--completion_verification_period", _PERIOD_S]
    exported = run([*cli, "task", "export-dataset", *options, task, str(out)], log, env)
    return PeerRun(made.wall_s, import_s, exported.wall_s, _annotations(out))


def _annotations(archive: Path) -> int:
    """Annotations with keypoints in an export."""
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        name = next(one for one in opened.namelist() if one.endswith(".json"))
        return sum("keypoints" in one for one in json.loads(opened.read(name))["annotations"])


def _checked(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise SystemExit(f"`{' '.join(command[:3])}` failed: {said}")
