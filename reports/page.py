"""A release, what was rejected on the way to it, and parity on it, as one HTML file.

The page is self-contained: styles, script and pictures stand inside it, and its content security
policy forbids every request. All text from records is escaped; nothing in it runs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorset.files import write_text
from mirrorset.load import Release, ReleaseCard, open_release
from mirrorset.records import Record, Rejected
from reports.cards import Card, make_card
from reports.comparisons import Comparison, read_comparison
from reports.environment import filled
from reports.groups import Group, Member, make_group, make_member, repeated
from reports.rejections import Rejection, by_reason, item_count, read_rejected
from reports.rows import Row, make_row
from reports.slices import SIDES, Cell, Table, coverage, selfies

_SPLITS = ("train", "val", "test")


class PageParams(Record):
    """How much a page holds, so that a browser stays quick with any release.

    images: cards on the contact sheet, least certain first. thumbnail_px: longer side of a
    thumbnail, shown at about half of it and enlarged on demand. items_per_reason: rejected items
    listed for one step and reason. groups, members_per_group: near-duplicates shown.
    """

    images: int = 400
    thumbnail_px: int = 320
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
    cards: tuple[Card, ...]
    cards_left_out: int
    sides: tuple[str, ...]
    rejections: tuple[Rejection, ...]
    slices: Table
    selfies: tuple[tuple[str, Cell], ...]
    groups: tuple[Group, ...]
    groups_total: int
    comparisons: tuple[Comparison, ...]


def render(
    release: Path,
    rejected: Path | Sequence[Path],
    comparisons: Sequence[Path],
    out: Path,
    title: str,
    *,
    params: PageParams | None = None,
) -> Path:
    """Write the page to `out`, whole or not at all, and return `out`.

    release: the folder data/releases/<name>/<version>. rejected: rejected.jsonl files of any step.
    comparisons: comparison.json files of parity. The same files give the same bytes.

    Raises InputError naming the file where one is missing or is not what it should be.
    """
    page = _page(
        open_release(release),
        read_rejected([rejected] if isinstance(rejected, Path) else rejected),
        [read_comparison(path) for path in comparisons],
        title,
        params or PageParams(),
    )
    write_text(out, filled("page.html.j2", page))
    return out


def _page(
    release: Release,
    rejected: Sequence[Rejected],
    comparisons: Sequence[Comparison],
    title: str,
    params: PageParams,
) -> Page:
    rows = sorted(map(make_row, release), key=lambda row: (row.confidence, row.image_id))
    near_duplicates = repeated(rows)
    cards, groups = _pictures(release, rows, near_duplicates, params)
    return Page(
        title=title,
        release=release.card,
        totals=_totals(rows, rejected),
        unreviewed=sum(not row.is_reviewed for row in rows),
        unreviewed_test=sum(not row.is_reviewed and row.split == "test" for row in rows),
        splits=_counted([row.split for row in rows], _SPLITS),
        licences=tuple(Counter(row.licence for row in rows).most_common()),
        models=tuple(sorted({model for row in rows for model in row.models})),
        cards=tuple(cards),
        cards_left_out=len(rows) - len(cards),
        sides=tuple(side for side, _ in _counted([s for card in cards for s in card.sides], SIDES)),
        rejections=tuple(by_reason(rejected, params.items_per_reason)),
        slices=coverage(row.slice for row in rows),
        selfies=selfies(row.selfie for row in rows),
        groups=tuple(groups),
        groups_total=len(near_duplicates),
        comparisons=tuple(comparisons),
    )


def _pictures(
    release: Release,
    rows: Sequence[Row],
    near_duplicates: Sequence[Sequence[Row]],
    params: PageParams,
) -> tuple[list[Card], list[Group]]:
    """Cards of the first `rows` and the first groups, from one more reading of the release.

    Release order reads every shard once; at no time is more than one picture in memory.
    """
    rank = {row.image_id: place for place, row in enumerate(rows[: params.images])}
    shown = near_duplicates[: params.groups]
    wanted = {row.image_id for group in shown for row in group[: params.members_per_group]}
    cards: list[Card] = []
    members: dict[str, Member] = {}
    for item in release:
        if item.image_id in rank:
            cards.append(make_card(item, params.thumbnail_px))
        if item.image_id in wanted:
            members[item.image_id] = make_member(item)
    cards.sort(key=lambda card: rank[card.image_id])
    return cards, [make_group(group, members) for group in shown]


def _totals(rows: Sequence[Row], rejected: Sequence[Rejected]) -> Totals:
    released = {row.image_id for row in rows}
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
