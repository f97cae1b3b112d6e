"""An erased image leaves a release as if it had never been in it, and touches nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from curation.erase import erase_from_release, erase_records
from mirrorset.erasure import Gone
from mirrorset.load import ReleaseCard, open_release
from mirrorset.params import DatasetParams, Responsible
from mirrorset.receipts import read_receipts, write_receipts

Release = Callable[..., ReleaseCard]
FACES = DatasetParams(name="faces", url="https://example.org/faces")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_one_shard_of_each_is_rewritten(
    portraits: list, release_of: Release, tmp_path: Path
) -> None:
    release_of(portraits[:6], "1.0.0")
    folder, work = tmp_path / "releases" / "1.0.0", tmp_path / "work"
    before = contents(folder)
    item = next(iter(open_release(folder)))
    gone = Gone(frozenset({item.image_id}))
    for file in work.rglob("*.jsonl"):
        erase_records(file, gone)
    card = erase_from_release(folder, work, "1.0.1", gone, FACES, Responsible())
    assert card is not None
    after = contents(folder)
    shard = f"{item.image_shard:05d}.parquet"
    changed = {name for name in after if after[name] != before[name]}
    assert {name for name in changed if name.endswith(".parquet")} == {
        f"images/{shard}",
        f"labels/{item.split}-{shard}",
    }
    opened = open_release(folder)
    opened.verify()
    assert (opened.card.version, opened.card.images) == ("1.0.1", 5)
    assert json.loads((folder / "croissant.json").read_text())["url"] == FACES.url
    assert item.image_id not in {one.image_id for one in opened}
    assert not any(item.image_id.encode() in content for content in after.values())
    assert pq.read_table(folder / "images" / shard).num_rows == 1


def test_a_shard_of_which_nothing_is_left_goes_and_so_does_a_release(
    portraits: list, release_of: Release, tmp_path: Path
) -> None:
    release_of(portraits[:3], "1.0.0")
    folder, work = tmp_path / "releases" / "1.0.0", tmp_path / "work"
    items = list(open_release(folder))
    alone = next(one for one in items if sum(x.image_shard == one.image_shard for x in items) == 1)
    everything = tmp_path / "everything"
    shutil.copytree(folder, everything)
    gone = Gone(frozenset({alone.image_id}))
    for file in work.rglob("*.jsonl"):
        erase_records(file, gone)
    card = erase_from_release(folder, work, "1.0.1", gone, FACES, Responsible())
    assert card is not None
    assert not list(folder.rglob(f"*{alone.image_shard:05d}.parquet"))
    open_release(folder).verify()
    gone = Gone(frozenset(one.image_id for one in items))
    for file in work.rglob("*.jsonl"):
        erase_records(file, gone)
    assert erase_from_release(everything, work, "1.0.1", gone, FACES, Responsible()) is None


def test_whose_near_duplicate_was_erased_gets_the_next_key(tmp_path: Path) -> None:
    a, b, c, d = ("aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32)
    file = tmp_path / "00000.jsonl"
    rows = [{"image_id": one, "key": a} for one in (a, b, c)] + [{"image_id": d, "key": d}]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    last = file.read_bytes().splitlines()[-1]
    assert erase_records(file, Gone(frozenset({a})), is_dry_run=True) == 3
    assert erase_records(file, Gone(frozenset({a}))) == 3
    lines = file.read_bytes().splitlines()
    assert [json.loads(one) for one in lines] == [
        {"image_id": b, "key": b},
        {"image_id": c, "key": b},
        {"image_id": d, "key": d},
    ]
    assert lines[-1] == last
    inode = file.stat().st_ino
    assert erase_records(file, Gone(frozenset({"ee" * 32}))) == 0
    assert file.stat().st_ino == inode, "a file that none concerns is not written"


def test_a_group_in_several_parts_gets_one_key(tmp_path: Path) -> None:
    a, b, c = ("aa" * 32, "bb" * 32, "cc" * 32)
    for number, one in enumerate((b, a, c)):
        part = tmp_path / "groups" / f"{number:05d}.jsonl"
        part.parent.mkdir(exist_ok=True)
        part.write_text(json.dumps({"image_id": one, "key": a}) + "\n")
    assert erase_records(tmp_path, Gone(frozenset({a}))) == 3
    rows = [part.read_text() for part in sorted((tmp_path / "groups").iterdir())]
    assert [json.loads(row)["key"] if row else None for row in rows] == [b, None, b]


def test_a_reason_no_longer_names_an_erased_image(tmp_path: Path) -> None:
    file = tmp_path / "rejected.jsonl"
    twin = {"item_id": "bb" * 32, "step": "select", "detail": f"Same pixels as image {'aa' * 32}."}
    own = {
        "item_id": "gallery:x/1.jpg",
        "step": "crawl",
        "detail": "",
        "image_url": "http://x/1.jpg",
    }
    alike = {**own, "item_id": "gallery:x/1.jpgs", "image_url": "http://x/1.jpgs"}
    file.write_text("".join(json.dumps(one) + "\n" for one in (twin, own, alike)))
    gone = Gone(frozenset({"aa" * 32}), frozenset({"gallery:x/1.jpg"}))
    assert erase_records(file, gone) == 2
    first, second = (json.loads(one) for one in file.read_text().splitlines())
    assert first["detail"] == "Same pixels as an image that was erased."
    assert second == alike


def test_exported_receipts_lose_the_images_lines(portraits: list, tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    assert write_receipts(file, [one.sighting for one in portraits[:3]]) == 3
    gone = Gone(frozenset({portraits[1].image.image_id}))
    assert erase_records(file, gone) == 1
    assert [one.image_id for one in read_receipts(file)] == [
        one.image.image_id for one in (portraits[0], portraits[2])
    ]
