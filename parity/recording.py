"""What stages gave, as the named arrays of a pack and of a run."""

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from parity.rules.rule import Answer, Stages

Row = tuple[str, NDArray[Any]]


def pack_rows(stages: Stages) -> Iterator[Row]:
    """An item's row of each array of a pack (`parity.pack`)."""
    for name, given in stages.items():
        if isinstance(given, Answer):
            if given.pixels is not None:
                yield f"nets/{name}/inputs", given.pixels
            yield f"nets/{name}/transforms", given.transform
            for output, value in given.outputs.items():
                yield f"nets/{name}/reference/{output}", value
        else:
            yield f"rules/{name}", given


def run_rows(stages: Stages, has_seen: bool, is_input_kept: bool) -> Iterator[Row]:
    """An item's row of each array of a run (`parity.run`).

    has_seen: the nets saw the picture, so the transforms are theirs. is_input_kept: the tensors
    that they got as well.
    """
    for name, given in stages.items():
        if isinstance(given, Answer):
            if has_seen:
                yield f"nets/{name}/transforms", given.transform
            if is_input_kept and given.tensor is not None:
                yield f"nets/{name}/input", given.tensor
            for output, value in given.outputs.items():
                yield f"nets/{name}/{output}", value
        else:
            yield f"rules/{name}", given
