"""What the demo found out, from the catalogue and the files it left: the same after every run."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flows.annotate import PullSummary
from flows.demo.gallery import Gallery, GalleryImage
from flows.demo.server import image_path
from flows.parity import ParitySummary
from flows.prelabel import PrelabelSummary
from flows.release import ReleaseSummary
from flows.snapshot import rejected_files
from mirrorset.files import read_parts, read_records
from mirrorset.records import DatasetItem, Record, Rejected, Sighting
from mirrorset.terminal import echo
from mirrorset.workspace import Workspace


class DemoSummary(Record):
    """The figures of summary.json.

    found: items listed by the sources. accepted: those whose bytes were kept. rejected: by
    reason, over all steps. portraits_released: real portraits that passed every gate, copies not
    counted. planted: bad cases in the gallery; planted_caught: those rejected for their own
    reason. split_apart: near-duplicates that lie in another split than their original.
    parity: verdicts by kernel. surprises: planted cases that went wrong, one sentence each.
    """

    found: int
    accepted: int
    rejected: dict[str, int]
    labelled: int
    quarantined: int
    reviewed: int
    review_state: str
    released: int
    portraits_released: int
    splits: dict[str, int]
    groups: int
    release: str
    digest: str
    pushed_to: str
    parity: dict[str, dict[str, int]]
    planted: int
    planted_caught: int
    near_duplicates: int
    split_apart: int
    surprises: tuple[str, ...]
    notes: tuple[str, ...]
    report: str


def summarise(
    workspace: Workspace,
    gallery: Gallery,
    labelled: PrelabelSummary,
    reviewed: PullSummary,
    released: ReleaseSummary,
    judged: ParitySummary,
    page: Path,
) -> DemoSummary:
    """Gather the figures, and hold them against what the gallery expects."""
    rejected = list(_rejected(workspace))
    items = {item.image_id: item for item in read_parts(workspace.work / "items", DatasetItem)}
    with workspace.catalogue() as catalogue:
        sightings = catalogue.count(Sighting)
    planted = [image for image in gallery.images if image.expected is not None]
    surprises = list(_surprises(planted, rejected))
    copies = [image for image in gallery.images if image.duplicate_of and image.image_id in items]
    return DemoSummary(
        found=sightings + sum(record.step == "crawl" for record in rejected),
        accepted=sightings,
        rejected=dict(sorted(Counter(record.reason.value for record in rejected).items())),
        labelled=labelled.labelled,
        quarantined=labelled.quarantined,
        reviewed=reviewed.reviewed,
        review_state=judged.review_state,
        released=len(items),
        portraits_released=sum(
            image.image_id in items
            for image in gallery.images
            if not image.duplicate_of and image.expected is None
        ),
        splits=dict(sorted(Counter(item.split for item in items.values()).items())),
        groups=len({item.group_id for item in items.values()}),
        release=released.tag,
        digest=released.digest,
        pushed_to=released.pushed_to,
        parity=judged.verdicts,
        planted=len(planted),
        planted_caught=len(planted) - len(surprises),
        near_duplicates=len(copies),
        split_apart=_split_apart(gallery, copies, items),
        surprises=tuple(surprises),
        notes=gallery.notes,
        report=str(page),
    )


def _rejected(workspace: Workspace) -> Iterator[Rejected]:
    for file in rejected_files(workspace):
        yield from read_records(file, Rejected)


def _surprises(planted: Iterable[GalleryImage], rejected: Iterable[Rejected]) -> Iterator[str]:
    """One sentence for each planted case that was not rejected for its own reason."""
    reason_of = {}
    for record in rejected:
        reason_of[record.item_id] = record.reason
        if record.image_url:
            reason_of[unquote(urlsplit(record.image_url).path)] = record.reason
    for image in planted:
        reason = reason_of.get(image.image_id) or reason_of.get(unquote(image_path(image)))
        if reason != image.expected:
            outcome = f"rejected as {reason}" if reason else "kept"
            yield f"{image.name} should be rejected as {image.expected}, and was {outcome}."


def _split_apart(
    gallery: Gallery, copies: Iterable[GalleryImage], items: dict[str, DatasetItem]
) -> int:
    id_of = {image.name: image.image_id for image in gallery.images}
    return sum(
        items[copy.image_id].split != items[id_of[copy.duplicate_of]].split
        for copy in copies
        if id_of[copy.duplicate_of] in items
    )


def print_summary(summary: DemoSummary) -> None:
    """Print the figures a person wants to see first."""
    rejected = ", ".join(f"{count} {reason}" for reason, count in summary.rejected.items())
    splits = ", ".join(f"{count} {split}" for split, count in summary.splits.items())
    _line("found", f"{summary.found} images at two sources")
    _line("accepted", f"{summary.accepted}, original bytes with a licence receipt each")
    early = summary.found - summary.accepted
    late = sum(summary.rejected.values()) - early
    _line("rejected", f"{early} by the crawl, {late} after it: {rejected}")
    _line(
        "planted cases",
        f"{summary.planted_caught} of {summary.planted} rejected for their own reason",
    )
    _line("labelled", f"{summary.labelled}; {summary.quarantined} in quarantine")
    _line("reviewed", f"{summary.reviewed} by people: {summary.review_state}")
    _line(
        "released",
        f"{summary.release}: {summary.released} images ({splits}) in {summary.groups} groups",
    )
    _line(
        "near-duplicates",
        f"{summary.near_duplicates}, {summary.split_apart} away from their original's split",
    )
    for kernel, verdicts in summary.parity.items():
        said = ", ".join(
            f"{count} {verdict.replace('_', ' ')}" for verdict, count in verdicts.items()
        )
        _line(f"parity {kernel}", f"{said}, against the reference kernels")
    _line("digest", f"{summary.digest[:16]}…, over content alone")
    _line("report", summary.report)
    for sentence in (*summary.surprises, *summary.notes):
        _line("note", sentence)


def _line(name: str, value: str) -> None:
    echo(f"{name:<17}{value}")
