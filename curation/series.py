"""The test series: images of the test split, frozen, so that results compare over the years.

A test split grows with its dataset, and what is measured on one version cannot be held against what
was measured on another. A series consists of the test images of the release that it began with. No
image comes to it; one leaves it only by leaving the dataset.
"""

from collections.abc import Iterable, Mapping

from mirrorset.records import DatasetItem, LedgerEntry


def begin_series(
    name: str, items: Iterable[DatasetItem], ledger: Mapping[str, LedgerEntry]
) -> list[LedgerEntry]:
    """The entries of `ledger` (by image_id) that change where the series `name` takes its place.

    It begins with the test images of `items`, or has those again that it began with if it had ended
    for another. None change where it stands already, or where no item is in the test split.
    """
    if any(entry.test_series == name for entry in ledger.values()):
        return []
    members = {
        image_id: entry.earlier_series[name]
        for image_id, entry in ledger.items()
        if name in entry.earlier_series
    }
    if not members:
        joining = {item.image_id for item in items if item.split == "test"}
        members = dict.fromkeys(joining, len(joining))
    if not members:
        return []
    return [
        _in_series(entry, name, members.get(image_id))
        for image_id, entry in sorted(ledger.items())
        if image_id in members or entry.test_series
    ]


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
