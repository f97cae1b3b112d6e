"""Two runs side by side, row by row the same items."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorset.errors import InputError
from parity.chain import IMAGE, Net
from parity.pack import Pack
from parity.records import PackItem
from parity.replay import completed
from parity.run import RunResult


class Both:
    """What both runs hold: items by their image, in the order of the reference's pack, and stages.

    candidate_pack: the pack that the candidate ran on, where it is another; labels are those of
    `pack`. left_out: by stage, why it cannot be compared between the two packs. Raises InputError
    where a run does not fit its pack, and where the two have nothing in common.
    """

    def __init__(
        self, pack: Pack, reference: RunResult, candidate: RunResult, candidate_pack: Pack
    ) -> None:
        self.pack = pack
        self.runs = (completed(pack, reference), completed(candidate_pack, candidate))
        ids = [run.record.image_ids for run in self.runs]
        shared = set(ids[0]) & set(ids[1])
        self.items = [item for item in pack.items if item.image_id in shared]
        self.left_out = dict(_not_alike(pack, candidate_pack))
        self.nets = [
            net
            for net in pack.chain.nets
            if net not in self.left_out and all(net in run.outputs for run in self.runs)
        ]
        self.rules = [
            rule
            for rule in pack.chain.rules
            if rule not in self.left_out and all(rule in run.rules for run in self.runs)
        ]
        if not self.items or not (self.nets or self.rules or candidate.record.not_runnable):
            raise InputError(
                f"The reference run ({reference.name}) and the candidate ({candidate.name}) have "
                "no image or no net in common: run both on the same pack."
            )
        self._rows = [_rows(self.items, names) for names in ids]

    def outputs(self, net: str, output: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of the reference and of the candidate, (N, …) each."""
        before, after = (
            run.outputs[net][output][rows] for run, rows in zip(self.runs, self._rows, strict=True)
        )
        return before, after

    def values(self, rule: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """A rule's values likewise."""
        before, after = (
            run.rules[rule][rows] for run, rows in zip(self.runs, self._rows, strict=True)
        )
        return before, after

    def has_seen(self, stage: str) -> NDArray[np.bool_]:
        """Where in both runs the nets that the stage is or reads had something to look at: (N,)."""
        seen = np.ones(len(self.items), dtype=bool)
        for net in self._nets_of(stage):
            for run, rows in zip(self.runs, self._rows, strict=True):
                if net in run.transforms:
                    seen &= np.isfinite(run.transforms[net][rows]).all(axis=(1, 2))
        return seen

    def _nets_of(self, stage: str) -> set[str]:
        described = self.pack.chain.stages[stage]
        if isinstance(described, Net):
            return {stage}
        read = (self._nets_of(each) for each in described.of if each != IMAGE)
        return set().union(*read)


def _rows(items: Sequence[PackItem], image_ids: Sequence[str]) -> list[int] | slice:
    """Where a run has the items; all of its rows in their order are not copied."""
    places = {image_id: row for row, image_id in enumerate(image_ids)}
    rows = [places[item.image_id] for item in items]
    return slice(None) if rows == list(range(len(image_ids))) else rows


def _not_alike(pack: Pack, other: Pack) -> Iterator[tuple[str, str]]:
    """The stages of `pack` that mean something else in `other`, with the reason, a clause."""
    is_other_best = pack.record.best_image_id != other.record.best_image_id
    relative: set[str] = set()
    for name, stage in pack.chain.stages.items():
        if name not in other.chain.stages:
            yield name, "only one of the packs' chains has it"
        elif stage != other.chain.stages[name]:
            yield name, "the packs' chains describe it differently"
        elif not isinstance(stage, Net) and (
            (stage.is_relative and is_other_best) or relative & set(stage.of)
        ):
            relative.add(name)
            yield name, "the packs have different best photos"
