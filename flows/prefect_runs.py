"""What Prefect keeps of runs: parameters, messages, logs, answers of people, artifacts, results."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import flows.engine  # noqa: F401  (sets what Prefect reads when it is imported)

# isort: split
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from mirrorset.erasure import Gone, Removed, Unreached
from mirrorset.masking import masked

_PLACE = "Prefect"
_AT_ONCE = 200
_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.2
#: The only flow that people are asked in.
_ASKING = "scheduled-release"


def erase(gone: Gone, is_dry_run: bool = False) -> tuple[list[Removed], list[Unreached]]:
    """Remove the flow runs, artifacts and stored results that mention one of the images.

    A flow's parameters, the message of its failure, its log and what a person answered it may name
    an image; its tasks and log go with it. Results are looked for in the storage of this machine.
    Prefect's events, which repeat messages, are no client's to delete: its server drops them after
    some days (PREFECT_SERVER_EVENTS_RETENTION_PERIOD).
    """
    try:
        with get_client(sync_client=True) as client:
            runs = _runs_about(client, gone)
            artifacts = [
                one.id
                for one in _pages(client.read_artifacts, sort="ID_DESC")
                if gone.is_told_in(one.model_dump_json().encode())
            ]
            left = [] if is_dry_run else _removed(client, runs, artifacts)
    except Exception as error:
        # Prefect's client raises those of its transport.
        words = masked(" ".join(str(error).split())) or type(error).__name__
        why = f"Its server does not answer ({words}): run the same again when it does."
        return _results(gone, is_dry_run), [Unreached(place=_PLACE, name="runs", why=why)]
    counts = {"runs": len(runs), "artifacts": len(artifacts)}
    found = [Removed(place=_PLACE, name=name, count=one) for name, one in counts.items() if one]
    return found + _results(gone, is_dry_run), left


def _removed(client: Any, runs: list[UUID], artifacts: list[UUID]) -> list[Unreached]:
    """Delete them; what is still there in the end."""
    for run_id in runs:
        # Of one that is gone, its log may have stayed.
        with suppress(ObjectNotFound):
            client.delete_flow_run(run_id)
    for artifact_id in artifacts:
        with suppress(ObjectNotFound):
            client.delete_artifact(artifact_id)
    until = time.monotonic() + _PATIENCE_S
    while runs and _has_logs(client, runs):
        # The server removes the log of a run once it has answered.
        if time.monotonic() > until:
            why = "Its server still keeps logs of runs that were deleted: run the same again later."
            return [Unreached(place=_PLACE, name="logs", why=why)]
        time.sleep(_LOOK_EVERY_S)
    return []


def _has_logs(client: Any, runs: list[UUID]) -> bool:
    return any(
        client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=runs[at : at + _AT_ONCE])))
        for at in range(0, len(runs), _AT_ONCE)
    )


def _runs_about(client: Any, gone: Gone) -> list[UUID]:
    """Ids of the flow runs that mention one of the images, in whatever is kept of them."""
    found = {
        one.id for one in _pages(client.read_flow_runs, sort="ID_DESC") if _is_about(one, gone)
    }
    for one in _pages(client.read_task_runs, sort="ID_DESC"):
        if _is_about(one, gone):
            found.add(one.flow_run_id)
    for one in _pages(client.read_logs):
        if gone.is_told_in(one.message.encode()):
            found.add(one.flow_run_id)
    return sorted({*found, *_answered_about(client, gone)} - {None})


def _answered_about(client: Any, gone: Gone) -> Iterator[UUID]:
    asking = FlowFilter(name=FlowFilterName(any_=[_ASKING]))
    for run in _pages(client.read_flow_runs, sort="ID_DESC", flow_filter=asking):
        answers = client.filter_flow_run_input(run.id, "", _AT_ONCE, set())
        if any(gone.is_told_in(one.model_dump_json().encode()) for one in answers):
            yield run.id


def _pages(read: Callable[..., list[Any]], **what: Any) -> Iterator[Any]:
    offset = 0
    while page := read(limit=_AT_ONCE, offset=offset, **what):
        yield from page
        offset += len(page)


def _is_about(run: Any, gone: Gone) -> bool:
    said = run.model_dump_json().encode()
    if gone.is_told_in(said):
        return True
    # Commands take the first digits of an id, too.
    given = getattr(run, "parameters", {}).get("images", ())
    starts = [one for one in given if isinstance(one, str) and one]
    return any(image_id.startswith(one) for one in starts for image_id in gone.image_ids)


def _results(gone: Gone, is_dry_run: bool) -> list[Removed]:
    storage = get_current_settings().results.local_storage_path
    if not storage.is_dir():
        return []
    held = [one for one in storage.rglob("*") if one.is_file() and gone.is_in(one.read_bytes())]
    if not is_dry_run:
        for file in held:
            file.unlink()
    return [Removed(place=_PLACE, name="results", count=len(held))] if held else []
