"""One snapshot and one params.yaml make one release, to the byte, in whatever order things came."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.release import begin_test_series, choose_version, freeze, mint_places
from mirrorset.dvc import dvc
from mirrorset.records import LedgerEntry
from mirrorset.workspace import Workspace, init

PARAMS = """
dataset: {name: faces, is_unreviewed: true, url: "https://example.org/faces"}
responsible: {controller: Example Lab}
select: {}
group: {}
ledger: {seed: faces, train: 0.4, val: 0.3, test: 0.3, images_per_shard: 3}
pack: {}
parity: {}
"""
DESCRIBED = {"release.json", "croissant.json", "labels.json", "DATASHEET.md", "ATTRIBUTION.csv"}


@pytest.fixture
def people(portraits):
    """Eight people, a crop of one and a mirrored other; two selfies by one author."""
    first, second, third, *others = portraits
    return [
        first.but(origin="human"),
        first.cropped(0.1, 0.0, 0.05, 0.1),
        second.but(licence="CC0 1.0"),
        second.mirrored(),
        third.but(shows_author=True, author="Ada"),
        others[0].but(shows_author=True, author="Ada"),
        *others[1:],
    ]


def released(home: Path, people: Sequence) -> Workspace:
    """A workspace that came to know people in this order, with its first release."""
    workspace = init(home)
    workspace.params_file.write_text(PARAMS)
    with workspace.catalogue() as catalogue:
        for one in people:
            workspace.blobs.put(one.content)
            catalogue.upsert([one.image, one.sighting, one.annotation, *one.verdicts])
    release(workspace)
    return workspace


def release(workspace: Workspace) -> None:
    """As `mirrorset release` does, without a parity pack, which takes models."""
    freeze.fn(workspace)
    mint_places.fn(workspace)
    begin_test_series.fn(workspace)
    choose_version.fn(workspace, None)
    dvc(workspace.home, "repro", "build", "measure")


def content(workspace: Workspace) -> dict[str, bytes]:
    """Every file of release, metrics and plots by name."""
    data = workspace.home / "data"
    folders = (workspace.release("faces", "0.1.0"), data / "metrics", data / "plots")
    return {
        path.relative_to(data).as_posix(): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_two_machines_and_two_orders_make_the_same_bytes(people, tmp_path):
    one = released(tmp_path / "one", people)
    other = released(tmp_path / "elsewhere" / "other", people[::-1])
    made = content(one)
    assert content(other) == made
    folder = "releases/faces/0.1.0"
    assert {f"{folder}/{name}" for name in DESCRIBED} < made.keys()
    assert len([name for name in made if name.startswith(f"{folder}/images/")]) == 4

    # Copies and selfies of one author share a group, and all of the test split is the series.
    with one.catalogue() as catalogue:
        ledger = {entry.image_id: entry for entry in catalogue.read(LedgerEntry)}
    groups = [ledger[person.image.image_id].group_id for person in people]
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups)) == 7
    series = {key for key, entry in ledger.items() if entry.split == "test"}
    assert series == {key for key, entry in ledger.items() if entry.test_series == "1"}
    card = json.loads(made[f"{folder}/release.json"])
    assert card["test_series"] == {"name": "1", "images": len(series), "left": len(series)}
    labels = pq.read_table(one.release("faces", "0.1.0") / "labels").to_pylist()
    assert {row["image_id"] for row in labels if row["test_series"] == "1"} == series
    assert f"{len(series)} of the {len(series)} images" in made[f"{folder}/DATASHEET.md"].decode()
    assert set(json.loads(made["metrics/release.json"])["leakage"].values()) == {0}
