"""Figures of a release for `dvc metrics` and `dvc plots`: aggregates only."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from curation.coverage import Cell, at_least, told
from curation.documents import Tally
from curation.leakage import leakage
from curation.records import Attribution
from curation.snapshot import read_rejected
from faces.slices import GRID, SELFIES, Slice, suppressed
from mirrorset.files import read_parts, read_records, write_text
from mirrorset.records import DatasetItem, Rejected
from mirrorset.spreadsheets import write_rows


def measure(snapshot: Path, work: Path, data: Path) -> None:
    """Write metrics/release.json below `data`, and the plots (`write_plots`).

    Images by split, groups, what leaks (`curation.leakage`: nothing), images left of the test
    series, share of unreviewed images and their number in the test split, rejections by reason (of
    all steps), images by slice (pose and lighting; likeness to a selfie). A withheld slice (see
    `faces.slices.suppressed`) is absent.
    """
    tally = Tally()
    for item, attribution in zip(
        read_parts(work / "items", DatasetItem),
        read_parts(work / "attributions", Attribution),
        strict=True,
    ):
        tally.add(item, attribution)
    reasons = Counter(rejected.reason.value for rejected in _all_rejected(snapshot, work))
    cells = suppressed(tally.slices, GRID)
    selfies = suppressed(tally.selfies, SELFIES)

    metrics = {
        "images": {"all": tally.images} | {str(split): n for split, n in tally.splits.items()},
        "groups": {"all": tally.groups, "largest": tally.largest_group},
        "leakage": leakage(snapshot, work).model_dump(),
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
    write_plots(data / "plots", tally.cells, reasons)


def write_plots(folder: Path, cells: Mapping[Cell, int], reasons: Mapping[str, int]) -> None:
    """Write the tables of `dvc plots`: images by cell of coverage, rejections by reason.

    slices.csv has images by pose and lighting, empty where withheld; cells.csv the cells that are
    told, the largest first; coverage.csv how many images there are at least by each axis alone,
    empty where nothing can be told.
    """
    slices: Counter[Slice] = Counter()
    for cell, count in cells.items():
        slices[cell.slice] += count
    _write_csv(
        folder / "slices.csv",
        ["pose", "lighting", "images"],
        ((*place, count) for place, count in suppressed(slices, GRID).items()),
    )
    told_cells = told(cells)
    _write_csv(
        folder / "cells.csv",
        ["cell", *Cell._fields, "images"],
        (
            (cell.words, *cell, count)
            for cell, count in sorted(told_cells.items(), key=lambda one: -one[1])
        ),
    )
    _write_csv(
        folder / "coverage.csv",
        ["axis", "value", "images"],
        (
            (axis.replace("_", " "), value, count)
            for axis, values in at_least(cells).items()
            for value, count in values.items()
        ),
    )
    _write_csv(folder / "rejected.csv", ["reason", "images"], sorted(reasons.items()))


def _all_rejected(snapshot: Path, work: Path) -> Iterable[Rejected]:
    return chain(
        read_rejected(snapshot),
        read_records(work / "rejected.jsonl", Rejected),
        read_records(work / "conflicts.jsonl", Rejected),
    )


def _write_csv(path: Path, header: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    write_rows(text, chain([header], rows))
    write_text(path, text.getvalue())
