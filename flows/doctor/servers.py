"""Servers that a workspace's settings name: whether they answer, whom they accept, their clocks."""

import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import version

import httpx

from annotation.cvat.connection import KNOWN_VERSION
from flows.doctor.findings import Check, Outcome, fails, not_set, ok, warning
from flows.doctor.places import is_folder
from flows.engine import get_current_settings, prefect
from flows.exchanges import connection
from flows.prefect_server import version_of
from flows.telemetry import NOT_INSTALLED, is_installed, traces_url
from mirrorset.catalogue.store import OutdatedError
from mirrorset.cluster import connected
from mirrorset.dvc_config import remote_endpoint
from mirrorset.errors import MirrorsetError
from mirrorset.probe import probe_remote, probe_store
from mirrorset.records import ImageRecord
from mirrorset.workspace import Workspace

# Less than all checks together are waited for.
_PATIENCE_S = 4.0
# Amazon refuses what was signed a quarter of an hour ago; logs are misread before.
_SKEW_S = 30.0
_OLDEST_POSTGRESQL = 15
_AMAZON = "https://s3.amazonaws.com"


def checks(workspace: Workspace) -> list[Check]:
    """What is asked of servers; what names none is not set."""
    return [
        Check("catalogue", partial(_catalogue, workspace)),
        Check("originals", partial(_originals, workspace)),
        Check("remote", partial(_remote, workspace)),
        Check("CVAT", partial(_cvat, workspace)),
        Check("Prefect", _prefect),
        Check("Dask", partial(_dask, workspace)),
        Check("telemetry", _telemetry),
        *(Check(f"clock of {name}", partial(_clock, url)) for name, url in _clocks(workspace)),
        *(
            [Check("clock of PostgreSQL", partial(_clock_of_database, workspace))]
            if _is_postgresql(workspace)
            else []
        ),
    ]


def _is_postgresql(workspace: Workspace) -> bool:
    return workspace.settings.catalogue_url.startswith("postgresql")


def _catalogue(workspace: Workspace) -> Outcome:
    try:
        with workspace.catalogue(is_looked_at=True) as catalogue:
            found = f"{catalogue.count(ImageRecord)} images, tables of this version"
            if not _is_postgresql(workspace):
                return ok(found)
            with catalogue.reading() as connection:
                return on_postgresql(found, connection.dialect.server_version_info or ())
    except OutdatedError as error:
        return warning("tables of an earlier version, or none", str(error))


def on_postgresql(found: str, version: tuple[int, ...]) -> Outcome:
    """What was found on a PostgreSQL server of this version."""
    found = f"{found}, on PostgreSQL {'.'.join(map(str, version))}"
    if version < (_OLDEST_POSTGRESQL,):
        return warning(
            found, f"Update the server: {_OLDEST_POSTGRESQL} is the oldest that is known to work."
        )
    return ok(found)


def _originals(workspace: Workspace) -> Outcome:
    url = workspace.settings.blobs_url
    if not is_folder(url):
        probe_store(url)
    return ok(f"{url} answers" if not is_folder(url) else url)


def _remote(workspace: Workspace) -> Outcome:
    url = workspace.remote
    if not url:
        return not_set("releases stay here", "`mirrorset init --remote` names one.")
    if is_folder(url):
        # DVC reads a relative one from .dvc.
        folder = workspace.home / ".dvc" / url
        if not folder.is_dir():
            return warning(f"there is no folder {url}", "Mount it; DVC makes it at the next push.")
        if not os.access(folder, os.W_OK | os.X_OK):
            return fails(f"this user may not write to {url}", "Give it to this user.")
        return ok(url)
    probe_remote(workspace.home)
    return ok(f"{url} answers")


def _cvat(workspace: Workspace) -> Outcome:
    if not workspace.settings.cvat_url:
        return not_set("annotators get archives in the folder cvat")
    server = connection(workspace, _PATIENCE_S)
    # The version is told to anybody; this is not.
    server.call("GET", "/api/users", query={"page_size": 1})
    known = ".".join(map(str, KNOWN_VERSION))
    found = f"{server.name} takes the token; cvat-sdk is {version('cvat-sdk')}"
    if _numbers(server.version)[:2] > KNOWN_VERSION:
        return warning(f"{found}; {known} is the version known here", "Try it on one batch first.")
    return ok(found)


def _numbers(said: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", said))


def _prefect() -> Outcome:
    url = get_current_settings().api.url
    if not url:
        return not_set("flows start a server of their own")
    theirs = version_of(url)
    found = f"{url} is Prefect {theirs}"
    if _numbers(theirs)[:2] != _numbers(prefect.__version__)[:2]:
        return warning(
            f"{found}, this is {prefect.__version__}", "Give the server the version of this one."
        )
    return ok(found)


def _dask(workspace: Workspace) -> Outcome:
    address = workspace.settings.dask_scheduler
    if not address:
        return not_set("this machine crawls and labels")
    with connected(address, _PATIENCE_S) as client:
        versions = client.get_versions(packages=["mirrorset"])
    own, workers = versions["client"]["packages"], versions["workers"].values()
    if not workers:
        return fails(f"{address} has no worker", f"Start some: `dask worker {address}`.")
    others = {
        f"{name} {worker['packages'].get(name) or 'missing'} (here {known})"
        for worker in workers
        for name, known in own.items()
        if known and worker["packages"].get(name) != known
    }
    if others:
        outcome = fails if any(map(_is_fatal, others)) else warning
        return outcome(
            f"workers have {', '.join(sorted(others))}",
            "Install requirements-cluster.lock and mirrorset there as on this machine.",
        )
    return ok(f"{len(workers)} workers at {address}, with the packages of this machine")


def _is_fatal(difference: str) -> bool:
    """Whether such workers can do nothing for us: without mirrorset, or by another Python."""
    minor = ".".join(map(str, sys.version_info[:2]))
    return difference.startswith("mirrorset") or (
        difference.startswith("python ") and not difference.startswith(f"python {minor}.")
    )


def _telemetry() -> Outcome:
    url = traces_url()
    if not url:
        return not_set("OTEL_EXPORTER_OTLP_ENDPOINT is not set: runs are not traced")
    if not is_installed():
        return warning(f"{url} gets nothing", NOT_INSTALLED)
    try:
        # No spans at all are as good a message as any.
        answer = httpx.post(
            url,
            content=b"",
            headers={"Content-Type": "application/x-protobuf"},
            timeout=_PATIENCE_S,
        )
    except httpx.TransportError as error:
        said = str(error) or type(error).__name__
        return warning(f"{url} does not answer ({said})", "Start the collector: runs go on.")
    if not answer.is_success:
        return warning(
            f"{url} answers with {answer.status_code}",
            "See that it takes OTLP over HTTP, and OTEL_EXPORTER_OTLP_HEADERS.",
        )
    return ok(f"{url} takes traces")


def _clocks(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Web servers that say what time it is, by name."""
    settings = workspace.settings
    if settings.cvat_url:
        yield "CVAT", f"{settings.cvat_url.rstrip('/')}/api/server/about"
    if url := get_current_settings().api.url:
        yield "Prefect", f"{url}/health"
    if settings.blobs_url.startswith("s3://") or workspace.remote.startswith("s3://"):
        yield "S3", remote_endpoint(workspace.home) or os.environ.get("AWS_ENDPOINT_URL") or _AMAZON


def _clock(url: str) -> Outcome:
    began = time.time()
    try:
        said = httpx.get(url, timeout=_PATIENCE_S).headers.get("Date", "")
        at = parsedate_to_datetime(said).timestamp()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        # That it does not answer is another check's to say.
        return not_set("it does not say what time it is")
    # It leaves out parts of a second.
    return _skew(at + 0.5 - (began + time.time()) / 2)


def _clock_of_database(workspace: Workspace) -> Outcome:
    began = time.time()
    try:
        with (
            workspace.catalogue(is_looked_at=True) as catalogue,
            catalogue.reading() as connection,
        ):
            began = time.time()
            at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    except MirrorsetError:
        return not_set("it does not say what time it is")
    return _skew(at.timestamp() - (began + time.time()) / 2)


def _skew(ahead_s: float) -> Outcome:
    found = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    if abs(ahead_s) > _SKEW_S:
        return warning(
            found,
            "Set both by a time server: schedules, receipts and logs go by these clocks, and S3 "
            "refuses what is a quarter of an hour off.",
        )
    return ok(found)
