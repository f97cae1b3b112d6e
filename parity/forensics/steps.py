"""What the reference makes, item by item, of what a run recorded: a net's deviation in steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.chain import LABELS, WHOLE, NetInput
from parity.engine import Picture, net_transform
from parity.forensics.inputs import Guess
from parity.forensics.spread import Floats, apart
from parity.pack import Pack
from parity.preprocess import pixels, tensor, value_table
from parity.run import RunResult
from parity.runtimes.session import Session

# Of the spread of an output's values: kernels in single precision are apart by less.
_ROUNDING = 1e-4

Outputs = dict[str, NDArray[np.float32]]
Tensor = NDArray[Any]


@dataclass(frozen=True)
class Look:
    """One item as a net of the run was to see it and saw it.

    row: of the run. index: of the pack. face: where the net's region is one. where: the transform
    that the reference lays, placed: the one that the run kept. expected: the tensor that the
    reference makes. kept: the one that the net got. None where the run did not keep it.
    """

    row: int
    index: int
    picture: Picture
    face: Floats | None
    where: Floats
    placed: Floats | None
    expected: Tensor
    kept: Tensor | None

    @property
    def given(self) -> Tensor:
        """What the net got, as far as it is known."""
        return self.expected if self.kept is None else self.kept

    def as_if(self, guess: Guess) -> Tensor:
        """The tensor by a guess."""
        return guess.tensor(self.picture, self.where, self.face)

    def as_placed(self, given: NetInput) -> Tensor:
        """The tensor at the place that the run kept."""
        seen = pixels(self.picture.rgb, self.where if self.placed is None else self.placed, given)
        made: Tensor = tensor(seen, value_table(given), given.layout)[0]
        return made


@dataclass(frozen=True)
class Said:
    """Outputs for one item: as sealed; of the reference on what it would see; on what the net got;
    of the run's own file on that, where it is at hand; as recorded.
    """

    sealed: Outputs
    expected: Outputs
    given: Outputs
    own: Outputs | None
    recorded: Outputs

    @property
    def before_kernel(self) -> Outputs:
        """What the kernels were to give: of the run's file, where it is at hand."""
        return self.own or self.given

    def rounding(self, output: str) -> float:
        """How far kernels may be apart, in the output's unit: where an earlier fault has driven
        values far out, a tolerance for the reference's is less than what they round by.
        """
        values = np.asarray(self.before_kernel[output], np.float64)
        size = values.std() if values.size > 1 else np.abs(values).max()
        return _ROUNDING * float(size) if np.isfinite(size) else 0.0

    def steps(self, output: str) -> dict[str, float]:
        """How far each step leads, largest of any value; "whole" and "before" beside the parts."""
        found = {
            "whole": apart(self.recorded[output], self.sealed[output]),
            "before": apart(self.expected[output], self.sealed[output]),
            "preprocessing": apart(self.given[output], self.expected[output]),
        }
        if self.own is None:
            found["kernel"] = apart(self.recorded[output], self.given[output])
        else:
            found["model"] = apart(self.own[output], self.given[output])
            found["kernel"] = apart(self.recorded[output], self.own[output])
        return found


@dataclass
class NetReplay:
    """A net of a run, replayed.

    reference: the sealed model on its reference kernel. own: the run's file there, the same session
    where it is the same file, None where it is not at hand. run: complete
    (`parity.replay.completed`), its rows those of `indices` in the pack. misread: rows where an
    earlier net's outputs were found faulty: the run itself may have gone on with right ones.
    """

    pack: Pack
    run: RunResult
    indices: list[int]
    net: str
    reference: Session
    own: Session | None
    misread: frozenset[int] = frozenset()

    @cached_property
    def _bytes(self) -> list[NDArray[np.uint8]]:
        return [row for shard in self.pack.pixels[self.net] for row in shard]

    def look(self, row: int) -> Look | None:
        """What the net was to see of a row; None where there was nothing to look at."""
        stage, index = self.pack.chain.nets[self.net], self.indices[row]
        picture = self.pack.picture(self.pack.items[index])
        sealed_where = self.pack.transforms[self.net][index]
        placed = self.run.transforms.get(self.net)
        region, face = stage.input.region, None
        if region == LABELS:
            face = picture.labelled_face
        elif region != WHOLE and self.run.record.fed == "tensors":
            face = self.pack.rule_values[region][index]
        elif region in self.run.rules:
            face = self.run.rules[region][row]
        if self.run.record.fed == "tensors":
            where = sealed_where
        elif region in (WHOLE, LABELS) or face is not None:
            where = net_transform(stage, picture, {region: face} if face is not None else {})
        else:
            where = sealed_where if placed is None else placed[row]
        if (
            row in self.misread
            and placed is not None
            and not _is_one_place(where, placed[row])
            and _is_one_place(sealed_where, placed[row])
        ):
            where = placed[row]
            face = None if region in (WHOLE, LABELS) else self.pack.rule_values[region][index]
        if not np.isfinite(where).all():
            return None
        if np.array_equal(where, sealed_where):
            seen = np.asarray(self._bytes[index])
        else:
            seen = pixels(picture.rgb, where, stage.input)
        kept = self.run.inputs.get(self.net)
        return Look(
            row=row,
            index=index,
            picture=picture,
            face=face,
            where=where,
            placed=None if placed is None else placed[row],
            expected=tensor(seen, self.pack.values[self.net], stage.input.layout)[0],
            kept=None if kept is None else np.asarray(kept[row]),
        )

    def has_looked(self, row: int) -> bool:
        """Whether the run says that the net had something to look at."""
        placed = self.run.transforms.get(self.net)
        return placed is None or bool(np.isfinite(placed[row]).all())

    def said(self, look: Look) -> Said:
        """What was and would be said of a row."""
        outputs = self.pack.chain.nets[self.net].outputs
        sealed = {
            name: values[look.index]
            for name, values in self.pack.reference_outputs[self.net].items()
        }
        expected = self._of_reference(look, look.expected, sealed)
        is_same = look.kept is None or np.array_equal(look.kept, look.expected)
        given = expected if is_same else self.ask(self.reference, look.given)
        own = given if self.own is self.reference else None
        if self.own is not None and own is None:
            own = self.ask(self.own, look.given)
        recorded = {name: self.run.outputs[self.net][name][look.row] for name in outputs}
        return Said(sealed, expected, given, own, recorded)

    def ask(self, session: Session, given: Tensor) -> Outputs:
        """What a session says of one input, without the batch's axis."""
        said = session.infer([given[None]])
        return {
            name: np.asarray(values[0], dtype=np.float32)
            for name, values in zip(self.pack.chain.nets[self.net].outputs, said, strict=True)
        }

    def _of_reference(self, look: Look, given: Tensor, sealed: Mapping[str, Any]) -> Outputs:
        """As sealed where the net is to see what was sealed: it is not computed again."""
        stage = self.pack.chain.nets[self.net]
        bytes_ = np.asarray(self._bytes[look.index])
        there = tensor(bytes_, self.pack.values[self.net], stage.input.layout)[0]
        has_seen = np.isfinite(self.pack.transforms[self.net][look.index]).all()
        if has_seen and np.array_equal(given, there):
            return dict(sealed)
        return self.ask(self.reference, given)


def _is_one_place(where: Floats, other: Floats) -> bool:
    """Whether two transforms (2, 3) lay a picture at the same place, to half a px."""
    return bool(
        np.allclose(where[:, :2], other[:, :2], rtol=0, atol=1e-3)
        and np.allclose(where[:, 2], other[:, 2], rtol=0, atol=0.5)
    )
