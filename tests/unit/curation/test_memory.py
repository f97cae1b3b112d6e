"""Memory and statements must not grow with the images beyond a few packed bytes of each."""

import hashlib
import tracemalloc
from functools import partial

import pytest
from sqlalchemy import event

from curation.build import digest_of, tally_of
from curation.gates import SelectParams
from curation.leakage import leakage
from curation.ledger import LedgerParams, Places, mint
from curation.records import GroupMember
from curation.select import select
from curation.split import split
from flows.places import begin, mint_new
from flows.snapshot import write_snapshot
from mirrorset.catalogue import Catalogue
from mirrorset.files import write_parts
from mirrorset.params import DatasetParams
from mirrorset.records import LedgerEntry, utc_now
from mirrorset.settings import Settings
from mirrorset.workspace import Workspace

# Records cost 2,000 bytes and more; ids and keys, some of them twice while they are sorted, less.
_BYTES_AN_IMAGE = 600
_SMALL, _LARGE = 1500, 4500


def sha256(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.fixture
def records_of(portraits):
    """What is known of image `number`: that of a portrait, without landmarks."""
    portrait = portraits[0]
    face = portrait.face.model_copy(update={"landmarks": {}})

    def of(number):
        image_id = {"image_id": sha256(number)}
        return [
            portrait.image.model_copy(update=image_id | {"pixel_hash": sha256(f"pixels {number}")}),
            portrait.sighting.model_copy(update=image_id | {"source_item_id": str(number)}),
            portrait.annotation.model_copy(update=image_id | {"faces": (face,)}),
            *(one.model_copy(update=image_id) for one in portrait.verdicts),
        ]

    return of


@pytest.fixture
def grown(records_of, tmp_path):
    """A workspace whose catalogue holds so many images."""

    def grow(count):
        workspace = Workspace(tmp_path / str(count), Settings())
        catalogue = Catalogue(f"sqlite:///{workspace.home}/catalogue.sqlite")
        catalogue.upsert_all(one for number in range(count) for one in records_of(number))
        return workspace, catalogue

    return grow


def steps(workspace, catalogue):
    """The steps of a release that look at all images, without their pictures."""
    snapshot, work = workspace.snapshot, workspace.work

    def group():
        members = (GroupMember(image_id=one, key=one) for one in catalogue.image_ids())
        write_parts(work / "groups", ((int(one.image_id[:2], 16), one) for one in members))

    return {
        "snapshot": partial(write_snapshot, workspace, catalogue),
        "select": partial(select, snapshot, work, "research", SelectParams()),
        "group": group,
        "mint": partial(mint_new, workspace, catalogue, LedgerParams(), utc_now()),
        "split": partial(split, snapshot, work, is_unreviewed=True),
        "series": partial(begin, workspace, catalogue, "1"),
        "digest": partial(digest_of, work, DatasetParams()),
        "tally": partial(tally_of, work),
        "leakage": partial(leakage, snapshot, work),
    }


def test_memory_and_statements_of_a_release_stay_within_bounds(grown):
    peaks, statements, executed = {}, {}, []
    for count in (_SMALL, _LARGE):
        workspace, catalogue = grown(count)
        executed.clear()
        event.listen(
            catalogue._engine, "before_cursor_execute", lambda *told: executed.append(told[2])
        )
        for name, run in steps(workspace, catalogue).items():
            executed.clear()
            tracemalloc.start()
            run()
            peaks[name, count] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            statements[name, count] = len(executed)
    for name, count in peaks:
        if count == _LARGE:
            grown_by = (peaks[name, _LARGE] - peaks[name, _SMALL]) / (_LARGE - _SMALL)
            assert grown_by < _BYTES_AN_IMAGE, name
            # Rows are kept by the thousand; nothing asks for them one by one.
            more = statements[name, _LARGE] - statements[name, _SMALL]
            assert more <= 2 * (_LARGE - _SMALL) / 1000, name


def test_places_are_those_of_the_ledger():
    entries, _ = mint(
        [GroupMember(image_id=sha256(i), key=sha256(i)) for i in range(50)],
        {},
        LedgerParams(images_per_shard=7),
        utc_now(),
    )
    kept: dict[str, LedgerEntry] = {one.image_id: one for one in entries}
    places = Places(reversed(kept.values()))
    assert sorted(kept) == list(places)
    for image_id, entry in kept.items():
        assert places[image_id] == (entry.group_id, entry.split, entry.image_shard)
    assert sha256("none") not in places
    assert len(Places([])) == 0
