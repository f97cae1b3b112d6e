"""The test series: images of the test split, frozen, so that results compare over the years.

A test split grows with its dataset, and what is measured on one version cannot be held against what
was measured on another. A series consists of the test images of the release that it began with. No
image comes to it; one leaves it only by leaving the dataset.
"""

from collections.abc import Callable, Iterable, Iterator

from mirrorset.columns import IdSet
from mirrorset.records import DatasetItem, LedgerEntry


def begin_series(
    name: str, items: Iterable[DatasetItem], ledger: Callable[[], Iterable[LedgerEntry]]
) -> Iterator[LedgerEntry]:
    """The entries of the ledger that change where the series `name` takes its place.

    It begins with the test images of `items`, or has those again that it began with if it had ended
    for another. None change where it stands already, or where no item is in the test split.

    ledger: gives all entries each time it is called. Memory holds ids of the test split.
    """
    if any(entry.test_series == name for entry in ledger()):
        return
    has_been = any(name in entry.earlier_series for entry in ledger())
    joining = IdSet(() if has_been else (one.image_id for one in items if one.split == "test"))
    if not has_been and not joining:
        return
    for entry in ledger():
        if name in entry.earlier_series:
            yield _in_series(entry, name, entry.earlier_series[name])
        elif entry.image_id in joining:
            yield _in_series(entry, name, len(joining))
        elif entry.test_series:
            yield _in_series(entry, name, None)


def _in_series(entry: LedgerEntry, name: str, images: int | None) -> LedgerEntry:
    """The entry in the series `name`, that began with so many images; None: in none."""
    earlier = {of: count for of, count in entry.earlier_series.items() if of != name}
    if entry.test_series:
        earlier[entry.test_series] = entry.series_images
    return entry.model_copy(
        update={
            "test_series": name if images else "",
            "series_images": images or 0,
            "earlier_series": dict(sorted(earlier.items())),
        }
    )
