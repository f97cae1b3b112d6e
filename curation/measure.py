"""Figures of a release for `dvc metrics` and `dvc plots`: aggregates only."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path

from curation.coverage import Cell, at_least, told
from curation.documents import Tally
from curation.leakage import leakage
from curation.records import Attribution
from curation.snapshot import read_rejected
from faces.slices import GRID, SELFIES, suppressed
from mirrorset.files import read_records, write_text
from mirrorset.records import DatasetItem, Rejected


def measure(
    snapshot: Path, work: Path, data: Path, sources_grouped_by_author: Collection[str] = ()
) -> None:
    """Write metrics/release.json and four tables in plots/ below `data`.

    slices.csv has images by pose and lighting, cells.csv those cells of coverage that are told,
    coverage.csv how many images these hold at least by each axis alone, rejected.csv reasons.

    release.json: images by split, groups, share of unreviewed images and their number in the test
    split, rejections by reason (of all steps), images by slice (pose and lighting; likeness to a
    selfie). A withheld slice (see `faces.slices.suppressed`) is absent from release.json and empty
    in slices.csv.
    """
    tally = Tally()
    group_sizes: Counter[str] = Counter()
    for item, attribution in zip(
        read_records(work / "items.jsonl", DatasetItem),
        read_records(work / "attributions.jsonl", Attribution),
        strict=True,
    ):
        tally.add(item, attribution)
        group_sizes[item.group_id] += 1
    reasons = Counter(rejected.reason.value for rejected in _all_rejected(snapshot, work))
    cells = suppressed(tally.slices, GRID)
    selfies = suppressed(tally.selfies, SELFIES)

    metrics = {
        "images": {"all": tally.images} | {str(split): n for split, n in tally.splits.items()},
        "groups": {"all": tally.groups, "largest": max(group_sizes.values(), default=0)},
        "leakage": leakage(snapshot, work, sources_grouped_by_author).model_dump(),
        "test_series": tally.series_left,
        "unreviewed_share": round(tally.unreviewed.total() / max(tally.images, 1), 4),
        "unreviewed_test": tally.unreviewed["test"],
        "rejected": dict(sorted(reasons.items())),
        "slices": {
            f"pose_{cell.pose}_light_{cell.lighting}": count
            for cell, count in cells.items()
            if count is not None
        }
        | {f"selfie_{cell}": count for cell, count in selfies.items() if count is not None},
    }
    write_text(data / "metrics" / "release.json", json.dumps(metrics, indent=1) + "\n")
    _write_csv(
        data / "plots" / "slices.csv",
        ["pose", "lighting", "images"],
        ((cell.pose, cell.lighting, count) for cell, count in cells.items()),
    )
    told_cells = told(tally.cells)
    _write_csv(
        data / "plots" / "cells.csv",
        ["cell", *Cell._fields, "images"],
        ((" · ".join(cell), *cell, count) for cell, count in told_cells.items()),
    )
    _write_csv(
        data / "plots" / "coverage.csv",
        ["axis", "value", "images"],
        (
            (axis.replace("_", " "), value, count)
            for axis, values in at_least(told_cells).items()
            for value, count in values.items()
        ),
    )
    _write_csv(data / "plots" / "rejected.csv", ["reason", "images"], sorted(reasons.items()))


def _all_rejected(snapshot: Path, work: Path) -> Iterable[Rejected]:
    return chain(
        read_rejected(snapshot),
        read_records(work / "rejected.jsonl", Rejected),
        read_records(work / "conflicts.jsonl", Rejected),
    )


def _write_csv(path: Path, header: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_text(path, text.getvalue())
