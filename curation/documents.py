"""What a release says of itself: labels.json, ATTRIBUTION.csv and DATASHEET.md."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from curation.coverage import COUNTED_TAGS, Cell, cell_of
from curation.records import Attribution
from faces.schema import load_schema
from faces.slices import Slice, selfie_slice_of
from mirrorset.columns import KeyColumn
from mirrorset.files import write_text
from mirrorset.records import Annotation, DatasetItem, Licence, ModelRef, Sighting, Split
from mirrorset.spreadsheets import write_rows

_ATTRIBUTION = (
    "image_id",
    "author",
    "licence",
    "licence_url",
    "source",
    "page_url",
    "image_url",
    "licence_read_from",
    "licence_text",
    "seen_at",
)


class Tally:
    """Counts over the items of a release. What stays of a single image is a key of its group."""

    def __init__(self) -> None:
        self.splits: Counter[Split] = Counter(dict.fromkeys(get_args(Split), 0))
        self.unreviewed: Counter[Split] = Counter(dict.fromkeys(get_args(Split), 0))
        # Name of the test series and how many images it began with; how many of them are left.
        self.series: tuple[str, int] = ("", 0)
        self.series_left = 0
        self.slices: Counter[Slice] = Counter()
        self.cells: Counter[Cell] = Counter()
        self.selfies: Counter[str] = Counter()
        self.licences: Counter[tuple[str, str]] = Counter()
        self.sources: Counter[str] = Counter()
        self.models: dict[str, ModelRef] = {}
        self.schema_versions: set[str] = set()
        self.landmarks: set[str] = set()
        self.blendshapes: set[str] = set()
        self.masks: set[str] = set()
        self.attributes: dict[str, set[str]] = defaultdict(set)
        self.tags: dict[str, set[str]] = defaultdict(set)
        self._group_ids = KeyColumn()
        self._seen = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
        self._last_made = datetime.min.replace(tzinfo=UTC)

    @property
    def images(self) -> int:
        """How many items were counted."""
        return self.splits.total()

    @property
    def groups(self) -> int:
        """How many groups of near-duplicates they belong to."""
        return len(self._group_sizes)

    @property
    def largest_group(self) -> int:
        """How many items the largest group has."""
        return int(max(self._group_sizes, default=0))

    @property
    def _group_sizes(self) -> NDArray[np.int64]:
        return np.unique(self._group_ids.array(), return_counts=True)[1]

    @property
    def collected(self) -> tuple[datetime, datetime]:
        """When the first and the last of the images were seen at their sources."""
        return self._seen[0], self._seen[1]

    @property
    def last_at(self) -> datetime:
        """When the newest label was made or the newest receipt seen."""
        return max(self._seen[1], self._last_made)

    def add(self, item: DatasetItem, attribution: Attribution) -> None:
        """Count one item."""
        self.splits[item.split] += 1
        self.unreviewed[item.split] += item.annotation.origin == "model"
        faces, image = item.annotation.faces, attribution.image
        cell = cell_of(item, attribution)
        self.cells[cell] += 1
        self.slices[cell.slice] += 1
        self.selfies[selfie_slice_of(faces, image.width_px, image.height_px)] += 1
        if item.test_series:
            self.series = item.test_series, item.series_images
            self.series_left += 1
        self.sources[attribution.sighting.source] += 1
        self.licences[_licence(attribution.sighting.licence)] += 1
        self._group_ids.append(item.group_id)
        seen_at = attribution.sighting.seen_at
        self._seen = min(self._seen[0], seen_at), max(self._seen[1], seen_at)
        self._last_made = max(self._last_made, item.annotation.made_at)
        self._add_vocabulary(item.annotation)

    def _add_vocabulary(self, annotation: Annotation) -> None:
        self.models |= {model.sha256: model for model in annotation.models}
        self.schema_versions.add(annotation.schema_version)
        self.masks |= {mask.label for mask in annotation.masks}
        for name in annotation.tags.keys() - COUNTED_TAGS:
            self.tags[name].add(annotation.tags[name])
        for face in annotation.faces:
            self.landmarks |= face.landmarks.keys()
            self.blendshapes |= face.blendshapes.keys()
            for name, value in face.attributes.items():
                self.attributes[name].add(value)


def write_labels_json(path: Path, tally: Tally) -> None:
    """Names and order of the points, what mirrors into what, which lines to draw; all labels."""
    schemas = {name: load_schema(name) for name in sorted(tally.landmarks)}
    labels = {
        "schema_versions": sorted(tally.schema_versions),
        "coordinates": "px of the upright image, x to the right, y down; boxes are xyxy",
        "landmarks": {
            name: {
                "names": schema.names,
                "mirror": schema.mirror,
                "edges": schema.edges,
                "outer_eye_corners": schema.outer_corners,
            }
            for name, schema in schemas.items()
        },
        "blendshapes": sorted(tally.blendshapes),
        "attributes": _sorted_values(tally.attributes),
        "tags": _sorted_values(tally.tags),
        "masks": sorted(tally.masks),
    }
    write_text(path, json.dumps(labels, indent=1) + "\n")


def write_attribution(path: Path, attributions: Iterable[Attribution]) -> None:
    """One row an image: who made it, under which licence, and where that was read."""
    with path.open("w", encoding="utf-8", newline="") as out:
        write_rows(out, chain([_ATTRIBUTION], (_attribution(one.sighting) for one in attributions)))


def _attribution(sighting: Sighting) -> tuple[str, ...]:
    return (
        sighting.image_id,
        sighting.author,
        _licence(sighting.licence)[0],
        sighting.licence.url,
        sighting.source,
        sighting.page_url,
        sighting.image_url,
        sighting.evidence.licence_read_from,
        sighting.evidence.licence_text,
        sighting.seen_at.isoformat(),
    )


def _licence(licence: Licence) -> tuple[str, str]:
    return f"{licence.code} {licence.version}".strip(), licence.url


def _sorted_values(values: Mapping[str, set[str]]) -> dict[str, list[str]]:
    return {name: sorted(values[name]) for name in sorted(values)}
