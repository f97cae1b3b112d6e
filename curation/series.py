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
    """The entries of `ledger` (by image_id) that change where the series `name` begins.

    It begins with the test images of `items` and takes the place of the series before. None change
    where it has begun already, or where no item is in the test split.
    """
    if any(entry.test_series == name for entry in ledger.values()):
        return []
    members = {item.image_id for item in items if item.split == "test"}
    if not members:
        return []
    joining = {"test_series": name, "series_images": len(members)}
    leaving = {"test_series": "", "series_images": 0}
    return [
        entry.model_copy(update=joining if image_id in members else leaving)
        for image_id, entry in sorted(ledger.items())
        if image_id in members or entry.test_series
    ]
