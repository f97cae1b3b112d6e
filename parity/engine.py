"""One engine runs a chain over pictures, whoever is asked, and keeps what every stage gave."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from faces.engine import EngineParams, in_batches
from faces.lending import Lending
from mirrorset.errors import InputError
from mirrorset.pixels import decode
from parity.chain import LABELS, WHOLE, Chain, Net
from parity.preprocess import Floats, Pixels, pixels, place, tensor, value_table
from parity.records import PackItem
from parity.rules.rule import Answer, Seen, Stages, Value, value_of
from parity.runtimes.session import Session

_WARM_UP_RUNS = 3


@dataclass(frozen=True)
class Picture:
    """An item with the way to its bytes, which are read and decoded where a stage asks for them."""

    item: PackItem
    content: Callable[[], bytes]

    @cached_property
    def rgb(self) -> Pixels:
        """Upright pixels (H, W, 3) uint8."""
        return decode(self.content())

    @property
    def labelled_face(self) -> Floats:
        """The labelled face as a stage gives one: box, score, eyes on the image's left and right,
        of which the labels know the outer corners.
        """
        return np.array([*self.item.box, 1.0, *self.item.eye_corners[0], *self.item.eye_corners[1]])


@dataclass(frozen=True)
class Fed:
    """What a net is given in place of what it would see: pixels in its layout, and the transform
    (2, 3) by which they were cut.
    """

    pixels: Pixels
    transform: Floats


@dataclass(frozen=True)
class Given:
    """One item to look at. fed: by net, to see each on its own; None to let the chain see."""

    picture: Picture
    fed: Mapping[str, Fed] | None = None


class Engine:
    """A chain with a loaded model for each of its nets."""

    def __init__(self, chain: Chain, sessions: Mapping[str, Session]) -> None:
        """Raises InputError where a model does not take and give what the chain says."""
        self.chain = chain
        self._sessions = sessions
        self._tables = {name: value_table(net.input) for name, net in chain.nets.items()}
        for name, net in chain.nets.items():
            _check_fit(name, net, sessions[name])

    def warm_up(self) -> None:
        """Run every net some times, so that the first item is timed like the others."""
        for name, net in self.chain.nets.items():
            nothing = tensor(np.zeros(net.input.shape, np.uint8), self._tables[name], _layout(net))
            for _ in range(_WARM_UP_RUNS):
                self._sessions[name].infer([nothing])

    def look(self, given: Given, best: Seen | None = None) -> Stages:
        """What every stage gives for an item, in order.

        best: the best photo, for rules that compare with it; None where the item is that.
        """
        stages: Stages = {}
        picture, fed = given.picture, given.fed
        seen = Seen(lambda: picture.rgb, stages)
        for name, stage in self.chain.stages.items():
            if isinstance(stage, Net):
                shown = fed[name] if fed is not None else self._cut(stage, picture, stages)
                stages[name] = self._ask(name, stage, shown)
            else:
                stages[name] = stage(seen, best or seen)
        return stages

    def nothing(self) -> Stages:
        """What every stage gives where no net has anything to look at: shapes and dtypes."""
        stages: Stages = {name: self._no_answer(name, net) for name, net in self.chain.nets.items()}
        seen = Seen(lambda: np.zeros((1, 1, 3), np.uint8), stages)
        for name, rule in self.chain.rules.items():
            stages[name] = rule(seen, seen)
        return stages

    def _cut(self, net: Net, picture: Picture, stages: Stages) -> Fed:
        where = net_transform(net, picture, stages)
        given = net.input
        if np.isfinite(where).all():
            return Fed(pixels(picture.rgb, where, given), where)
        return Fed(np.zeros(given.shape, np.uint8), where)

    def _ask(self, name: str, net: Net, given: Fed) -> Answer:
        if not np.isfinite(given.transform).all():
            return self._no_answer(name, net)
        values = tensor(given.pixels, self._tables[name], _layout(net))
        started_s = time.perf_counter()
        outputs = self._sessions[name].infer([values])
        elapsed_ms = (time.perf_counter() - started_s) * 1000
        return Answer(
            outputs={
                output: np.asarray(value[0], dtype=np.float32)
                for output, value in zip(net.outputs, outputs, strict=True)
            },
            transform=given.transform,
            elapsed_ms=elapsed_ms,
            pixels=given.pixels,
            tensor=values[0],
        )

    def _no_answer(self, name: str, net: Net) -> Answer:
        nothing = np.zeros(net.input.shape, np.uint8)
        said = self._sessions[name].outputs
        return Answer(
            outputs={
                output: np.full(spec.shape[1:], np.nan, np.float32)
                for output, spec in zip(net.outputs, said, strict=True)
            },
            transform=np.full((2, 3), np.nan),
            elapsed_ms=np.nan,
            pixels=nothing,
            tensor=tensor(nothing, self._tables[name], _layout(net))[0],
        )


def net_transform(net: Net, picture: Picture, stages: Mapping[str, Answer | Value]) -> Floats:
    """Where `net` looks at `picture` (2, 3), by what the stages before it gave."""
    region = net.input.region
    if region == WHOLE:
        face = None
    elif region == LABELS:
        face = picture.labelled_face
    else:
        face = value_of(stages, region)
    return place(net.input, picture.item.width_px, picture.item.height_px, face)


def look_at_all(
    engines: Lending[Engine],
    given: Iterable[Given],
    *,
    best: Given | None = None,
    at_once: int = 1,
) -> Iterator[Stages]:
    """What every stage gives for each of `given`, in their order.

    best: the best photo, which is looked at first. at_once: engines at work at a time; their
    outputs are the same, the times are not.
    """
    chosen = None
    if best is not None:
        with engines.borrowed() as engine:
            chosen = Seen(lambda: best.picture.rgb, engine.look(best))

    def look(batch: Sequence[Given]) -> list[Stages]:
        with engines.borrowed() as engine:
            return [engine.look(one, chosen) for one in batch]

    # The kernels run outside of Python's lock.
    yield from in_batches(look, given, EngineParams(workers=at_once, batch=1))


def _layout(net: Net) -> str:
    return net.input.layout


def _check_fit(name: str, net: Net, session: Session) -> None:
    wanted = [(1, *net.input.shape)]
    taken = [spec.shape for spec in session.inputs]
    advice = f"give the model that the net {name} describes, or a chain that describes it"
    if taken != wanted:
        raise InputError(
            f"The model for {name} takes {_shapes(taken)}, not {_shapes(wanted)}: {advice}."
        )
    for spec in session.inputs:
        # A quantised file takes real numbers; whole numbers are for one that takes them as such.
        if net.input.dtype not in ("float32", spec.dtype):
            raise InputError(
                f"The model for {name} takes {spec.dtype}, not {net.input.dtype}: {advice}."
            )
    if len(session.outputs) != len(net.outputs):
        raise InputError(
            f"The model for {name} has {len(session.outputs)} outputs, not {len(net.outputs)}: "
            f"{advice}."
        )
    if any(-1 in spec.shape for spec in session.outputs):
        raise InputError(
            f"The model for {name} leaves the shape of an output open: fix it when converting."
        )


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join("×".join(map(str, shape)) for shape in shapes)
