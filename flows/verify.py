"""Verify: receipts are checked again; what fails goes into quarantine, its releases are named."""

import csv
from collections import Counter
from collections.abc import Iterator, Set
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from crawlers.order import RecheckSummary, RecheckTerms
from crawlers.run import recheck
from crawlers.sources import Start
from flows.at_work import at_work
from flows.crawl import CrawlParams, order, place_of, require_answerable, title
from flows.engine import flow, outside
from flows.progress import bar
from mirrorset.catalogue.receipts import Crawled, count_orphans, crawled
from mirrorset.commands import git
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.masking import masked
from mirrorset.records import Batch, Quarantine, Reason, Record, utc_now
from mirrorset.spool import ingest
from mirrorset.workspace import Workspace, open_workspace


class VerifySummary(Record):
    """What a verification found, and what is in quarantine since then or before.

    checked: receipts that were due. verified, renewed, released, quarantined, still_quarantined,
    unreachable, waiting: what they came to, as in RecheckSummary. orphans: receipts of no crawl of
    this catalogue. in_quarantine: images, of which to_erase have been there too long. releases:
    images in quarantine by the release of this workspace that holds them ("faces 1.0.0").
    releases_not_here: tags of releases whose files are not in this workspace. batches: tasks of
    annotators that hold such images. unasked: sources that could not be asked, with the fault.
    """

    checked: int = 0
    verified: int = 0
    renewed: int = 0
    released: int = 0
    quarantined: dict[Reason, int] = Field(default_factory=dict)
    still_quarantined: int = 0
    unreachable: int = 0
    waiting: int = 0
    orphans: int = 0
    in_quarantine: int = 0
    to_erase: int = 0
    releases: dict[str, int] = Field(default_factory=dict)
    releases_not_here: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    unasked: dict[str, str] = Field(default_factory=dict)


@flow(name="verify-licences")
def verify(home: Path, is_all: bool = False) -> VerifySummary:
    """Check the receipts that have not been checked for `crawl: verify: every_days`.

    is_all: check every receipt. Those in quarantine are always checked, until it expires. Raises
    SettingsError where nobody answers for asking other people's servers.
    """
    workspace = open_workspace(home)
    with workspace.catalogue() as catalogue:
        places = {place_of(_start(crawl)) for crawl in crawled(catalogue)}
    with at_work(workspace, *places):
        with workspace.catalogue() as catalogue:
            # What a killed run of another step left behind.
            ingest(workspace.spool, catalogue)
            starts = [_start(crawl) for crawl in crawled(catalogue)]
        for start in starts:
            require_answerable(start, workspace.responsible)
        found: list[RecheckSummary] = []
        unasked: dict[str, str] = {}
        for start in starts:
            try:
                found.append(verify_one(workspace, start, is_all))
            except UnavailableError as error:
                # One API that is down must not keep all others from being checked.
                unasked[title(start)] = masked(str(error))
        return _summary(workspace, found, unasked)


def _run_name(parameters: dict[str, Any]) -> str:
    return f"verify {title(parameters['start'])}"


@outside("verify-source", _run_name)
def verify_one(workspace: Workspace, start: Start, is_all: bool) -> RecheckSummary:
    """Check what one crawl found, in child processes of its own."""
    params = workspace.params("crawl", CrawlParams).verify
    age = timedelta(0 if is_all else params.every_days)
    crawl = order(workspace, start)
    terms = RecheckTerms(due_before=utc_now() - age, quarantine_days=params.quarantine_days)
    log = crawl.log.with_name(crawl.log.name.replace("crawl-", "verify-", 1))
    progress = bar(f"verify {start.source}")

    def tell(so_far: RecheckSummary) -> None:
        progress.to(_settled(so_far), _settled(so_far) + so_far.waiting)

    ordered = crawl.model_copy(update={"recheck": terms, "log": log, "limit": None})
    summary = recheck(ordered, tell)
    # It may end between two looks at it.
    tell(summary)
    return summary


def _start(crawl: Crawled) -> Start:
    try:
        start: Start = TypeAdapter(Start).validate_python(crawl.start)
    except ValidationError:
        raise SettingsError(
            f"The crawl “{crawl.title}” was made by another version of mirrorset: run "
            "`mirrorset crawl` once more, then its receipts can be checked."
        ) from None
    return start


def _settled(found: RecheckSummary) -> int:
    held = found.verified + found.renewed + found.released
    return held + sum(found.quarantined.values()) + found.still_quarantined + found.unreachable


def _summary(
    workspace: Workspace, found: list[RecheckSummary], unasked: dict[str, str]
) -> VerifySummary:
    quarantined = sum((Counter(one.quarantined) for one in found), Counter[Reason]())
    with workspace.catalogue() as catalogue:
        orphans = count_orphans(catalogue)
        active = [one for one in catalogue.read(Quarantine) if one.is_active]
        held = {one.image_id for one in active}
        batches = tuple(
            one.batch_id for one in catalogue.read(Batch) if not held.isdisjoint(one.image_ids)
        )
    now = utc_now()
    return VerifySummary(
        checked=sum(map(_settled, found)),
        verified=sum(one.verified for one in found),
        renewed=sum(one.renewed for one in found),
        released=sum(one.released for one in found),
        quarantined=dict(sorted(quarantined.items())),
        still_quarantined=sum(one.still_quarantined for one in found),
        unreachable=sum(one.unreachable for one in found),
        waiting=sum(one.waiting for one in found),
        orphans=orphans,
        in_quarantine=len(held),
        to_erase=len({one.image_id for one in active if one.expires_at <= now}),
        releases=releases_with(workspace, held),
        releases_not_here=_releases_not_here(workspace),
        batches=batches,
        unasked=unasked,
    )


def releases_with(workspace: Workspace, image_ids: Set[str]) -> dict[str, int]:
    """How many of the images each release that lies in the workspace holds; none without any."""
    counts = {
        f"{folder.parent.name} {folder.name}": sum(one in image_ids for one in _image_ids(folder))
        for folder in _release_folders(workspace)
    }
    return {release: count for release, count in counts.items() if count}


def _release_folders(workspace: Workspace) -> list[Path]:
    cards = (workspace.home / "data" / "releases").glob("*/*/release.json")
    return sorted(card.parent for card in cards)


def image_ids(release: Path) -> set[str]:
    """The images of a release that lies in the workspace."""
    return set(_image_ids(release))


def _image_ids(release: Path) -> Iterator[str]:
    with (release / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            yield row["image_id"]


def _releases_not_here(workspace: Workspace) -> tuple[str, ...]:
    name = workspace.dataset.name
    here = {f"{folder.parent.name}-{folder.name}" for folder in _release_folders(workspace)}
    tags = git(workspace.home, "tag", "--list", "--", f"{name}-*").split()
    return tuple(tag for tag in tags if tag not in here)
