"""A snapshot's parts: what was in it keeps its bytes when images come."""

from pathlib import Path

import pytest
from made_images import fill

from curation.snapshot import numbered_candidates
from flows import snapshot
from flows.snapshot import restore_catalogue, write_snapshot
from mirrorset.catalogue.erase import erase
from mirrorset.erasure import Gone
from mirrorset.receipts import receipt, verify
from mirrorset.records import Annotation, ImageRecord, Reason, Rejected, Sighting
from mirrorset.workspace import Workspace, init

KINDS = {"images", "sightings", "annotations", "verdicts", "quarantine", "decisions", "ledger"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Seven images, three a part."""
    monkeypatch.setattr(snapshot, "_IMAGES_PER_PART", 3)
    made = init(tmp_path / "faces")
    fill(made, range(7), side_px=32)
    write(made)
    return made


def write(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        write_snapshot(workspace, catalogue)


def contents(workspace: Workspace) -> dict[str, bytes]:
    folder = workspace.snapshot
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def parts(workspace: Workspace) -> dict[str, int]:
    return {one.image.image_id: number for number, one in numbered_candidates(workspace.snapshot)}


def test_each_kind_has_each_part(workspace: Workspace) -> None:
    names = {f"{kind}/{number:05d}.jsonl" for kind in KINDS for number in range(3)}
    assert contents(workspace).keys() == names | {"rejected.jsonl"}
    assert sorted(parts(workspace).values()) == [0, 0, 0, 1, 1, 1, 2]
    for _, candidate in numbered_candidates(workspace.snapshot):
        assert (len(candidate.sightings), len(candidate.annotations)) == (1, 1)


def test_what_was_there_keeps_its_bytes(workspace: Workspace) -> None:
    before, places = contents(workspace), parts(workspace)
    fill(workspace, range(7, 11), side_px=32)
    write(workspace)
    after = contents(workspace)
    assert {name: after[name] for name in before} == before
    assert {name[-11:] for name in after.keys() - before.keys()} == {"00003.jsonl", "00004.jsonl"}
    assert {one: part for one, part in parts(workspace).items() if one in places} == places


def test_only_the_part_of_what_changed_changes(workspace: Workspace) -> None:
    before, places = contents(workspace), parts(workspace)
    with workspace.catalogue() as catalogue:
        annotation = next(iter(catalogue.read(Annotation)))
        catalogue.upsert([annotation.model_copy(update={"by": "somebody", "origin": "human"})])
    write(workspace)
    after = contents(workspace)
    changed = [name for name in after if after[name] != before[name]]
    assert changed == [f"annotations/{places[annotation.image_id]:05d}.jsonl"]


def test_a_part_that_nothing_is_left_of_stays_until_the_end(workspace: Workspace) -> None:
    alone = next(image_id for image_id, part in parts(workspace).items() if part == 2)
    with workspace.catalogue() as catalogue:
        erase(catalogue, Gone(frozenset({alone})))
    write(workspace)
    assert contents(workspace)["images/00002.jsonl"] == b""
    fill(workspace, range(7, 8), side_px=32)
    write(workspace)
    assert sorted(parts(workspace).values()) == [0, 0, 0, 1, 1, 1, 3]


def test_a_clone_keeps_the_parts(workspace: Workspace, tmp_path: Path) -> None:
    before = contents(workspace)
    clone = init(tmp_path / "clone")
    clone.snapshot.parent.mkdir(parents=True, exist_ok=True)
    workspace.snapshot.rename(clone.snapshot)
    with clone.catalogue() as catalogue:
        restore_catalogue(clone, catalogue)
        assert catalogue.count(ImageRecord) == 7
    write(clone)
    assert contents(clone) == before


def test_no_path_of_this_machine_goes_where_releases_go(workspace: Workspace) -> None:
    path = "file:///home/ann/captures/day-1/ada.jpg"
    with workspace.catalogue() as catalogue:
        (seen, *_) = catalogue.read(Sighting)
        capture = {"source": "folder", "source_item_id": "day-1/ada.jpg", "image_url": path}
        taken = seen.model_copy(update=capture)
        refused = Rejected(
            item_id="folder:day-1/bob.jpg",
            step="crawl",
            reason=Reason.LICENCE_MISSING,
            image_url="file:///home/ann/captures/day-1/bob.jpg",
        )
        catalogue.upsert([taken, refused])
    write(workspace)
    assert not [name for name, content in contents(workspace).items() if b"/home/ann" in content]
    assert any(b'"folder:day-1/ada.jpg"' in one for one in contents(workspace).values())
    assert receipt(taken).image_url == "folder:day-1/ada.jpg"
    assert verify(receipt(taken))
    assert receipt(seen).image_url == seen.image_url
