"""What a format writes and reads: the frames of a task, job or project with their annotations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from standin.background import WorkFailedError
from standin.state import Frame, Job, Label, Project, Shape, Tag, Task

Bitmap = NDArray[np.bool_]


@dataclass
class Item:
    """One frame: its task, its number there, and what is on it."""

    task: Task
    number: int
    frame: Frame
    shapes: list[Shape] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)

    @property
    def subset(self) -> str:
        return self.task.subset or "default"


@dataclass
class Dataset:
    """url: the server's own, for the addresses that the XML holds."""

    target: Project | Task | Job
    labels: list[Label]
    items: list[Item]
    url: str

    def label(self, label_id: int) -> Label:
        return next(one for one in self.flat if one.id == label_id)

    def named(self, name: str, parent: Label | None = None) -> Label:
        """A label by name. Raises: WorkFailedError: there is none."""
        for one in self.flat:
            if one.name == name and one.parent is parent:
                return one
        raise WorkFailedError(f"Label '{name}' is not registered for this task")

    @property
    def flat(self) -> list[Label]:
        """Labels with the points of a skeleton after it, as datasets number them."""
        return [one for label in self.labels for one in (label, *label.sublabels)]

    def item(self, name: str) -> Item:
        """A frame by its name, with or without folders and extension.

        Raises: WorkFailedError: there is none.
        """
        for found in (_whole, _stem, _base):
            for item in self.items:
                if found(item.frame.name) == found(name):
                    return item
        raise WorkFailedError(
            "cvat.apps.dataset_manager.bindings.CvatImportError: Could not match item id: "
            f"'{_stem(name)}' with any task frame\n"
        )


@dataclass
class Read:
    """What a file holds, as annotations to save."""

    shapes: list[Shape] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)


def shape(kind: str, frame: int, label: Label, points: Sequence[float], **more: Any) -> Shape:
    """An imported shape: no group, and `file` as its source."""
    return {
        "type": kind,
        "frame": frame,
        "label_id": label.id,
        "points": list(points),
        "group": 0,
        "source": "file",
        "occluded": False,
        "outside": False,
        "z_order": 0,
        "rotation": 0.0,
        "attributes": [],
        **more,
    }


def attributes(label: Label, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Values by name as the server takes them; unknown names are left out."""
    ids = {one.name: one.id for one in label.attributes}
    return [
        {"spec_id": ids[name], "value": as_value(value)}
        for name, value in values.items()
        if name in ids
    ]


def as_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def named_attributes(label: Label, one: Shape) -> dict[str, str]:
    """The values kept, by name, with the defaults of what is missing."""
    given = {each["spec_id"]: each["value"] for each in one["attributes"]}
    return {each.name: given.get(each.id, each.default_value) for each in label.attributes}


# --- masks ---------------------------------------------------------------------------------------


def bitmap(mask: Shape, frame: Frame) -> Bitmap:
    """A mask's pixels, (height, width) of the frame.

    Raises: ValueError: its runs do not fill its box, or the box leaves the frame.
    """
    *runs, left, top, right, bottom = (int(one) for one in mask["points"])
    height, width = bottom - top + 1, right - left + 1
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    whole = np.zeros((frame.height, frame.width), bool)
    whole[top : bottom + 1, left : right + 1] = inside
    return whole


def mask_points(whole: Bitmap) -> list[float]:
    """Runs within the box of what is set, and the box: left, top, right, bottom, inclusive."""
    rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    flat = whole[top : bottom + 1, left : right + 1].ravel()
    return [float(one) for one in (*runs(flat), left, top, right, bottom)]


def runs(flat: Bitmap) -> list[int]:
    """Lengths of alternating runs, the first of what is not set.

    >>> runs(np.array([True, True, False]))
    [0, 2, 1]
    """
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return [0, *lengths] if flat.size and flat[0] else lengths


def _whole(name: str) -> str:
    return name


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _base(name: str) -> str:
    return PurePosixPath(name).stem
