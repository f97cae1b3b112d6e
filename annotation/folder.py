"""The exchange by folder: archives go out to `outbox/`, CVAT's exports come back in `inbox/`.

<root>/outbox/<batch_id>/task.zip      images and labels, "CVAT for images 1.1"
                         labels.json   the label specification for CVAT's Raw tab
                         README.txt    what to do, for the annotator
                         batch.json    the Batch record
<root>/inbox/<batch_id>*.zip           exports of the task, in the same format
<root>/annotators.json                 user names and their pseudonyms; keep it private
"""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from annotation.archive import Archive, erase_from_archive, read_archive, write_archive
from annotation.checks import Finding, round_trip
from annotation.exchange import (
    Contents,
    Returned,
    ReturnedImage,
    is_annotated,
    returned_rejected,
)
from annotation.outgoing import Outgoing, outgoing
from annotation.pseudonyms import ANNOTATORS, Pseudonyms
from annotation.schema import DO_NOT_USE, LabelSchema, cvat_labels
from annotation.shapes import Tag
from mirrorset.errors import InputError, IntegrityError
from mirrorset.files import read_records, write_records, write_text
from mirrorset.records import Annotation, AnnotationJob, Batch, ImageRecord, Rejected

#: The server of batches that are carried here.
FOLDER = "folder"
TASK = "task.zip"
LABELS = "labels.json"
README = "README.txt"
BATCH = "batch.json"

_README = """\
Make a task in CVAT: paste labels.json into the Raw tab of its label editor, upload task.zip as \
its images (in lexicographical order, the default), and then upload task.zip once more as \
annotations in the format "CVAT 1.1".
Correct what is wrong on each image, set the tag "reviewed" on every image you have finished \
(also where nothing had to change), and set "do_not_use" with its reason where a picture shows a \
minor, is intimate, shows distress, or was plainly taken against the person's will.
Export the task as "CVAT for images 1.1" and put the zip into the folder inbox as {batch_id}.zip; \
a later export may be named {batch_id}-2.zip and so on.
"""


class FolderExchange:
    """An `annotation.exchange.Exchange` whose other side is a folder."""

    def __init__(self, root: Path) -> None:
        """Use `root`, which need not exist yet."""
        self._outbox = root / "outbox"
        self._inbox = root / "inbox"
        self._pseudonyms = Pseudonyms(root / ANNOTATORS)

    def push(
        self,
        batch: Batch,
        images: Sequence[ImageRecord],
        contents: Contents,
        annotations: Sequence[Annotation],
        schema: LabelSchema,
    ) -> Batch:
        """Write the batch's folder, whole or not at all; one that is there is left as it is."""
        self._inbox.mkdir(parents=True, exist_ok=True)
        if not batch.image_ids:
            return batch.model_copy(update={"server": FOLDER, "state": "returned"})
        folder = self._outbox / batch.batch_id
        if folder.is_dir():
            return read_batch(folder)
        frames = outgoing(batch, images, annotations, schema)
        aside = self._outbox / f".{batch.batch_id}.part"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        pushed = batch.model_copy(
            update={
                "server": FOLDER,
                "project": schema.version,
                "task": batch.batch_id,
                "state": "pushed",
            }
        )
        _write_task(aside / TASK, batch.batch_id, frames, contents, schema)
        write_text(aside / LABELS, json.dumps(cvat_labels(schema), indent=1) + "\n")
        write_text(aside / README, _README.format(batch_id=batch.batch_id))
        write_records(aside / BATCH, [pushed])
        aside.replace(folder)
        return pushed

    def pull(
        self,
        batch: Batch,
        known: Sequence[AnnotationJob] = (),
        hidden: Collection[str] = (),
    ) -> Returned | None:
        """What the batch's archives in the inbox say; of several the latest exported counts.

        An earlier one still counts where it says `do_not_use` and later ones do not. An archive
        knows nothing of jobs: all of them are read each time.
        """
        archives: list[Archive] = []
        unreadable: list[Rejected] = []
        for path in sorted(self._inbox.glob(f"{batch.batch_id}*.zip")):
            try:
                archives.append(read_archive(path))
            except InputError as error:
                unreadable.append(returned_rejected(path.name, str(error)))
        archives.sort(key=lambda archive: archive.dumped_at)
        by_stem = {image_id[:16]: image_id for image_id in batch.image_ids}
        images: dict[str, ReturnedImage] = {}
        strangers: set[str] = set()
        for archive in archives:
            for image in self._annotated(archive, by_stem):
                images[image.image_id] = _still_stopped(image, images.get(image.image_id))
            strangers.update(
                shapes.name for shapes in archive.images if _stem(shapes.name) not in by_stem
            )
        if not images and not unreadable:
            return None
        return Returned(
            batch_id=batch.batch_id,
            images=tuple(images[one] for one in batch.image_ids if one in images),
            rejected=(
                *unreadable,
                *(
                    returned_rejected(
                        name, f"{name} belongs to no image of batch {batch.batch_id}."
                    )
                    for name in sorted(strangers)
                ),
            ),
        )

    def jobs(self, batch: Batch, known: Sequence[AnnotationJob]) -> tuple[AnnotationJob, ...]:
        """None: an archive does not say."""
        return ()

    def hide(self, batch: Batch, image_ids: Collection[str], before: Collection[str]) -> set[str]:
        """None: whoever has fetched an archive has its pictures; `erase` ends further copies."""
        return set()

    def point_out(
        self, batch: Batch, found: Mapping[str, Sequence[Finding]], left: Sequence[Finding] = ()
    ) -> dict[str, int]:
        """Nothing: an archive has no place for it."""
        return {}

    def batches(self) -> tuple[Batch, ...]:
        """The batches in the outbox, by id."""
        records = sorted(self._outbox.glob(f"[!.]*/{BATCH}"))
        return tuple(read_batch(record.parent) for record in records)

    def erase(self, batch: Batch, image_ids: Collection[str], contents: Contents) -> Batch:
        """Take the images out of the batch's archives, in both boxes."""
        stems = {image_id[:16] for image_id in image_ids}
        without = batch.model_copy(
            update={"image_ids": tuple(one for one in batch.image_ids if one not in image_ids)}
        )
        # A push that was killed leaves a folder aside.
        shutil.rmtree(self._outbox / f".{batch.batch_id}.part", ignore_errors=True)
        folder = self._outbox / batch.batch_id
        for path in [folder / TASK, *sorted(self._inbox.glob(f"{batch.batch_id}*.zip"))]:
            if path.exists():
                erase_from_archive(path, stems)
        if not without.image_ids:
            shutil.rmtree(folder, ignore_errors=True)
            return without.model_copy(update={"task": ""})
        if folder.is_dir():
            write_records(folder / BATCH, [without])
        return without

    def unclaimed(self, batches: Sequence[Batch]) -> tuple[Rejected, ...]:
        """The zips in the inbox whose names begin with the id of none of `batches`."""
        ids = tuple(batch.batch_id for batch in batches)
        return tuple(
            returned_rejected(
                path.name,
                f"{path} belongs to no batch: rename it so that it begins with its batch's id, "
                "or remove it.",
            )
            for path in sorted(self._inbox.glob("*.zip"))
            if not path.name.startswith(ids)
        )

    def _annotated(self, archive: Archive, by_stem: dict[str, str]) -> list[ReturnedImage]:
        return [
            ReturnedImage(
                image_id=by_stem[_stem(shapes.name)],
                shapes=shapes,
                by=self._pseudonyms.of(archive.assignee),
                returned_at=archive.dumped_at,
            )
            for shapes in archive.images
            if _stem(shapes.name) in by_stem and is_annotated(shapes)
        ]


def _still_stopped(image: ReturnedImage, before: ReturnedImage | None) -> ReturnedImage:
    """The image with the stop that an earlier archive set, unless it has one of its own."""
    if before is None or _stops(image):
        return image
    shapes = image.shapes.model_copy(update={"tags": (*image.shapes.tags, *_stops(before))})
    return image.model_copy(update={"shapes": shapes})


def _stops(image: ReturnedImage) -> list[Tag]:
    return [tag for tag in image.shapes.tags if tag.label == DO_NOT_USE]


def _write_task(
    path: Path,
    name: str,
    frames: Sequence[Outgoing],
    contents: Contents,
    schema: LabelSchema,
) -> None:
    """Write task.zip and read it back. Its time is that of the newest label: no clock of ours."""
    write_archive(
        path,
        [frame.shapes for frame in frames],
        ((frame.shapes.name, contents.get(frame.image.image_id)) for frame in frames),
        schema,
        name=name,
        at=max(frame.label.made_at for frame in frames),
    )
    for frame, shapes in zip(frames, read_archive(path).images, strict=True):
        if not round_trip(frame.label, shapes, schema).passed:
            raise IntegrityError(
                f"{path} does not read back as it was written for image {frame.image.image_id}: "
                "check the disk and push again."
            )


def read_batch(folder: Path) -> Batch:
    """The batch in one folder of the outbox. Raises InputError where its record is damaged."""
    batches = list(read_records(folder / BATCH, Batch))
    if len(batches) != 1:
        raise InputError(f"{folder / BATCH} is damaged: delete the folder and push again.")
    return batches[0]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
