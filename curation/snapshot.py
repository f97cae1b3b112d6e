"""Reading a snapshot: folders of records, joined image by image without loading them whole.

An image has one part for good, the same one in each folder; a part is sorted by image_id.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from mirrorset.errors import InputError
from mirrorset.files import part_file, parts_of, read_records
from mirrorset.licences import refusal
from mirrorset.records import (
    Annotation,
    Decision,
    ImageRecord,
    IntendedUse,
    LedgerEntry,
    Quarantine,
    Rejected,
    Sighting,
    Verdict,
)

R = TypeVar("R", ImageRecord, Sighting, Annotation, Verdict, Quarantine, Decision)

_FOLDERS = {
    ImageRecord: "images",
    Sighting: "sightings",
    Annotation: "annotations",
    Verdict: "verdicts",
    Quarantine: "quarantine",
    Decision: "decisions",
}
_ORIGINS_BEST_FIRST = ("gold", "human", "model")


class Candidate(NamedTuple):
    """All that the snapshot knows of one image; of quarantines, those that have not ended."""

    image: ImageRecord
    sightings: Sequence[Sighting]
    annotations: Sequence[Annotation]
    verdicts: Sequence[Verdict]
    quarantines: Sequence[Quarantine] = ()
    decisions: Sequence[Decision] = ()


class Reader(Protocol):
    """Where records are kept, such as a snapshot's folder or `Catalogue.read`."""

    def __call__(self, kind: type[R], /) -> Iterator[R]:
        """All records of a kind, sorted by image_id."""


def read_candidates(snapshot: Path) -> Iterator[Candidate]:
    """Every image of the snapshot, part by part, with what belongs to it.

    Raises as `numbered_candidates` does.
    """
    return (candidate for _, candidate in numbered_candidates(snapshot))


def numbered_candidates(snapshot: Path) -> Iterator[tuple[int, Candidate]]:
    """As `read_candidates`, each with the number of its part; in a part in order of image_id.

    Raises InputError where a file is absent, holds another record, or is not sorted by image_id.
    """
    folder = snapshot / _FOLDERS[ImageRecord]
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: write the snapshot with `mirrorset release`.")
    for part in parts_of(folder):
        for candidate in join(partial(_read, snapshot, part.name)):
            yield int(part.stem), candidate


def join(read: Reader) -> Iterator[Candidate]:
    """Every image that `read` knows in order of image_id, with what belongs to it."""
    sightings = _Follower(read(Sighting))
    annotations = _Follower(read(Annotation))
    verdicts = _Follower(read(Verdict))
    quarantines = _Follower(read(Quarantine))
    decisions = _Follower(read(Decision))
    for image in read(ImageRecord):
        yield Candidate(
            image,
            sightings.of(image.image_id),
            annotations.of(image.image_id),
            verdicts.of(image.image_id),
            [one for one in quarantines.of(image.image_id) if one.is_active],
            decisions.of(image.image_id),
        )


def read_ledger(snapshot: Path, part: int) -> dict[str, LedgerEntry]:
    """The ledger's entries of one part by image_id. Raises InputError where there is no ledger."""
    folder = snapshot / "ledger"
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: write the snapshot with `mirrorset release`.")
    path = folder / part_file(part)
    entries = read_records(path, LedgerEntry) if path.exists() else ()
    return {entry.image_id: entry for entry in entries}


def read_rejected(snapshot: Path) -> Iterator[Rejected]:
    """What the steps before curation rejected, as the snapshot says."""
    return before_curation(read_records(snapshot / "rejected.jsonl", Rejected))


def before_curation(rejected: Iterable[Rejected]) -> Iterator[Rejected]:
    """Those of earlier steps: this room judges its own part anew each time."""
    return (one for one in rejected if one.step not in ("select", "group", "split"))


def best_annotation(annotations: Sequence[Annotation]) -> Annotation | None:
    """The most trustworthy annotation: gold before human before model, the newest of one origin.

    Ties go by `by`; None where there is none. Replicas serve agreement and are passed over.
    """
    return min(
        (one for one in annotations if one.origin in _ORIGINS_BEST_FIRST),
        key=lambda annotation: (
            _ORIGINS_BEST_FIRST.index(annotation.origin),
            -annotation.made_at.timestamp(),
            annotation.by,
        ),
        default=None,
    )


def unquarantined(candidate: Candidate) -> list[Sighting]:
    """The sightings whose receipts hold, as far as is known."""
    held = {(one.source, one.source_item_id) for one in candidate.quarantines}
    return [one for one in candidate.sightings if (one.source, one.source_item_id) not in held]


def binding_sighting(sightings: Sequence[Sighting], use: IntendedUse) -> Sighting | None:
    """The sighting with the most restrictive licence for this use; ties go by source and item.

    Whoever posts a picture again cannot give away more than its author did.
    """

    def freedom(sighting: Sighting) -> tuple[bool, bool, int, str, str, str]:
        terms = sighting.licence.code.split("-")
        is_allowed = refusal(sighting.licence, use) is None
        return (
            is_allowed,
            "NC" not in terms,
            -len(terms),
            sighting.licence.code,
            sighting.source,
            sighting.source_item_id,
        )

    return min(sightings, key=freedom, default=None)


class _Follower(Generic[R]):
    """Hands out the records of one image after another from records sorted by image_id."""

    def __init__(self, records: Iterator[R]) -> None:
        self._records: Iterator[R] = records
        self._head: R | None = next(records, None)

    def of(self, image_id: str) -> list[R]:
        """The records of `image_id`; the ids asked for must increase."""
        found: list[R] = []
        while self._head is not None and self._head.image_id <= image_id:
            if self._head.image_id == image_id:
                found.append(self._head)
            self._head = next(self._records, None)
        return found


def _read(snapshot: Path, part: str, kind: type[R], /) -> Iterator[R]:
    """The records of a part, whose ids must not fall; no image may be there twice."""
    path, previous = snapshot / _FOLDERS[kind] / part, ""
    for record in read_records(path, kind):
        is_twice = kind is ImageRecord and record.image_id == previous
        if record.image_id < previous or is_twice:
            raise InputError(
                f"{path} is not sorted by image_id: write the snapshot again with "
                "`mirrorset release`."
            )
        previous = record.image_id
        yield record
