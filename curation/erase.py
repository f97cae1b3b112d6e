"""Images leave what this room has made: snapshots, work files, releases and conversions.

Only what is about them is rewritten, and it becomes what it would be if they had never been; every
other file keeps its bytes.
"""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq

from curation.build import describe, digest_of, tally_of
from curation.images import erase_images
from curation.labels import erase_labels
from mirrorset.erasure import Gone, Removed
from mirrorset.files import written_aside
from mirrorset.load import ReleaseCard
from mirrorset.params import DatasetParams, Responsible
from mirrorset.records import Split

_ERASED = "an image that was erased"


def erase_records(path: Path, gone: Gone, is_dry_run: bool = False) -> int:
    """Write records anew without those of the images; returns how many were concerned.

    path: a file of records, or a folder with such at any depth: a snapshot, the work folder or one
    within. Whose near-duplicate was erased gets the next key, and a reason that named an erased
    image no longer does. Other lines stay as they are, and so does a file that none concerns; one
    that nothing is left of stays, empty.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    named = [file for file in files if _is_named(file, gone)]
    keys = _new_keys(named, gone)
    concerned = 0
    for file in named:
        if is_dry_run:
            concerned += sum(after != before for before, after in _lines(file, gone, keys))
            continue
        with written_aside(file) as aside, aside.open("wb") as out:
            for before, after in _lines(file, gone, keys):
                concerned += after != before
                out.write(after)
    return concerned


def erase_from_release(
    folder: Path,
    work: Path,
    version: str,
    gone: Gone,
    dataset: DatasetParams,
    responsible: Responsible,
) -> ReleaseCard | None:
    """Make a release folder, of which the files that are not concerned may lack, its successor.

    Rewritten are the image shard and the label shard of each image, and what the release says of
    itself. A shard that none is left of goes. work: the items and attributions without the images.
    dataset: as it is described now, but for its name and use, which stay. Returns None where no
    image is left: there is no such release.
    """
    card = ReleaseCard.model_validate_json((folder / "release.json").read_bytes())
    files = dict(card.files)
    shards: set[int] = set()
    for path in sorted((folder / "labels").glob("*.parquet")):
        shards |= erase_labels(path, gone.image_ids)
    for shard in sorted(shards):
        image_file = f"images/{shard:05d}.parquet"
        if erase_images(folder / image_file, gone.image_ids):
            continue
        labels = [f"labels/{split}-{shard:05d}.parquet" for split in get_args(Split)]
        for name in (image_file, *labels):
            files.pop(name, None)
            (folder / name).unlink(missing_ok=True)
    (folder / "release.json").unlink()
    tally = tally_of(work)
    if tally.images == 0:
        return None
    released = dataset.model_copy(update={"name": card.name, "intended_use": card.intended_use})
    return describe(
        folder,
        work,
        tally,
        digest_of(work, released),
        dataset=released,
        version=version,
        responsible=responsible,
        elsewhere=files,
    )


def shards_with(label_files: Iterable[Path], gone: Gone) -> set[int]:
    """The numbers of the image shards that hold one of the images, by the label shards."""
    found: set[int] = set()
    for path in label_files:
        columns = pq.read_table(path, columns=["image_id", "image_shard"]).to_pydict()
        pairs = zip(columns["image_id"], columns["image_shard"], strict=True)
        found |= {shard for image_id, shard in pairs if image_id in gone.image_ids}
    return found


def is_attributed(attribution: Path, gone: Gone) -> bool:
    """Whether a release's, pack's or conversion's ATTRIBUTION.csv names one of the images."""
    return count_attributed(attribution, gone)[0] > 0


def count_attributed(attribution: Path, gone: Gone) -> tuple[int, int]:
    """How many of the images an ATTRIBUTION.csv names, and how many others."""
    with attribution.open(encoding="utf-8", newline="") as lines:
        named = [row["image_id"] in gone.image_ids for row in csv.DictReader(lines)]
    return sum(named), len(named) - sum(named)


def erase_conversion(folder: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove a conversion that holds one of the images: it is made again from the successor.

    A folder that is no conversion (any more) stays as it is.
    """
    attribution = folder / "ATTRIBUTION.csv"
    if not (folder / "conversion.json").is_file() or not attribution.is_file():
        return []
    if not is_attributed(attribution, gone):
        return []
    if not is_dry_run:
        # Without it the folder is no conversion: a kill leaves nothing that passes for one.
        shutil.rmtree(folder)
    return [Removed(place="conversions", name=str(folder), count=1)]


def _is_about(record: dict[str, Any], gone: Gone) -> bool:
    """Whether a record is of one of the images, directly or by a record in it."""
    named = [record.get("image_id"), record.get("item_id")]
    for part in ("image", "sighting", "annotation"):
        inner = record.get(part)
        if isinstance(inner, dict):
            named.append(inner.get("image_id"))
    is_seen_there = record.get("image_url") in gone.addresses and "item_id" in record
    return is_seen_there or any(gone.is_meant(one) for one in named if one)


def _is_named(file: Path, gone: Gone) -> bool:
    """Whether a line mentions any of the images."""
    with file.open("rb") as lines:
        return any(gone.is_in(line) for line in lines)


def _new_keys(files: Iterable[Path], gone: Gone) -> dict[str, str]:
    """For each key of a group that is an erased image, the smallest image_id that is left."""
    keys: dict[str, str] = {}
    for file in files:
        with file.open("rb") as lines:
            for record in (json.loads(line) for line in lines if gone.is_in(line)):
                key, image_id = record.get("key"), record.get("image_id")
                if key in gone.image_ids and image_id not in gone.image_ids:
                    keys[key] = min(image_id, keys.get(key, image_id))
    return keys


def _lines(path: Path, gone: Gone, keys: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
    """Each line as it is and as it is to be, b"" where it goes."""
    with path.open("rb") as lines:
        for line in lines:
            if not gone.is_in(line):
                yield line, line
                continue
            record = json.loads(line)
            if _is_about(record, gone):
                yield line, b""
                continue
            changed = _without(record, gone, keys)
            text = json.dumps(changed, separators=(",", ":"), ensure_ascii=False) + "\n"
            yield line, line if changed == record else text.encode()


def _without(record: dict[str, Any], gone: Gone, keys: dict[str, str]) -> dict[str, Any]:
    """A record of another image, which no longer names an erased one."""
    changed = dict(record)
    if record.get("key") in keys:
        changed["key"] = keys[record["key"]]
    detail = record.get("detail")
    if isinstance(detail, str):
        for image_id in gone.image_ids:
            detail = detail.replace(f"image {image_id}", _ERASED)
        changed["detail"] = detail
    return changed
