"""Erase: images leave every place, and new versions take the place of those that held them.

what is asked for → images → an order in the private folder: a kill is taken up from here
tombstones → successors and withdrawal → annotators → what was made of releases → originals
           → spool → catalogue → Prefect → certificate; the order goes once all is reached
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from annotation.erase import batches_with, erase_from_boxes
from flows import prefect_runs
from flows.annotate import take_away
from flows.asked import Asked, images_of
from flows.by_products import away, clear_half_written, erase_by_products
from flows.certificates import close, folder_of, read_certificate, read_order, write_order
from flows.engine import flow, task
from flows.exchanges import server_of
from flows.progress import bar
from flows.successors import clear, is_postponed, planned, restore, send, succeed
from flows.survey import Survey, needed, survey
from mirrorset import spool
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.erase import bury, held_by_annotators, pages_of
from mirrorset.catalogue.erase import erase as erase_from_catalogue
from mirrorset.erasure import Certificate, Gone, Order, Removed, Unreached, attempted, merged
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.files import clear_leftovers
from mirrorset.objects import Objects, opened_objects
from mirrorset.records import Batch, ImageRecord, Record, Sighting, utc_now
from mirrorset.tombstones import Of, Tombstones, make_key
from mirrorset.workspace import Workspace, open_workspace

_STEPS = 8
_NOTES = (
    "Copies that others have pulled, converted or made: tell those who have them.",
    "Git remotes: push the branch and the tags (`git push --tags`), and delete the withdrawn tags "
    "there (`git push --delete REMOTE NAME-VERSION`); no image's data was ever in git.",
    "Backups of the database, of the blob store and of CVAT, and what a server keeps by its own "
    "settings.",
)


class Listing(Record):
    """What an erasure would remove, and what it could not reach. images: ids."""

    images: tuple[str, ...]
    would_remove: tuple[Removed, ...]
    would_withdraw: tuple[str, ...]
    unreached: tuple[Unreached, ...]


def dry_run(home: Path, asked: Asked) -> Listing:
    """What `erase` would remove; nothing is changed anywhere.

    Raises InputError where nothing that was asked for is known, SettingsError where nothing was.
    """
    asked.require_some()
    workspace = open_workspace(home)
    with workspace.catalogue() as catalogue, tempfile.TemporaryDirectory() as scratch:
        image_ids = images_of(workspace, catalogue, asked)
        _require_some(image_ids, asked)
        gone = _gone(catalogue, image_ids)
        with opened_objects(workspace.home, Path(scratch), is_dry_run=True) as objects:
            found, surveyed, unreached = _look(workspace, catalogue, objects, gone)
            plan = planned(workspace, surveyed.versions)
        return Listing(
            images=tuple(sorted(image_ids)),
            would_remove=merged(found),
            would_withdraw=tuple(f"{one.tag} → {one.successor or 'no successor'}" for one in plan),
            unreached=tuple(unreached),
        )


def order(home: Path, asked: Asked) -> str | None:
    """Keep an order to erase what was asked for; returns its id, by which `erase` does it.

    The same request goes on with what a kill has left of it; done, and with nothing new to erase,
    it has the id of its last certificate. None where it only asked for what is due and nothing is.
    Raises as `dry_run` does, but for a request that is done already.
    """
    asked.require_some()
    workspace = open_workspace(home)
    with workspace.locked(), workspace.catalogue() as catalogue:
        spool.ingest(workspace.spool, catalogue)
        erasure_id, last = _ids(workspace, asked)
        begun = read_order(workspace.private, erasure_id)
        try:
            image_ids = images_of(workspace, catalogue, asked)
        except InputError:
            # First digits of an image that is erased already, or half.
            if begun is None and last is None:
                raise
            image_ids = set()
        if begun is None:
            known = {one.image_id for one in catalogue.read(ImageRecord)}
            if asked.only_due and not image_ids:
                return None
            if last is not None and image_ids.isdisjoint(known):
                return last
            _require_some(image_ids, asked)
        before = begun or Order(
            erasure_id=erasure_id, asked=asked.in_words, began_at=utc_now(), image_ids=()
        )
        gone = _gone(catalogue, image_ids)
        write_order(
            workspace.private,
            before.model_copy(
                update={
                    "image_ids": tuple(sorted({*before.image_ids, *image_ids})),
                    "items": tuple(sorted({*before.items, *gone.items})),
                    "addresses": tuple(sorted({*before.addresses, *gone.addresses})),
                    "authors": tuple(sorted({*before.authors, *gone.authors})),
                }
            ),
        )
    return erasure_id


def _ids(workspace: Workspace, asked: Asked) -> tuple[str, str | None]:
    """The id of the request's erasure that is under way or comes next, and of its last one.

    Each erasure that was carried out keeps its certificate.
    """
    key, number, last = Tombstones(make_key(workspace.private)), 0, None
    while True:
        number += 1
        erasure_id = key.hash_of("erasure", f"{asked.as_text()} {number}")[:16]
        is_under_way = read_order(workspace.private, erasure_id) is not None
        if is_under_way or read_certificate(workspace.private, erasure_id) is None:
            return erasure_id, last
        last = erasure_id


@flow(name="erase", flow_run_name="erase {erasure_id}")
def erase(home: Path, erasure_id: str) -> Certificate:
    """Carry out an order of `order`, or what is left of it, and certify it.

    Its parameters, which Prefect keeps, name no image. Raises InputError where there is no such
    order. What cannot be reached stays in the certificate, and the order: the same request goes on
    with it.
    """
    workspace = open_workspace(home)
    with workspace.locked(), workspace.catalogue() as catalogue:
        begun = read_order(workspace.private, erasure_id)
        if begun is None:
            done = read_certificate(workspace.private, erasure_id)
            if done is None:
                raise InputError(f"There is no erasure {erasure_id} to carry out.")
            return done
        spool.ingest(workspace.spool, catalogue)
        return carry_out(workspace, catalogue, begun)


@task("carry-out", "carry out {begun.erasure_id}")
def carry_out(workspace: Workspace, catalogue: Catalogue, begun: Order) -> Certificate:
    """Do all that the order asks for, step by step; any step may have been done before."""
    gone, progress = begun.gone, bar("erase", total=_STEPS)
    key = make_key(workspace.private)
    bury(catalogue, key, _named(catalogue, begun))
    scratch = folder_of(workspace.private) / f"{begun.erasure_id}.scratch"
    try:
        with opened_objects(workspace.home, scratch / "fetched") as objects:
            found, surveyed, unreached = _look(workspace, catalogue, objects, gone)
            now = _planned(workspace, begun, surveyed, found)
            progress.to(1)
            made = succeed(workspace, objects, gone, now.succession, scratch)
            now = now.model_copy(update={"succession": made})
            write_order(workspace.private, now)
            progress.to(2)
            send(workspace, objects, made, set(now.objects))
            clear_leftovers(workspace.home / "data")
            restore(workspace, objects, gone, tuple(x for x in made if not is_postponed(x)))
            objects.erase(set(now.objects) - needed(workspace, objects, gone))
            progress.to(3)
            unreached = list(objects.unreached)
            unreached += [
                Unreached(place="releases", name=one.tag, why=one.why)
                for one in made
                if is_postponed(one)
            ]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    unreached += away(workspace)
    unreached += _from_annotators(workspace, catalogue, gone)
    progress.to(4)
    unreached += erase_by_products(workspace, gone, [(one.name, one.version) for one in made])[1]
    unreached += clear_half_written(workspace)
    unreached += attempted("blob store", lambda: workspace.blobs.erase(gone.image_ids))
    progress.to(5)
    spool.erase(workspace.spool, gone)
    unreached += attempted("catalogue", lambda: erase_from_catalogue(catalogue, gone))
    progress.to(6)
    unreached += prefect_runs.erase(gone)[1]
    progress.to(7)
    hashes = Tombstones(key)
    certificate = Certificate(
        erasure_id=now.erasure_id,
        asked=now.asked,
        began_at=now.began_at,
        ended_at=utc_now(),
        images=tuple(sorted(hashes.hash_of("bytes", one) for one in now.image_ids)),
        removed=now.found,
        withdrawn=made,
        unreached=tuple(unreached),
        notes=_NOTES,
    )
    close(workspace.private, certificate)
    progress.to(_STEPS)
    return certificate


def _planned(
    workspace: Workspace, begun: Order, surveyed: Survey, found: Iterable[Removed]
) -> Order:
    """The order with all that is to be done, kept before any of it is."""
    known = {(one.name, one.version) for one in begun.succession}
    new = {version: left for version, left in surveyed.versions.items() if version not in known}
    now = begun.model_copy(
        update={
            "objects": tuple(sorted({*begun.objects, *surveyed.objects})),
            "succession": (*begun.succession, *planned(workspace, new)),
            "found": merged([*begun.found, *found]),
        }
    )
    write_order(workspace.private, now)
    return now


def _look(
    workspace: Workspace, catalogue: Catalogue, objects: Objects, gone: Gone
) -> tuple[list[Removed], Survey, list[Unreached]]:
    """Everything that is known of the images, in every place."""
    surveyed = survey(workspace, objects, gone, _contents(workspace, gone))
    batches = batches_with(catalogue.read(Batch), gone)
    archived, unreadable = erase_from_boxes(workspace.exchange, gone, is_dry_run=True)
    made, untouchable = erase_by_products(workspace, gone, list(surveyed.versions), is_dry_run=True)
    in_prefect, silent = prefect_runs.erase(gone, is_dry_run=True)
    found = [
        *surveyed.found,
        *objects.erase(surveyed.objects, is_dry_run=True),
        *clear(workspace, gone, is_dry_run=True),
        *(
            Removed(place="CVAT", name=server, count=count)
            for server, count in _by_server(workspace, batches, gone).items()
        ),
        *archived,
        *made,
        *in_prefect,
        *spool.erase(workspace.spool, gone, is_dry_run=True),
        *erase_from_catalogue(catalogue, gone, is_dry_run=True),
    ]
    unreached = [*objects.unreached, *unreadable, *untouchable, *silent, *away(workspace)]
    unreached += attempted(
        "blob store", lambda: found.extend(workspace.blobs.erase(gone.image_ids, is_dry_run=True))
    )
    return found, surveyed, unreached


def _contents(workspace: Workspace, gone: Gone) -> Iterator[bytes]:
    """The originals that are still there."""
    for image_id in gone.image_ids:
        with suppress(MirrorsetError):
            yield workspace.blobs.get(image_id)


def _by_server(workspace: Workspace, batches: Iterable[Batch], gone: Gone) -> dict[str, int]:
    counts: dict[str, int] = {}
    for batch in batches:
        server = batch.server or server_of(workspace)
        counts[server] = counts.get(server, 0) + len(gone.image_ids.intersection(batch.image_ids))
    return counts


def _from_annotators(workspace: Workspace, catalogue: Catalogue, gone: Gone) -> list[Unreached]:
    """Out of tasks and archives, server by server: one that is silent keeps no other back."""
    unreached = []
    servers = _by_server(workspace, batches_with(catalogue.read(Batch), gone), gone)
    for server in sorted(servers):
        step = partial(take_away, workspace, catalogue, gone.image_ids, server)
        unreached += attempted("CVAT", step, server)
    # What annotators gave back under another name belongs to no batch, and a catalogue that was
    # restored from a backup does not know every batch.
    unreached += erase_from_boxes(workspace.exchange, gone)[1]
    if not unreached and held_by_annotators(catalogue, gone.image_ids):
        unreached.append(
            Unreached(place="CVAT", name="batches", why="A batch still names one: run it again.")
        )
    return unreached


def _named(catalogue: Catalogue, begun: Order) -> list[tuple[Of, str]]:
    """What tombstones are put on."""
    pixels = [
        one.pixel_hash
        for one in catalogue.read(ImageRecord)
        if one.image_id in begun.gone.image_ids
    ]
    return [
        *(("bytes", one) for one in begun.image_ids),
        *(("pixels", one) for one in pixels),
        *(("item", one) for one in begun.items),
        *(("address", one) for one in begun.addresses),
    ]


def _gone(catalogue: Catalogue, image_ids: set[str]) -> Gone:
    seen = [one for one in catalogue.read(Sighting) if one.image_id in image_ids]
    authors = {one.author for one in seen} - {""}
    for one in catalogue.read(Sighting):
        if one.author in authors and one.image_id not in image_ids:
            authors.discard(one.author)
    return Gone(
        image_ids=frozenset(image_ids),
        items=frozenset(f"{one.source}:{one.source_item_id}" for one in seen),
        addresses=pages_of(catalogue, seen),
        authors=frozenset(authors),
    )


def _require_some(image_ids: set[str], asked: Asked) -> None:
    if not image_ids and not asked.only_due:
        raise InputError(
            f"No image of the catalogue is known by what was asked for ({asked.in_words}): nothing "
            "was erased."
        )
