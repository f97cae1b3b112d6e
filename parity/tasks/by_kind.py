"""Which task measures which stage."""

from collections.abc import Callable, Iterator

from parity.both import Both
from parity.columns import Column
from parity.records import Confusion
from parity.rules.rule import Kind
from parity.tasks import boxes, expressions, labels, landmarks, masks, poses, tensors

_TASKS: dict[Kind, Callable[[Both, str], Iterator[Column]]] = {
    "points": landmarks.columns,
    "face": boxes.columns,
    "pose": poses.columns,
    "expression": expressions.columns,
    "label": labels.columns,
    "mask": masks.columns,
}


def measured(both: Both) -> Iterator[Column]:
    """Every measure of every stage that both runs hold, image by image."""
    for net in both.nets:
        yield from tensors.columns(both, net)
    for rule in both.rules:
        task = _TASKS.get(both.pack.chain.rules[rule].gives)
        if task is not None:
            yield from task(both, rule)


def confused(both: Both) -> Iterator[Confusion]:
    """The tables of every stage that gives labels."""
    for rule in both.rules:
        if both.pack.chain.rules[rule].gives == "label":
            yield from labels.confusions(both, rule)
