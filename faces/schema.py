"""Landmark schemas: what the points of a scheme are called, how they mirror and where they go."""

from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, field_validator, model_validator

from mirrorset.errors import SettingsError
from mirrorset.geometry import interocular_distance
from mirrorset.records import Record

SCHEMAS = Path(__file__).with_name("schemas")


class LandmarkSchema(Record):
    """A landmark scheme. Left and right are the image's, for a face that looks into the camera.

    names: one a point, in order. mirror: mirror[i] is where point i lies after the image is
    mirrored; its own inverse. edges: index pairs to draw as lines. eye_left, eye_right: all points
    of an eye. outer_corners: the two points between which the interocular distance is taken.
    derived_from: by name of another schema, for each point of this one the indices there whose
    mean it is. sigmas: one a point, the constants of `mirrorset.metrics.oks`; empty where nobody
    published any.
    """

    name: str
    names: tuple[str, ...]
    mirror: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    eye_left: tuple[int, ...]
    eye_right: tuple[int, ...]
    outer_corners: tuple[int, int]
    derived_from: dict[str, tuple[tuple[int, ...], ...]] = Field(default_factory=dict)
    sigmas: tuple[float, ...] = ()

    @field_validator("names", mode="before")
    @classmethod
    def _as_text(cls, names: list[str | int]) -> list[str]:
        return [str(name) for name in names]

    @field_validator("derived_from", mode="before")
    @classmethod
    def _as_lists(cls, maps: dict[str, list[int | list[int]]]) -> dict[str, list[list[int]]]:
        return {
            source: [[entry] if isinstance(entry, int) else entry for entry in entries]
            for source, entries in maps.items()
        }

    @model_validator(mode="after")
    def _is_consistent(self) -> "LandmarkSchema":
        count = len(self.names)
        if len(set(self.names)) != count:
            raise ValueError("two points have one name")
        if len(self.mirror) != count or any(
            self.mirror[self.mirror[index]] != index for index in range(count)
        ):
            raise ValueError("mirroring twice does not give each point back")
        if any(len(entries) != count for entries in self.derived_from.values()):
            raise ValueError("a derivation does not give every point")
        if len(self.sigmas) not in (0, count):
            raise ValueError(f"{len(self.sigmas)} sigmas, {count} points")
        return self

    def groups(self) -> dict[str, tuple[int, ...]]:
        """Indices by part of the face, which is the first word of a point's name ("jaw_0")."""
        parts: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            parts.setdefault(name.split("_")[0], []).append(index)
        return {part: tuple(indices) for part, indices in parts.items()}

    def derive(self, points: ArrayLike, source: str) -> NDArray[np.float64]:
        """This schema's points (K, 2) from `points` (N, 2) px of the schema named `source`.

        Raises KeyError where there is no such derivation.
        """
        given = np.asarray(points, dtype=np.float64)
        return np.array(
            [given[list(indices)].mean(axis=0) for indices in self.derived_from[source]]
        )

    def interocular_px(self, points: ArrayLike) -> float:
        """Distance in px between the outer eye corners of `points` (K, 2)."""
        left, right = self.outer_corners
        return interocular_distance(points, [left], [right])


@cache
def load_schema(name: str) -> LandmarkSchema:
    """The schema of that name: "face5", "ibug68", "face106" or "mesh478".

    Raises SettingsError naming the known ones where there is none.
    """
    path = SCHEMAS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SCHEMAS.glob("*.yaml")))
        raise SettingsError(f"There is no landmark schema {name!r}; there are {known}.")
    return LandmarkSchema.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
