"""Images leave packs, and what was run on these."""

import csv
import io
import shutil
import tarfile
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from mirrorset.erasure import Gone, Removed
from mirrorset.files import read_records, write_records, write_text
from mirrorset.records import Rejected
from mirrorset.spreadsheets import write_rows
from parity.arrays import array_files, erase_rows
from parity.forensics.records import Explanation
from parity.pack import Pack, read_record, sealed, write_slices
from parity.records import PackItem, PackRecord, RunRecord
from parity.replay import replayed
from parity.rules.rule import Seen, value_of
from parity.run import reference_of
from parity.seals import checksums
from parity.subjects import best_photo

# The files of a pack that name its images.
_LISTS = ("items.jsonl", "left_out.jsonl")


def erase_from_pack(folder: Path, version: str, release_digest: str, gone: Gone) -> PackRecord:
    """Make the pack `folder` that of a release's successor: without the images' faces, sealed anew.

    Rows of the arrays that are left keep their bytes: no net is run again. Only where the best
    photo goes, another takes its place, and what was told by it is told anew. version,
    release_digest: of the successor. Raises InputError where `folder` is no pack of this version.
    """
    record = read_record(folder)
    items = list(read_records(folder / "items.jsonl", PackItem))
    kept = [item for item in items if item.image_id not in gone.image_ids]
    left_out = [
        one
        for one in read_records(folder / "left_out.jsonl", Rejected)
        if not gone.is_meant(one.item_id)
    ]
    rows = [item.index for item in kept]
    if len(kept) < len(items):
        for item in items:
            if item.image_id in gone.image_ids:
                (folder / item.file).unlink(missing_ok=True)
        for array in _arrays(folder):
            erase_rows(array, rows)
        kept = [item.model_copy(update={"index": index}) for index, item in enumerate(kept)]
        write_records(folder / "items.jsonl", kept)
        write_slices(folder / "slices.csv", kept)
        if record.best_image_id in gone.image_ids:
            record = _with_another_best(folder, record, kept)
        _erase_attribution(folder / "ATTRIBUTION.csv", gone)
    write_records(folder / "left_out.jsonl", left_out)
    successor = sealed(
        record.model_copy(
            update={
                "version": version,
                "release_digest": release_digest,
                "item_count": len(kept),
                "left_out_count": len(left_out),
                "files": checksums(folder, besides="pack.json"),
            }
        )
    )
    write_text(folder / "pack.json", successor.model_dump_json(indent=2) + "\n")
    return successor


def _lists_in_tar(path: Path) -> Iterator[bytes]:
    """What a pack's tar says of its images; nothing where it is none."""
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.name.endswith(_LISTS) else None
                if file is not None:
                    yield file.read()
    except (tarfile.TarError, KeyError):
        return


def is_in_pack(folder: Path, gone: Gone) -> bool:
    """Whether the pack `folder` holds a face of one of the images, or says why it does not."""
    return any(
        gone.is_in((folder / name).read_bytes()) for name in _LISTS if (folder / name).is_file()
    )


def erase_pack(made: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove a pack that somebody sealed for themselves, a folder or a tar, where it holds one of
    the images.
    """
    if made.suffix == ".tar" and made.is_file():
        is_held = any(gone.is_in(content) for content in _lists_in_tar(made))
    else:
        is_held = (made / "pack.json").is_file() and is_in_pack(made, gone)
    if not is_held:
        return []
    if not is_dry_run:
        made.unlink() if made.is_file() else shutil.rmtree(made)
    return [Removed(place="parity packs", name=str(made), count=1)]


def erase_runs(folder: Path, is_dry_run: bool = False) -> list[Removed]:
    """Remove the runs and comparisons on a pack that held one of the images: rows of outputs are
    what a model said of its face.
    """
    if not folder.is_dir():
        return []
    count = sum(1 for _ in folder.iterdir())
    if not is_dry_run:
        shutil.rmtree(folder)
    return [Removed(place="parity runs", name=folder.name, count=count)] if count else []


def erase_run(
    folder: Path, versions: Container[tuple[str, str]], is_dry_run: bool
) -> list[Removed]:
    """Remove a run on a pack of one of these releases (name, version), or what explains one;
    another folder stays.
    """
    made = _run_in(folder)
    if made is None or (made.release, made.version) not in versions:
        return []
    if not is_dry_run:
        shutil.rmtree(folder)
    return [Removed(place="parity runs", name=str(folder), count=1)]


def _run_in(folder: Path) -> RunRecord | Explanation | None:
    for name, kind in (("run.json", RunRecord), ("explanation.json", Explanation)):
        try:
            return kind.model_validate_json((folder / name).read_bytes())
        except (OSError, ValidationError):
            continue
    return None


def _arrays(folder: Path) -> list[Path]:
    """The folders of all arrays that have a row for each item."""
    patterns = ("nets/*/inputs", "nets/*/transforms", "nets/*/reference/*", "rules/*")
    return [array for pattern in patterns for array in sorted(folder.glob(pattern))]


def _with_another_best(folder: Path, record: PackRecord, items: Sequence[PackItem]) -> PackRecord:
    """Choose the best photo among `items` and write what relative rules then say."""
    best = best_photo(items)
    successor = record.model_copy(update={"best_image_id": best.image_id if best else None})
    if best is None:
        return successor
    relative = {name for name, rule in record.chain.rules.items() if rule.is_relative}
    # What follows from a relative rule is told by it.
    for name, rule in record.chain.rules.items():
        if relative & set(rule.of):
            relative.add(name)
    pack = Pack(folder, successor, tuple(items))
    known = reference_of(pack)
    for name in relative:
        del known.rules[name]
    best_stages = replayed(record.chain, known, best.index, pack.picture(best), None)
    chosen = Seen(lambda: pack.picture(best).rgb, best_stages)
    told = [replayed(record.chain, known, item.index, pack.picture(item), chosen) for item in items]
    for name in relative:
        first = 0
        for file in array_files(folder / "rules" / name):
            count = len(np.load(file))
            np.save(file, np.stack([value_of(one, name) for one in told[first : first + count]]))
            first += count
    return successor


def _erase_attribution(path: Path, gone: Gone) -> None:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    text = io.StringIO()
    write_rows(text, (row for row in rows if row[0] not in gone.image_ids))
    write_text(path, text.getvalue())
