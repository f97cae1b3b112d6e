"""Overview: what is where, what is stuck and since when, what ran last; it changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime

from flows.certificates import open_orders
from flows.crawl import CrawlParams
from flows.quarantine import doubts, due_for_erasure
from flows.release_state import read_state, state_file
from flows.run_notes import RunNote, read_notes
from flows.serve import is_served, served_at
from flows.serving.approval import how_ended, waiting
from mirrorset.blobs import Held
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.tallies import (
    Tallies,
    overdue_receipts,
    planned_batches,
    still_jobs,
    tallies,
)
from mirrorset.commands import git
from mirrorset.erasure import Order
from mirrorset.errors import UnavailableError
from mirrorset.records import Record, utc_now
from mirrorset.workspace import Workspace, open_workspace

_LAST_RUNS = 10
# A shard is ingested by the next step; one that lies for longer waits for a person.
_SPOOLED_FOR = timedelta(days=1)
_COUNT_BLOBS_S = 1.0


class Stuck(Record):
    """Something that does not go on by itself. since: None where that is not known."""

    what: str
    since: AwareDatetime | None
    remedy: str


class Overview(Record):
    """A workspace as it is at `at`.

    blobs: what the blob store holds, None where it does not answer. release: the version that it
    stands at, "" before the first; releases: tags of all. quarantined: images; erasure_due: of
    these, those whose time is over or that a person has dropped. spooled: shards that wait for the
    next step. ui_url: Prefect's page while `mirrorset serve` runs here. runs: the latest first.
    """

    at: AwareDatetime
    images: Tallies
    quarantined: int
    erasure_due: int
    blobs: Held | None
    release: str
    releases: tuple[str, ...]
    spooled: int
    ui_url: str
    stuck: tuple[Stuck, ...]
    runs: tuple[RunNote, ...]


def overview(home: Path, patience_days: float = 7) -> Overview:
    """Look at the workspace at `home`.

    patience_days: after so many without a change, jobs with annotators are stuck. Raises as
    `open_workspace` and opening the catalogue do.
    """
    workspace, now = open_workspace(home), utc_now()
    notes = _latest(workspace)
    blobs, silent = _held(workspace)
    tags = git(workspace.home, "tag", "--list", "--", f"{workspace.dataset.name}-*").split()
    with workspace.catalogue(is_looked_at=True) as catalogue:
        return Overview(
            at=now,
            images=tallies(catalogue),
            quarantined=len({one.image_id for one in doubts(workspace, catalogue)}),
            erasure_due=len(due_for_erasure(workspace, catalogue)),
            blobs=blobs,
            release=read_state(workspace).version if state_file(workspace).exists() else "",
            releases=tuple(tags),
            spooled=len(list(workspace.spool.glob("*.jsonl"))),
            ui_url=served_at(workspace).removesuffix("/api") if is_served(workspace) else "",
            stuck=(
                *silent,
                *_stuck_runs(notes),
                *_waiting(workspace),
                *_stuck_shards(workspace, now),
                *_stuck_erasures(workspace),
                *_unfinished_release(workspace, tags),
                *_unfinished_push(catalogue, notes),
                *_stuck_jobs(catalogue, now - timedelta(days=patience_days)),
                *_overdue(workspace, catalogue, now),
            ),
            runs=tuple(notes[:_LAST_RUNS]),
        )


def _held(workspace: Workspace) -> tuple[Held | None, list[Stuck]]:
    try:
        return workspace.blobs.held(_COUNT_BLOBS_S), []
    except UnavailableError as error:
        what = f"The blob store {workspace.settings.blobs_url} cannot be used"
        return None, [Stuck(what=what, since=None, remedy=str(error))]


def _latest(workspace: Workspace) -> list[RunNote]:
    """The last runs, and the last one of each flow."""
    notes: list[RunNote] = []
    seen: set[str] = set()
    for number, note in enumerate(read_notes(workspace.private)):
        if number < _LAST_RUNS or note.flow not in seen:
            notes.append(note)
        seen.add(note.flow)
    return notes


def _stuck_runs(notes: list[RunNote]) -> Iterator[Stuck]:
    seen: set[str] = set()
    for note in notes:
        # A later run of the same flow has taken up what this one left.
        is_last = note.flow not in seen
        seen.add(note.flow)
        if not is_last:
            continue
        if note.state == "running" and not note.is_alive:
            what = f"The run of {note.flow} died (process {note.process_id})"
            yield Stuck(what=what, since=note.began_at, remedy="Run it again: it goes on there.")
        elif note.state == "failed":
            what = f"The last run of {note.flow} failed: {note.fault}"
            yield Stuck(what=what, since=note.ended_at, remedy="Do what it says and run it again.")


def _waiting(workspace: Workspace) -> Iterator[Stuck]:
    asked = waiting(workspace)
    if asked is None:
        return
    version, proposal_id = asked.proposal.version, asked.proposal.proposal_id
    if how := how_ended(workspace, asked):
        what = f"The run that waited for approval of release {version} has ended ({how})"
        remedy = "The next run of scheduled-release proposes it anew."
    else:
        what = f"Release {version} waits for approval"
        remedy = (
            "Look at it with `mirrorset release proposal`, then run `mirrorset release approve "
            f"{proposal_id} --by NAME`, or `reject`."
        )
    yield Stuck(what=what, since=asked.asked_at, remedy=remedy)


def _stuck_shards(workspace: Workspace, now: datetime) -> Iterator[Stuck]:
    for shard in sorted(workspace.spool.glob("*.jsonl")):
        written_at = datetime.fromtimestamp(shard.stat().st_mtime, UTC)
        if now - written_at > _SPOOLED_FOR:
            remedy = "Run any step; where it refuses the file, move it away."
            yield Stuck(what=f"{shard} is not ingested", since=written_at, remedy=remedy)


def _stuck_erasures(workspace: Workspace) -> Iterator[Stuck]:
    for file, order in open_orders(workspace.private):
        if not isinstance(order, Order):
            changed_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            what = "An erasure is incomplete, and its order cannot be read"
            yield Stuck(what=what, since=changed_at, remedy=str(order))
            continue
        yield Stuck(
            what=f"Erasure {order.erasure_id} ({len(order.image_ids)} images) is incomplete",
            since=order.began_at,
            remedy="Run the same `mirrorset erase` again; its certificate says what was unreached.",
        )


def _unfinished_release(workspace: Workspace, tags: list[str]) -> Iterator[Stuck]:
    file = state_file(workspace)
    if not file.exists():
        return
    state = read_state(workspace)
    tag = f"{workspace.dataset.name}-{state.version}"
    # One that was but proposed has no digest, which a release begins with.
    if state.digest and tag not in tags:
        began_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        remedy = "Run `mirrorset release`, which asks nobody; the next scheduled one does it, too."
        yield Stuck(what=f"{tag} is begun and not released", since=began_at, remedy=remedy)


def _unfinished_push(catalogue: Catalogue, notes: list[RunNote]) -> Iterator[Stuck]:
    last = next((note for note in notes if note.flow == "annotate-push"), None)
    is_at_it = last is not None and last.state == "running" and last.is_alive
    count = planned_batches(catalogue)
    if count and not is_at_it:
        yield Stuck(
            what=f"{count} batches are not with annotators: a push was not completed",
            since=last.began_at if last else None,
            remedy="Run `mirrorset annotate push`: it completes it.",
        )


def _stuck_jobs(catalogue: Catalogue, before: datetime) -> Iterator[Stuck]:
    for one in still_jobs(catalogue, before):
        yield Stuck(
            what=f"Batch {one.batch_id[:12]}: {one.jobs} jobs unchanged ({one.state})",
            since=one.since,
            remedy="Ask their annotators or reviewers, or assign them to others in CVAT.",
        )


def _overdue(workspace: Workspace, catalogue: Catalogue, now: datetime) -> Iterator[Stuck]:
    every = timedelta(days=workspace.params("crawl", CrawlParams).verify.every_days)
    count, oldest = overdue_receipts(catalogue, now - every)
    if count and oldest is not None:
        remedy = "Run `mirrorset verify-licences`."
        yield Stuck(what=f"{count} receipts are to be verified", since=oldest, remedy=remedy)
