"""The first tensor of a net where two sides depart: kernel against kernel, or file against file."""

from collections.abc import Callable, Sequence

from parity.forensics.graph import PLAIN, Graph, Made, departs_by
from parity.forensics.records import Departure
from parity.runtimes.tensors import Array

# Kernels in single precision are apart by a hundredth of it.
TOLERANCE = 1e-3


def first_departure(
    net: str, reference: Graph, candidate: Graph, given: Array, tolerance: float = TOLERANCE
) -> Departure:
    """The first tensor, in the order of the candidate's operations, that is further out.

    given: the input (1, …). Tensors are matched by name. Between plain kernels all are looked at;
    where a delegate is on either side, operations are bisected by what is open after each of them,
    as what has departed stays so. Raises InputError where a file is no .tflite model,
    NotRunnableError where one cannot run.
    """
    shared = {one.name for one in reference.made}
    made = [one for one in candidate.made if one.name in shared]
    if reference.kernel in PLAIN and candidate.kernel in PLAIN:
        found = _scanned(reference, candidate, made, given, tolerance)
    else:
        found = _bisected(reference, candidate, made, given, tolerance)
    one, deviation = found if found else (None, None)
    return Departure(
        net=net,
        reference=reference.name,
        candidate=candidate.name,
        tolerance=tolerance,
        tensor=one.name if one else None,
        operation=one.operation if one else None,
        place=one.place if one else None,
        operation_count=candidate.operation_count,
        deviation=deviation,
    )


def _scanned(
    reference: Graph, candidate: Graph, made: Sequence[Made], given: Array, tolerance: float
) -> tuple[Made, float] | None:
    before, after = reference.all_values(given), candidate.all_values(given)
    for one in made:
        if one.name in before and one.name in after:
            deviation = departs_by(before[one.name], after[one.name])
            if deviation > tolerance:
                return one, deviation
    return None


def _bisected(
    reference: Graph, candidate: Graph, made: Sequence[Made], given: Array, tolerance: float
) -> tuple[Made, float] | None:
    known = {one.name for one in made}
    places = sorted({one.place for one in made})
    read = [_reader(side, given) for side in (reference, candidate)]

    def farthest(names: Sequence[str]) -> dict[str, float]:
        before, after = (values(names) for values in read)
        return {name: departs_by(before[name], after[name]) for name in names}

    def is_departed(place: int) -> bool:
        names = [name for name in candidate.open_after(place) if name in known]
        return bool(names) and max(farthest(names).values()) > tolerance

    if not places or not is_departed(places[-1]):
        return None
    low, high = 0, len(places) - 1
    while low < high:
        middle = (low + high) // 2
        if is_departed(places[middle]):
            high = middle
        else:
            low = middle + 1
    own = [one for one in made if one.place == places[low]]
    deviations = farthest([one.name for one in own])
    first = max(own, key=lambda one: deviations[one.name])
    return first, deviations[first.name]


def _reader(side: Graph, given: Array) -> Callable[[Sequence[str]], dict[str, Array]]:
    """Tensors of a side by name: all kept at once on plain kernels, else file by file."""
    if side.kernel not in PLAIN:
        return lambda names: side.values(names, given)
    kept = side.all_values(given)
    return lambda names: {name: kept[name] for name in names}
