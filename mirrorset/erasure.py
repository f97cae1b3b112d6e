"""What an erasure is made of: what is to go, where it was found, what could not be reached.

A room's `erase` takes what is to go (`Gone`), removes it from its places, and returns what it found
there; with `is_dry_run` it only looks. So what a dry run lists is what an erasure removes.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from pydantic import AwareDatetime

from mirrorset.errors import MirrorsetError
from mirrorset.masking import masked
from mirrorset.records import Record, Sha256

# Annotators' archives name an image by as many digits of its id.
_STEM_DIGITS = 16
# So many words are looked for one by one.
_FEW = 64
# A shorter name of an author may be any word.
_SHORTEST_NAME = 6


@dataclass(frozen=True)
class Gone:
    """What is to go. items: "source:source_item_id" of its sightings. addresses: of pages and
    pictures that nothing else was seen at. authors: who made nothing else that is kept.
    """

    image_ids: frozenset[str]
    items: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    authors: frozenset[str] = frozenset()

    @cached_property
    def stems(self) -> frozenset[str]:
        """The names that pictures have in archives, without endings."""
        return frozenset(image_id[:_STEM_DIGITS] for image_id in self.image_ids)

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """What betrays in a text that it is about one of the images."""
        words = {*self.stems, *self.items, *self.addresses}
        # JSON may write the same otherwise.
        escaped = {json.dumps(one)[1:-1] for one in words}
        return tuple(one.encode() for one in sorted(words | escaped))

    def is_meant(self, item_id: str) -> bool:
        """Whether a rejection's item_id, or an image_id, names one of the images."""
        return item_id in self.image_ids or item_id in self.items

    def is_in(self, content: bytes) -> bool:
        """Whether a text mentions any of the images."""
        if len(self.words) <= _FEW:
            return any(word in content for word in self.words)
        size, by_end = self._by_end
        ends = {content[start : start + size] for start in range(len(content) - size + 1)}
        return any(word in content for end in by_end.keys() & ends for word in by_end[end])

    def is_told_in(self, content: bytes) -> bool:
        """Whether words about our work, as a log's, mention an image or, by name, its author."""
        if self.is_in(content):
            return True
        return self._names is not None and self._names.search(content) is not None

    def blotted(self, content: bytes) -> bytes:
        """A text of the same length in which neither is mentioned."""
        for word in sorted({*(one.encode() for one in self.image_ids), *self.words}, key=len)[::-1]:
            content = content.replace(word, b"*" * len(word))
        if self._names is not None:
            content = self._names.sub(lambda found: b"*" * len(found[0]), content)
        return content

    @cached_property
    def _names(self) -> re.Pattern[bytes] | None:
        names = {one for one in self.authors if len(one) >= _SHORTEST_NAME}
        names |= {json.dumps(one)[1:-1] for one in names}
        if not names:
            return None
        longest_first = sorted((re.escape(one.encode()) for one in names), key=len, reverse=True)
        return re.compile(rb"(?<!\w)(?:" + b"|".join(longest_first) + rb")(?!\w)")

    @cached_property
    def _by_end(self) -> tuple[int, dict[bytes, list[bytes]]]:
        """The words by their last bytes, of which all have as many: many are looked for at once."""
        size = min(_STEM_DIGITS, *(len(word) for word in self.words))
        by_end: dict[bytes, list[bytes]] = {}
        for word in self.words:
            by_end.setdefault(word[-size:], []).append(word)
        return size, by_end


class Removed(Record):
    """So much was in one place. place: the kind of place ("catalogue"). name: which of these."""

    place: str
    name: str
    count: int


class Unreached(Record):
    """A place that could not be searched or emptied, why, and what to do about it."""

    place: str
    name: str
    why: str


class Succession(Record):
    """A version that held an image, and the one in its place; None where nothing was left of it,
    or where it could not be rewritten (`why` says so). name: of the dataset as it was released.
    """

    name: str
    version: str
    successor: str | None
    why: str = ""

    @property
    def tag(self) -> str:
        """The version's tag."""
        return f"{self.name}-{self.version}"


class Order(Record):
    """An erasure from its beginning to its end, kept in the private folder while it lasts.

    asked: in words, without what was asked for. objects: DVC's objects that hold an image, by hash.
    found: what was there at the beginning. is_begun: from here on it is only ever completed.
    """

    erasure_id: str
    asked: str
    began_at: AwareDatetime
    image_ids: tuple[Sha256, ...]
    items: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    succession: tuple[Succession, ...] = ()
    found: tuple[Removed, ...] = ()

    @property
    def gone(self) -> Gone:
        """What is to go."""
        return Gone(
            frozenset(self.image_ids),
            frozenset(self.items),
            frozenset(self.addresses),
            frozenset(self.authors),
        )


class Certificate(Record):
    """What an erasure came to, without naming what was erased.

    images: tombstones (keyed hashes of the bytes) of the erased images. removed: by place.
    withdrawn: versions that held one of them, with their successors. unreached: what is still to be
    done; empty where all is. notes: what no erasure reaches.
    """

    erasure_id: str
    asked: str
    began_at: AwareDatetime
    ended_at: AwareDatetime
    images: tuple[Sha256, ...]
    removed: tuple[Removed, ...]
    withdrawn: tuple[Succession, ...]
    unreached: tuple[Unreached, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything was reached."""
        return not self.unreached


def merged(found: Iterable[Removed]) -> tuple[Removed, ...]:
    """One entry a place and name, with the highest count of any look, in order of their names."""
    counts: dict[tuple[str, str], int] = {}
    for one in found:
        key = one.place, one.name
        counts[key] = max(counts.get(key, 0), one.count)
    return tuple(
        Removed(place=place, name=name, count=count)
        for (place, name), count in sorted(counts.items())
        if count
    )


def attempted(place: str, step: Callable[[], object], name: str = "") -> list[Unreached]:
    """Do a step; where its place is not reached, say so instead of ending the erasure."""
    try:
        step()
    except MirrorsetError as error:
        return [Unreached(place=place, name=name, why=masked(str(error)))]
    except OSError as error:
        what = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}"
        return [Unreached(place=place, name=name, why=f"{what}; mend it and run the same again.")]
    return []
