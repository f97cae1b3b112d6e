"""The images on which two runs lie farthest apart."""

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from parity.both import Both
from parity.forensics.records import WorstImage
from parity.forensics.spread import apart, spread_of
from parity.rules.rule import Rule

_COUNT = 12


def worst_of(told: Iterable[tuple[str, str, float]]) -> tuple[WorstImage, ...]:
    """The images that are farthest out, each by what it is farthest out by, the farthest first.

    told: image, output or rule, and how far it is out, over what counts as equal.
    """
    farthest: dict[str, tuple[float, str]] = {}
    for image_id, name, times in told:
        if times > farthest.get(image_id, (0.0, ""))[0]:
            farthest[image_id] = times, name
    ranked = sorted(farthest.items(), key=lambda each: (-each[1][0], each[0]))
    return tuple(
        WorstImage(image_id=image_id, name=name, times_tolerance=times)
        for image_id, (times, name) in ranked[:_COUNT]
    )


def worst_between(both: Both) -> tuple[WorstImage, ...]:
    """By the rules that both runs hold."""
    return worst_of(_told(both))


def times_tolerance(
    rule: Rule, found: NDArray[Any], expected: NDArray[Any]
) -> Iterator[tuple[int, float]]:
    """Row by row how far a rule's values (N, …) are from what was `expected`."""
    unit = rule.tolerance or (1.0 if rule.labels else spread_of(expected))
    for row, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        far = apart(ours, theirs)
        # Another label is another label, however far apart they stand in the list.
        yield row, min(far, 1.0) if rule.labels else far / unit


def _told(both: Both) -> Iterator[tuple[str, str, float]]:
    for name in both.rules:
        before, after = both.values(name)
        for row, times in times_tolerance(both.pack.chain.rules[name], after, before):
            yield both.items[row].image_id, name, times
