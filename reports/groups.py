"""Near-duplicates shown together, each with its split."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mirrorset.load import Item
from reports.cards import alt_text
from reports.rows import Row
from reports.thumbnails import thumbnail

_MEMBER_PX = 160


@dataclass(frozen=True)
class Member:
    """One image of a group."""

    image_id: str
    split: str
    thumbnail: str
    alt: str


@dataclass(frozen=True)
class Group:
    """A group of more than one image; size counts members that are not shown too."""

    group_id: str
    size: int
    is_split: bool
    members: tuple[Member, ...]


def repeated(rows: Iterable[Row]) -> list[list[Row]]:
    """The groups with more than one member: those in different splits first, then the largest."""
    gathered: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        gathered[row.group_id].append(row)
    groups = [
        sorted(group, key=lambda row: row.image_id) for group in gathered.values() if len(group) > 1
    ]
    return sorted(groups, key=lambda it: (not _is_split(it), -len(it), it[0].group_id))


def make_member(item: Item) -> Member:
    """The member as the page shows it; decodes its image."""
    return Member(item.image_id, item.split, thumbnail(item.rgb(), _MEMBER_PX), alt_text(item))


def make_group(rows: Sequence[Row], members: Mapping[str, Member]) -> Group:
    """The group with those of its `members` (by image_id) that are to be shown."""
    return Group(
        group_id=rows[0].group_id,
        size=len(rows),
        is_split=_is_split(rows),
        members=tuple(members[row.image_id] for row in rows if row.image_id in members),
    )


def _is_split(rows: Sequence[Row]) -> bool:
    return len({row.split for row in rows}) > 1
