"""Places: what the release flow writes into the ledger, and from there into the snapshot."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from curation.ledger import LedgerParams, Places, mint
from curation.records import GroupMember
from curation.series import begin_series
from flows.snapshot import write_kind
from mirrorset.catalogue import Catalogue
from mirrorset.files import read_parts
from mirrorset.records import DatasetItem, LedgerEntry
from mirrorset.workspace import Workspace


def mint_new(
    workspace: Workspace, catalogue: Catalogue, params: LedgerParams, at: datetime
) -> None:
    """Mint group, split and image shard of what `groups/` has and the ledger lacks."""
    groups = read_parts(workspace.work / "groups", GroupMember)
    places = Places(catalogue.read(LedgerEntry))
    # What no split can take is rejected by the stage `split`, from the same ledger.
    entries, _ = mint(groups, places, params, at)
    catalogue.upsert_all(entries)
    write_kind(workspace, "ledger", catalogue)


def is_series(catalogue: Catalogue, name: str) -> bool:
    """Whether the test series `name` has begun, and some of its images are left."""
    return any(
        name == entry.test_series or name in entry.earlier_series
        for entry in catalogue.read(LedgerEntry)
    )


def begin(workspace: Workspace, catalogue: Catalogue, name: str) -> bool:
    """Begin the test series `name` with what `items/` has; False where it stands already."""
    items = read_parts(workspace.work / "items", DatasetItem)
    changed = begin_series(name, items, partial(catalogue.read, LedgerEntry))
    first = next(changed, None)
    if first is None:
        return False

    def all_changed() -> Iterator[LedgerEntry]:
        yield first
        yield from changed

    catalogue.upsert_all(all_changed())
    write_kind(workspace, "ledger", catalogue)
    return True
