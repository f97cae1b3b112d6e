"""The difference of two releases as tables for the terminal; --json has every image."""

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from curation.difference import Change, Difference, Figures, Relabelled

_MOST_ROWS = 10
_FIGURES = (
    *("images", "groups", "largest_group", "faces", "unreviewed", "unreviewed_test"),
    "intended_use",
)
_COUNTS = {
    "splits": "split",
    "licences": "licence",
    "sources": "source",
    "slices": "slice",
}


def tables(found: Difference) -> Iterator[Table]:
    """The figures of both; then what moved, came, went and was relabelled, where anything did."""
    yield _figures(found)
    if found.moved:
        yield _moved(found)
    if any((*found.images_in.values(), *found.images_out.values())):
        yield _images(found)
    if found.relabelled:
        yield _fields(found)
        yield _farthest(found)
    if found.relicensed:
        yield _relicensed(found)


def _figures(found: Difference) -> Table:
    before, after = found.before, found.after
    table = _table(
        f"{_title(after)} against {_title(before)}{': both say the same' if found.is_same else ''}",
        "figure",
    )
    for heading in (before.version, after.version, "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in _FIGURES:
        table.add_row(name.replace("_", " "), *_cells(getattr(before, name), getattr(after, name)))
    for name, word in _COUNTS.items():
        olds: Mapping[str, int | None] = getattr(before, name)
        news: Mapping[str, int | None] = getattr(after, name)
        for key in dict.fromkeys((*olds, *news)):
            old, new = olds.get(key, 0), news.get(key, 0)
            if (old, new) != (0, 0):
                table.add_row(f"{word} {key.replace('_', ' ')}", *_cells(old, new))
    return table


def _moved(found: Difference) -> Table:
    table = _table(f"MOVED between splits: {len(found.moved)}", "image", "group", "before", "after")
    for one in found.moved[:_MOST_ROWS]:
        table.add_row(
            one.image_id or "others of the group",
            one.group_id,
            one.before,
            Text(one.after, style="bold red"),
        )
    return _cut(table, len(found.moved))


def _images(found: Difference) -> Table:
    table = _table("Images in and out", "split")
    for heading in ("in", "out"):
        table.add_column(heading, justify="right")
    for split in found.after.splits:
        table.add_row(split, str(len(found.images_in[split])), str(len(found.images_out[split])))
    return table


def _fields(found: Difference) -> Table:
    """One line a kind of label; how far points moved by schema."""
    table = _table(f"Relabelled: {len(found.relabelled)} images", "what")
    for heading in ("images", "median NME", "95 %", "largest"):
        table.add_column(heading, justify="right")
    for field in sorted({field for one in found.relabelled for field in one.fields}):
        images = sum(field in one.fields for one in found.relabelled)
        table.add_row(field.replace("_", " "), str(images), "", "", "")
    for schema, far in found.distances.items():
        figures = (f"{value:.4f}" for value in (far.median, far.percentile_95, far.largest))
        table.add_row(f"points of {schema}", str(far.images), *figures)
    return table


def _farthest(found: Difference) -> Table:
    table = _table("Those that moved farthest first", "image", "split")
    table.add_column("NME", justify="right")
    table.add_column("changed")
    for one in found.relabelled[:_MOST_ROWS]:
        table.add_row(one.image_id, one.split, f"{one.farthest:.4f}", _worded(one))
    return _cut(table, len(found.relabelled))


def _worded(one: Relabelled) -> str:
    told = [_change(change) for change in (*one.attributes, *one.tags)]
    rest = [field for field in one.fields if field not in ("attributes", "tags")]
    return ", ".join((*told, *rest)).replace("_", " ")


def _change(change: Change) -> str:
    return f"{change.name}: {change.before or 'none'} → {change.after or 'none'}"


def _relicensed(found: Difference) -> Table:
    table = _table(f"Under another licence: {len(found.relicensed)}", "image", "before", "after")
    for one in found.relicensed[:_MOST_ROWS]:
        table.add_row(one.image_id, one.before, one.after)
    return _cut(table, len(found.relicensed))


def _cells(old: object, new: object) -> tuple[str, str, str]:
    if isinstance(old, int) and isinstance(new, int) and old != new:
        return str(old), str(new), f"{new - old:+}"
    return _told(old), _told(new), ""


def _told(value: object) -> str:
    return "–" if value is None else str(value)


def _title(figures: Figures) -> str:
    return f"{figures.name} {figures.version}"


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    return table


def _cut(table: Table, rows: int) -> Table:
    if rows > _MOST_ROWS:
        table.caption = f"and {rows - _MOST_ROWS} more: --json has all"
    return table
