"""Near-duplicates shown together, each with its split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.shown import Row


@dataclass(frozen=True)
class Group:
    """A group of more than one image; size counts members that are not shown too."""

    group_id: str
    size: int
    is_split: bool
    members: tuple[Row, ...]


def repeated(rows: Iterable[Row]) -> list[list[Row]]:
    """The groups with more than one member: those in different splits first, then the largest."""
    gathered: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        gathered[row.group_id].append(row)
    groups = [
        sorted(group, key=lambda row: row.image_id) for group in gathered.values() if len(group) > 1
    ]
    return sorted(groups, key=lambda it: (not _is_split(it), -len(it), it[0].group_id))


def make_group(rows: Sequence[Row], members_shown: int) -> Group:
    """The group with the first of its members."""
    return Group(
        group_id=rows[0].group_id,
        size=len(rows),
        is_split=_is_split(rows),
        members=tuple(rows[:members_shown]),
    )


def _is_split(rows: Sequence[Row]) -> bool:
    return len({row.split for row in rows}) > 1
