"""Places on this machine: disks, folders, files with secrets, ports, weights; and what params.yaml
asks for.
"""

import errno
import os
import shutil
import socket
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from crawlers.sources.flickr import KEY_VARIABLE
from crawlers.sources.openverse import ID_VARIABLE, SECRET_VARIABLE
from faces.registry import Model, load_registry, verify
from flows.crawl import CrawlParams, require_answerable
from flows.doctor.findings import Check, Outcome, fails, not_set, ok, warning
from flows.sections import check_params
from flows.serve import is_served
from flows.serve_params import ServeParams
from mirrorset.catalogue.tallies import stored_bytes
from mirrorset.commands import git
from mirrorset.errors import MirrorsetError
from mirrorset.settings import Settings
from mirrorset.tombstones import key_file
from mirrorset.workspace import Workspace, open_workspace

# Under the first nothing gets done; under the second some step will run out of room.
_LEAST_BYTES = 500_000_000
_ROOM_BYTES = 2_000_000_000
_SECRET_SETTINGS = {"cvat_token", "cvat_webhook_secret"}
_READ_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def checks(workspace: Workspace) -> list[Check]:
    """What is looked at of the workspace; where there is none, of where one would be."""
    settings, private = workspace.settings, workspace.private
    disks = {
        "workspace": private,
        "weights": settings.cache,
        "TMPDIR": Path(tempfile.gettempdir()),
        "Prefect": Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect"),
    }
    if is_folder(settings.blobs_url):
        disks["originals"] = Path(settings.blobs_url)
    return [
        *(Check(f"disk {name}", partial(disk, workspace, path)) for name, path in disks.items()),
        *(
            Check(f"weights {model.name}", partial(_weights, model, settings))
            for model in load_registry().values()
        ),
        Check("workspace", partial(_workspace, workspace)),
        *(_of_workspace(workspace) if (workspace.home / ".dvc").is_dir() else ()),
    ]


def is_folder(url: str) -> bool:
    """Whether an address of fsspec is a folder of this machine."""
    return urlsplit(url).scheme in ("", "file")


def _of_workspace(workspace: Workspace) -> Iterator[Check]:
    yield Check("repository", partial(_repository, workspace))
    yield Check("folders", partial(folders, workspace))
    yield Check("files with secrets", partial(secret_files, workspace))
    yield Check("sources", partial(_sources, workspace))
    yield Check("key of Flickr", partial(_flickr, workspace))
    yield Check("credentials of Openverse", partial(_openverse, workspace))
    yield Check("port of Prefect's UI", partial(ui_port, workspace))
    yield Check("port of the report", partial(report_port, workspace))
    yield Check("port of the webhook", partial(webhook_port, workspace))


def disk(workspace: Workspace, place: Path) -> Outcome:
    """Room at a place, or where it would be made. A release copies what it holds."""
    folder = place.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    originals = _originals(workspace) if place == workspace.private else 0
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if free < _LEAST_BYTES:
        return fails(found, "Free 2 GB there, or name another place.")
    if free < _ROOM_BYTES:
        return warning(found, "Free 2 GB there, or name another place.")
    if free < originals:
        return warning(
            f"{found}, under the {originals / 1e9:.1f} GB of originals that a release copies",
            "Free as much before the next release.",
        )
    return ok(found)


def _originals(workspace: Workspace) -> int:
    try:
        with workspace.catalogue(is_looked_at=True) as catalogue:
            return stored_bytes(catalogue)
    except MirrorsetError:
        # Another check says so.
        return 0


def _weights(model: Model, settings: Settings) -> Outcome:
    state = verify(model, settings.models)
    remedy = f"Run `mirrorset models fetch {model.name}`."
    if state == "missing":
        return not_set("not here: fetched when they are first needed", remedy)
    return ok("sha256 as registered") if state == "ok" else fails(state, remedy)


def _workspace(workspace: Workspace) -> Outcome:
    if not (workspace.home / ".dvc").is_dir():
        return not_set("none here", f"Run `mirrorset init {workspace.home}`.")
    check_params(open_workspace(workspace.home))
    return ok("params.yaml and .dvc/config in order")


def _repository(workspace: Workspace) -> Outcome:
    try:
        branch = git(workspace.home, "rev-parse", "--abbrev-ref", "HEAD")
    except MirrorsetError as error:
        if "dubious ownership" not in str(error):
            raise
        return fails(
            "it is another user's, so that git refuses it",
            f"Work as its owner, or run `git config --global --add safe.directory "
            f"{workspace.home}`.",
        )
    return ok(f"branch {branch}")


def folders(workspace: Workspace) -> Outcome:
    """Whether this user may write where steps write."""
    home, private = workspace.home, workspace.private
    names = (".git", ".dvc", "data", "cvat", "parity")
    places = [home, *(home / name for name in names)]
    places += [private, *(private / name for name in ("spool", "logs", "runs"))]
    places.append(workspace.settings.cache)
    if is_folder(workspace.settings.blobs_url):
        places.append(Path(workspace.settings.blobs_url))
    there = [place for place in places if place.exists()]
    refused = [str(place) for place in there if not os.access(place, os.W_OK | os.X_OK)]
    if refused:
        return fails(
            f"this user may not write to {', '.join(refused)}",
            "Work as their owner, or give them to this user (chown --recursive).",
        )
    return ok(f"{len(there)} can be written to")


def secret_files(workspace: Workspace) -> Outcome:
    """Whether others on this machine can read files that hold secrets."""
    held = list(_with_secrets(workspace))
    if open_ones := [str(file) for file in held if file.stat().st_mode & _READ_BY_OTHERS]:
        return warning(
            f"other users of this machine may read {', '.join(open_ones)}",
            f"Run `chmod 600 {' '.join(open_ones)}`.",
        )
    return ok(f"{len(held)}, read by this user alone") if held else not_set("none")


def _with_secrets(workspace: Workspace) -> Iterable[Path]:
    settings = workspace.home / "mirrorset.toml"
    if settings.is_file():
        said = tomllib.loads(settings.read_text(encoding="utf-8"))
        addresses = [str(said.get(name, "")) for name in ("catalogue_url", "blobs_url")]
        if _SECRET_SETTINGS & said.keys() or any(urlsplit(one).password for one in addresses):
            yield settings
    for file in (workspace.home / ".dvc" / "config.local", key_file(workspace.private)):
        if file.is_file():
            yield file


def _sources(workspace: Workspace) -> Outcome:
    sources = workspace.params("crawl", CrawlParams).sources
    for start in sources:
        require_answerable(start, workspace.responsible)
    if not sources:
        return not_set("none", "Name some in params.yaml (docs/crawl.md).")
    return ok(", ".join(sorted({start.source for start in sources})))


def _flickr(workspace: Workspace) -> Outcome:
    if os.environ.get(KEY_VARIABLE, "").strip():
        return ok(f"{KEY_VARIABLE} is set")
    if "flickr" not in _kinds(workspace):
        return not_set("no source needs it")
    return fails(
        f"{KEY_VARIABLE} is not set, and a source of params.yaml needs it",
        "Set it to your key (www.flickr.com/services/apps/create).",
    )


def _openverse(workspace: Workspace) -> Outcome:
    lacking = [
        name for name in (ID_VARIABLE, SECRET_VARIABLE) if not os.environ.get(name, "").strip()
    ]
    if not lacking:
        return ok("both are set")
    if len(lacking) == 2:
        return not_set("Openverse is asked without them: pages of 20")
    outcome = fails if "openverse" in _kinds(workspace) else warning
    return outcome(f"{lacking[0]} is not set", "Set both, or neither.")


def _kinds(workspace: Workspace) -> set[str]:
    return {start.source for start in workspace.params("crawl", CrawlParams).sources}


def ui_port(workspace: Workspace) -> Outcome:
    """Whether the Prefect server of `mirrorset serve` gets its port."""
    port = workspace.params("serve", ServeParams).ui_port
    if os.environ.get("PREFECT_API_URL"):
        return not_set("PREFECT_API_URL names a server")
    if is_served(workspace):
        return ok(f"{port}, or another, is `mirrorset serve`'s")
    if reason := _refusal("127.0.0.1", port):
        return warning(
            f"127.0.0.1:{port} {reason}",
            "`mirrorset serve` takes another port and says which; serve: ui_port names one.",
        )
    return ok(f"127.0.0.1:{port} is free")


def report_port(workspace: Workspace) -> Outcome:
    """Whether the report can be shown."""
    port = workspace.params("serve", ServeParams).report_port
    if port is None:
        return not_set("serve: report_port is not set: `mirrorset view` shows the report")
    remedy = "End what listens there, or choose another in params.yaml (serve: report_port)."
    return _port(workspace, "127.0.0.1", port, remedy)


def webhook_port(workspace: Workspace) -> Outcome:
    """Whether CVAT's deliveries can be listened for."""
    params = workspace.params("serve", ServeParams)
    host, port = params.webhook_host, params.webhook_port
    if not workspace.settings.cvat_webhook_secret.get_secret_value():
        return not_set("MIRRORSET_CVAT_WEBHOOK_SECRET is not set: no deliveries are listened for")
    remedy = (
        "End what listens there (`mirrorset annotate listen` may), or choose another in "
        "params.yaml (serve: webhook_host, webhook_port)."
    )
    return _port(workspace, host, port, remedy)


def _port(workspace: Workspace, host: str, port: int, remedy: str) -> Outcome:
    if is_served(workspace):
        return ok(f"{host}:{port} is `mirrorset serve`'s")
    if reason := _refusal(host, port):
        return fails(f"{host}:{port} {reason}", remedy)
    return ok(f"{host}:{port} is free")


def _refusal(host: str, port: int) -> str:
    """Why nothing can listen there, or ""."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "is taken"
        return f"cannot be listened on ({error.strerror})"
    return ""
