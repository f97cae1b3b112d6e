"""Presets: sets of starts under one name, so that params.yaml needs one line for all sources.

sources:
  - preset: selfie
    only: [commons]
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mirrorset.errors import SettingsError
from mirrorset.records import Record

PRESETS = Path(__file__).with_name("presets")

#: A start as params.yaml writes it: its `source` and that source's own fields.
WrittenStart = dict[str, Any]


class PresetStart(Record):
    """An entry of `crawl: sources:` that stands for many. only: the sources wanted, or all."""

    preset: str
    only: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """The presets there are, by name."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


@cache
def preset(name: str) -> tuple[WrittenStart, ...]:
    """The starts of the preset of that name, source by source.

    Raises SettingsError naming the known ones where there is none.
    """
    if name not in names():
        raise SettingsError(f"There is no crawl preset {name!r}; there are {', '.join(names())}.")
    text = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    by_source: dict[str, list[WrittenStart]] = yaml.safe_load(text)
    return tuple(
        {"source": source, **start} for source, starts in by_source.items() for start in starts
    )


def expanded(sources: Iterable[Any]) -> tuple[Any, ...]:
    """`sources` as params.yaml lists them, each preset replaced by its starts; the rest as it is.

    Raises SettingsError for an unknown preset and for a source that the preset does not have,
    ValidationError for an entry with other keys than `preset` and `only`.
    """
    starts: list[Any] = []
    for entry in sources:
        if isinstance(entry, dict) and "preset" in entry:
            starts += _starts_of(PresetStart.model_validate(entry))
        else:
            starts.append(entry)
    return tuple(starts)


def _starts_of(entry: PresetStart) -> list[WrittenStart]:
    starts = preset(entry.preset)
    known = dict.fromkeys(start["source"] for start in starts)
    for source in entry.only:
        if source not in known:
            raise SettingsError(
                f"The crawl preset {entry.preset} has no source {source!r}; "
                f"it has {', '.join(known)}."
            )
    return [start for start in starts if start["source"] in (entry.only or known)]
