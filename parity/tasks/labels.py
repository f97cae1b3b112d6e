"""How often a label is another one, and which becomes which."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from parity.both import Both
from parity.columns import Column, against_labels
from parity.records import Confusion
from parity.rules.points import Presence
from parity.rules.rule import NO_LABEL

Labels = NDArray[np.int64]
_NONE = "none"


def columns(both: Both, rule: str) -> Iterator[Column]:
    """1 for each image whose label flips, or is another than the labelled one.

    Every image counts: to find no face where the other finds one is to say something else. An
    answer about a face's presence that is no number is a flip, whatever the other says.
    """
    before, after = both.values(rule)
    is_flipped = before != after
    if isinstance(both.pack.chain.rules[rule], Presence):
        is_flipped |= (before == NO_LABEL) | (after == NO_LABEL)
    yield Column("flip_share", rule, is_flipped.astype(np.float64))
    truth = _truth(both, rule)
    if truth is None:
        return
    wrong_before, wrong_after = (
        np.where(truth == NO_LABEL, np.nan, said != truth) for said in (before, after)
    )
    yield from against_labels("error_share", rule, wrong_before, wrong_after)


def confusions(both: Both, rule: str) -> Iterator[Confusion]:
    """What the reference says against what the candidate does, and the labels against either."""
    words = (*both.pack.chain.rules[rule].labels, _NONE)
    before, after = both.values(rule)
    yield Confusion(
        output=rule, rows="reference", columns="candidate", words=words,
        counts=_counts(before, after, words),
    )  # fmt: skip
    truth = _truth(both, rule)
    if truth is None:
        return
    is_labelled = truth != NO_LABEL
    for run, said in (("reference", before), ("candidate", after)):
        yield Confusion(
            output=rule, rows="labels", columns=run, words=words,
            counts=_counts(truth[is_labelled], said[is_labelled], words),
        )  # fmt: skip


def _truth(both: Both, rule: str) -> Labels | None:
    """What people say, by its place among the rule's labels; None where they say nothing of it.

    There is a face on every image of a pack.
    """
    truth = both.pack.chain.truth
    words = both.pack.chain.rules[rule].labels
    said: Sequence[str | None]
    if rule == truth.presence:
        said = ["yes"] * len(both.items)
    elif rule == truth.lighting:
        said = [item.lighting for item in both.items]
    else:
        return None
    places = [words.index(word) if word in words else NO_LABEL for word in said]
    return np.array(places) if set(places) != {NO_LABEL} else None


def _counts(rows: Labels, columns_: Labels, words: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """How often each pair occurs; -1 is the last of the words."""
    table = np.zeros((len(words), len(words)), dtype=np.int64)
    np.add.at(table, (rows, columns_), 1)
    return tuple(map(tuple, table.tolist()))
