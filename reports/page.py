"""A release, what was rejected on the way to it, and parity on it, as one HTML page.

Style, script and facets stand inside it; pictures, and what is drawn on them, lie in a folder
beside it that has its name ("index" beside index.html). Its content security policy allows these
files and nothing else. All text from records is escaped; nothing in it runs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from os import cpu_count
from pathlib import Path
from typing import Any

from mirrorset.blobs import BlobStore
from mirrorset.files import write_bytes, write_text
from mirrorset.load import Release, ReleaseCard, open_release
from mirrorset.records import Record, Rejected
from reports.charts import Chart
from reports.edits import Before, read_before
from reports.environment import filled
from reports.explanations import Drawn, WorstImage, take_worst
from reports.groups import Group, make_group, repeated
from reports.judged import Judged, clear_worst, read_judged, worst_folder
from reports.parity_charts import latency_chart
from reports.pictures import Pictures
from reports.refused import read_refused
from reports.rejections import Rejection, by_reason, item_count, read_rejected, rejections_chart
from reports.sheet import clear_labels, index, label, write_labels
from reports.shown import RELEASED, SCHEMA, Row, Shown, attribution, make_row, released
from reports.slices import Cell, Table, coverage, coverage_chart, gaps, selfies

_SPLITS = ("train", "val", "test")
_AT_ONCE = 64


class PageParams(Record):
    """How much a page holds, so that a browser stays quick with any release.

    images: on the contact sheet, least certain first; refused: rejected ones beside them.
    picture_px: longer side of a picture. items_per_reason: rejected items listed for one step and
    reason. groups, members_per_group: near-duplicates shown.
    """

    images: int = 10_000
    refused: int = 1_000
    picture_px: int = 384
    items_per_reason: int = 200
    groups: int = 60
    members_per_group: int = 12


@dataclass(frozen=True)
class Totals:
    """Different items: found = released + rejected = accepted + what the crawl rejected."""

    found: int
    accepted: int
    rejected: int
    released: int


@dataclass(frozen=True)
class Page:
    """All that the templates ask for; `…_left_out` and `…_total` tell what a cap hides."""

    title: str
    release: ReleaseCard
    totals: Totals
    unreviewed: int
    unreviewed_test: int
    splits: tuple[tuple[str, int], ...]
    licences: tuple[tuple[str, int], ...]
    models: tuple[str, ...]
    index: dict[str, Any]
    images: int
    images_left_out: int
    edited: int
    rejections: tuple[Rejection, ...]
    rejections_chart: Chart | None
    slices: Table
    slices_chart: Chart
    gaps: tuple[str, ...]
    selfies: tuple[tuple[str, Cell], ...]
    groups: tuple[Group, ...]
    groups_total: int
    judged: tuple[Judged, ...]
    latency: Chart | None
    quality: str


@dataclass(frozen=True)
class Private:
    """What only the workspace has, not the release: labels before people's, and rejected images."""

    snapshot: Path
    blobs: BlobStore


def render(
    release: Path,
    rejected: Path | Sequence[Path],
    comparisons: Sequence[Path],
    out: Path,
    title: str,
    *,
    private: Private | None = None,
    quality: str = "",
    params: PageParams | None = None,
) -> Path:
    """Write the page to `out`, whole or not at all, and return `out`.

    release: the folder data/releases/<name>/<version>. rejected: rejected.jsonl files of any step.
    comparisons: comparison.json files of parity. private: without it the page shows no rejected
    image and no model's label beside a person's. quality: the name of the page of people's labels
    beside it, if there is one. The same files give the same bytes.

    Raises InputError naming the file where one is missing or is not what it should be.
    """
    params = params or PageParams()
    opened = open_release(release)
    records = read_rejected([rejected] if isinstance(rejected, Path) else rejected)
    before = read_before(private.snapshot, SCHEMA) if private else {}

    rows = sorted(
        (make_row(one) for one in _released(opened, before)),
        key=lambda row: (row.confidence, row.image_id),
    )
    near_duplicates = repeated(rows)
    groups = tuple(
        make_group(group, params.members_per_group) for group in near_duplicates[: params.groups]
    )
    ids = {row.image_id for row in rows}
    refused = _refused(opened, records, ids, private, params.refused)
    sheet = _Sheet(out, params, rows[: params.images], groups)
    sheet.take(chain(_released(opened, before), refused))
    labels = write_labels(sheet.beside, sheet.labels)
    credit_of = {row.image_id: attribution(row) for row in rows}
    judged = read_judged(comparisons, partial(_take_worst, sheet.beside, credit_of))

    slices = coverage(row.slice for row in rows)
    rejections = tuple(by_reason(records, params.items_per_reason))
    page = Page(
        title=title,
        release=opened.card,
        totals=_totals(ids, records),
        unreviewed=sum(not row.is_reviewed for row in rows),
        unreviewed_test=sum(not row.is_reviewed and row.split == "test" for row in rows),
        splits=_counted([row.split for row in rows], _SPLITS),
        licences=tuple(Counter(row.licence for row in rows).most_common()),
        models=tuple(sorted({model for row in rows for model in row.models})),
        index=index(sheet.rows, sheet.beside.name, sheet.pictures.folder.name, labels),
        images=len(sheet.rows),
        images_left_out=max(0, len(rows) - params.images),
        edited=sum(row.moved is not None for row in sheet.rows),
        rejections=rejections,
        rejections_chart=rejections_chart(rejections),
        slices=slices,
        slices_chart=coverage_chart(slices),
        gaps=tuple(gaps(slices)),
        selfies=selfies(row.selfie for row in rows),
        groups=groups,
        groups_total=len(near_duplicates),
        judged=judged,
        latency=latency_chart([one.comparison for one in judged]),
        quality=quality,
    )
    write_text(out, filled("page.html.j2", page))
    clear_labels(sheet.beside, labels)
    clear_worst(sheet.beside, judged)
    sheet.pictures.clear()
    return out


class _Sheet:
    """The images of the contact sheet: their pictures are written as they are taken."""

    def __init__(
        self, out: Path, params: PageParams, rows: Sequence[Row], groups: Sequence[Group]
    ) -> None:
        self.beside = out.with_suffix("")
        self.pictures = Pictures(self.beside, params.picture_px)
        self.rows = list(rows)
        self._rank = {row.image_id: place for place, row in enumerate(rows)}
        self._in_groups = {row.image_id for group in groups for row in group.members}
        self._labels: dict[int, bytes] = {}

    @property
    def labels(self) -> list[bytes]:
        """A label for each of the rows."""
        return [self._labels[place] for place in range(len(self.rows))]

    def take(self, images: Iterable[Shown]) -> None:
        """Take the labels and pictures of those that the page shows; few pixels at a time."""
        wanted = (one for one in images if one.verdict != RELEASED or self._is_wanted(one))
        with ThreadPoolExecutor(cpu_count() or 1) as pool:
            while batch := list(islice(wanted, _AT_ONCE)):
                for one in batch:
                    self._take_label(one)
                list(pool.map(self._picture, batch))

    def _is_wanted(self, shown: Shown) -> bool:
        return shown.image_id in self._rank or shown.image_id in self._in_groups

    def _take_label(self, shown: Shown) -> None:
        if shown.verdict != RELEASED:
            self._rank[shown.image_id] = len(self.rows)
            self.rows.append(make_row(shown))
        place = self._rank.get(shown.image_id)
        if place is not None:
            self._labels[place] = label(shown, self.rows[place].moved)

    def _picture(self, shown: Shown) -> None:
        if not self.pictures.keep(shown.image_id):
            self.pictures.add(shown.image_id, shown.rgb())


def _released(release: Release, before: dict[str, Before]) -> Iterator[Shown]:
    """In the release's order, which reads every shard once."""
    return (released(item, before.get(item.image_id)) for item in release)


def _refused(
    release: Release,
    records: Sequence[Rejected],
    ids: set[str],
    private: Private | None,
    count: int,
) -> Iterator[Shown]:
    if private is None:
        return iter(())
    others = [one for one in records if one.item_id not in ids]
    use = release.card.intended_use
    return islice(read_refused(others, private.snapshot, private.blobs, use), count)


def _take_worst(
    beside: Path, credit_of: Mapping[str, str], comparison: Path, drawn: Drawn
) -> list[WorstImage]:
    folder = worst_folder(beside, comparison)

    def keep(name: str, jpeg: bytes) -> str:
        write_bytes(folder / name, jpeg)
        return (folder / name).relative_to(beside.parent).as_posix()

    return list(take_worst(drawn, credit_of, keep))


def _totals(released: set[str], rejected: Sequence[Rejected]) -> Totals:
    lost = item_count(rejected, released)
    found = len(released) + lost
    return Totals(
        found=found,
        accepted=found - item_count(rejected, released, step="crawl"),
        rejected=lost,
        released=len(released),
    )


def _counted(values: Sequence[str], order: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Counts of the values of `order` that occur, then those of any others, by name."""
    counts = Counter(values)
    others = sorted(counts.keys() - set(order))
    return tuple((value, counts[value]) for value in (*order, *others) if counts[value])
