"""Quarantine: which images are in doubt and why, and what named people decide on them."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from annotation.batches import ADULT, INTIMATE
from annotation.prelabel import PrelabelParams
from flows.prelabel import doubted
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.receipts import find_image
from mirrorset.decisions import NOT_STOPPED, dropped, released
from mirrorset.errors import InputError, SettingsError
from mirrorset.records import Decision, Quarantine, Record, Sighting, utc_now
from mirrorset.spool import ingest
from mirrorset.workspace import Workspace, open_workspace

_LONGEST_NAME = 200
_LONGEST_REASON = 2000

_BY_MODEL = "somebody in it may be a minor"
_BY_PERSON = "an annotator has stopped it"


class Seen(Record):
    """Where an image was seen, for a person who looks for evidence at its source.

    where: its page's address, or the item's name at a source without pages, as a folder is.
    """

    source: str
    where: str
    author: str
    licence: str


class Held(Record):
    """One doubt about one image.

    gate: "adult", or "licence" where its receipt holds no longer. why: in words; never a figure.
    expires_at: from then on the image is due for erasure, and no person releases it.
    """

    image_id: str
    gate: Literal["adult", "licence"]
    why: str
    is_by_person: bool = False
    since: datetime
    expires_at: datetime
    is_due_for_erasure: bool
    seen: tuple[Seen, ...]


class Listed(Record):
    """held: doubts by image. due_for_erasure: images whose quarantine expired or that were dropped,
    ids alone.
    """

    held: tuple[Held, ...]
    due_for_erasure: tuple[str, ...]


def listed(home: Path) -> Listed:
    """All images in quarantine, the oldest doubt first.

    Intimate pictures are in no list, whoever may be in them.
    """
    workspace = open_workspace(home)
    with workspace.catalogue() as catalogue:
        found = doubts(workspace, catalogue, is_traced=True)
        held = sorted(found, key=lambda one: (one.since, one.image_id))
        due = due_for_erasure(workspace, catalogue)
    return Listed(held=tuple(held), due_for_erasure=tuple(sorted(due)))


def due_for_erasure(workspace: Workspace, catalogue: Catalogue) -> set[str]:
    """Ids of the images whose quarantine has expired or that were dropped."""
    expired = {one.image_id for one in doubts(workspace, catalogue) if one.is_due_for_erasure}
    return expired | dropped(catalogue.read(Decision))


def release(home: Path, image: str, by: str, reason: str) -> Decision:
    """Let an image pass the gate "adult", on a person's word. image: its id or first digits.

    Raises InputError where it is not in quarantine, or not for a doubt that a person may answer;
    SettingsError where name or reason are missing.
    """
    return _decide(home, image, "release", by, reason)[0]


def drop(home: Path, image: str, by: str, reason: str) -> list[Decision]:
    """Keep an image out for good: one decision for each doubt. Raises as `release` does.

    An image that a person has released may be dropped, too.
    """
    return _decide(home, image, "drop", by, reason)


def history(home: Path, image: str | None = None) -> list[Decision]:
    """All decisions, or those on one image, in the order in which they were taken."""
    workspace = open_workspace(home)
    with workspace.catalogue() as catalogue:
        image_id = None if image is None else find_image(catalogue, image)
        found = [one for one in catalogue.read(Decision) if image_id in (None, one.image_id)]
    return sorted(found, key=lambda one: (one.decided_at, one.image_id, one.gate))


def _decide(
    home: Path, image: str, action: Literal["release", "drop"], by: str, reason: str
) -> list[Decision]:
    workspace = open_workspace(home)
    by, reason = _stated("--by", by, _LONGEST_NAME), _stated("--reason", reason, _LONGEST_REASON)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        image_id = find_image(catalogue, image)
        held = [one for one in doubts(workspace, catalogue) if one.image_id == image_id]
        before = [one for one in catalogue.read(Decision) if one.image_id == image_id]
        gates = _answered(image_id, held, before, action)
        at = utc_now()
        decisions = [
            Decision(
                image_id=image_id, gate=gate, action=action, by=by, reason=reason, decided_at=at
            )
            for gate in gates
        ]
        catalogue.upsert(decisions)
    return decisions


def _answered(
    image_id: str, held: list[Held], before: list[Decision], action: str
) -> list[Literal["adult", "licence"]]:
    """The gates that a decision answers. Raises InputError where there is nothing to decide."""
    name = f"Image {image_id[:12]}"
    if drops := [one for one in before if one.action == "drop"]:
        raise InputError(f"{name} was dropped on {drops[0].decided_at:%Y-%m-%d}: that is final.")
    if action == "drop":
        gates = {one.gate for one in held} | {"adult" for _ in released(before)}
        if not gates:
            raise InputError(f"{name} is not in quarantine: there is nothing to drop.")
        return [gate for gate in ("adult", "licence") if gate in gates]
    adult = next((one for one in held if one.gate == "adult"), None)
    if adult is None and held:
        raise InputError(
            f"{name} waits for its licence ({held[0].why.rstrip('.')}): no person releases that; "
            "`mirrorset verify-licences` does once the receipt holds again, or drop it."
        )
    if adult is None:
        raise InputError(f"{name} is not in quarantine: there is nothing to release.")
    if adult.is_by_person:
        raise InputError(f"{name}: {adult.why}: that is not overruled, only dropped.")
    if adult.is_due_for_erasure:
        raise InputError(
            f"{name} has been due for erasure since {adult.expires_at:%Y-%m-%d}: it is too late to "
            "release it."
        )
    return ["adult"]


def doubts(workspace: Workspace, catalogue: Catalogue, is_traced: bool = False) -> Iterator[Held]:
    """Every doubt that nobody and nothing has settled. is_traced: with where its image was seen."""
    now = utc_now()
    in_doubt = doubted(catalogue)
    stopped = catalogue.failed(NOT_STOPPED)
    gone = dropped(catalogue.read(Decision)) | catalogue.failed(INTIMATE)
    licence_doubts = [
        one for one in catalogue.read(Quarantine) if one.is_active and one.image_id not in gone
    ]
    traced = in_doubt | {one.image_id for one in licence_doubts} if is_traced else set()
    sightings = _sightings(catalogue, traced) if traced else {}
    # The verdict that stands is of when the image was labelled last.
    labelled_at = catalogue.failing_since(ADULT) | catalogue.failing_since(NOT_STOPPED)
    stay = timedelta(days=workspace.params("prelabel", PrelabelParams).quarantine_days)
    for image_id in sorted(in_doubt & labelled_at.keys()):
        is_by_person = image_id in stopped
        since = labelled_at[image_id]
        yield Held(
            image_id=image_id,
            gate="adult",
            why=_BY_PERSON if is_by_person else _BY_MODEL,
            is_by_person=is_by_person,
            since=since,
            expires_at=since + stay,
            is_due_for_erasure=since + stay <= now,
            seen=tuple(seen for _, seen in sightings.get(image_id, ())),
        )
    for one in licence_doubts:
        item = one.source, one.source_item_id
        yield Held(
            image_id=one.image_id,
            gate="licence",
            why=f"{one.reason}: {one.detail}" if one.detail else str(one.reason),
            since=one.since,
            expires_at=one.expires_at,
            is_due_for_erasure=one.expires_at <= now,
            seen=tuple(seen for where, seen in sightings.get(one.image_id, ()) if where == item),
        )


def _sightings(
    catalogue: Catalogue, image_ids: set[str]
) -> defaultdict[str, list[tuple[tuple[str, str], Seen]]]:
    """Where each of the images was seen, with source and item id."""
    found: defaultdict[str, list[tuple[tuple[str, str], Seen]]] = defaultdict(list)
    for one in catalogue.read(Sighting):
        if one.image_id in image_ids:
            licence = f"{one.licence.code} {one.licence.version}".rstrip()
            where = one.page_url or one.source_item_id
            seen = Seen(source=one.source, where=where, author=one.author, licence=licence)
            found[one.image_id].append(((one.source, one.source_item_id), seen))
    return found


def _stated(option: str, text: str, longest: int) -> str:
    """The text in one line. Raises SettingsError where it is empty or far too long."""
    stated = " ".join(text.split())
    if not stated:
        raise SettingsError(f"{option} is empty: a decision needs a name and a reason.")
    if len(stated) > longest:
        raise SettingsError(f"{option} has {len(stated)} letters: at most {longest} are kept.")
    return stated
