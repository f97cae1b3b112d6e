"""The seam to annotators: batches go out, what people did comes back, whatever carries it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from pydantic import AwareDatetime

from annotation.checks import Finding
from annotation.schema import DO_NOT_USE, REVIEWED, LabelSchema
from annotation.shapes import ImageShapes
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    ImageRecord,
    Origin,
    Provenance,
    Reason,
    Record,
    Rejected,
    Sha256,
)

#: CVAT's words for shapes that a person drew, corrected, or agreed on with others. What was
# imported is "file", what a model made is "auto".
BY_PEOPLE = frozenset({"manual", "semi-auto", "consensus"})


class Contents(Protocol):
    """Where original bytes are; `mirrorset.blobs.BlobStore` is one."""

    def get(self, image_id: str) -> bytes:
        """The bytes of `image_id`."""


class ReturnedImage(Record):
    """One image that a person has annotated. by: a pseudonym. returned_at: when it was exported.

    origin: "gold" or "replica" where it comes from such a job. provenance: None from a folder.
    is_finished: False where the annotator is still at work: only a stop on it counts.
    """

    image_id: Sha256
    shapes: ImageShapes
    by: str
    returned_at: AwareDatetime
    origin: Origin = "human"
    provenance: Provenance | None = None
    is_finished: bool = True


class Returned(Record):
    """What came back of a batch: annotated images only, in frame order.

    rejected: archives that cannot be read, and names in them that belong to no image of the batch.
    jobs: every job of the batch as it is now, to be known to the next pull; a folder has none.
    """

    batch_id: str
    images: tuple[ReturnedImage, ...]
    rejected: tuple[Rejected, ...] = ()
    jobs: tuple[AnnotationJob, ...] = ()


class Exchange(Protocol):
    """Carries batches to annotators and back.

    An implementation promises:

    - A batch is one task, however often it is pushed and wherever a push was killed: its id is the
      key (a folder's name; a marker in the tracker field of a CVAT task).
    - What was pushed first stays: annotators may be at work on it. Pushing again changes nothing.
    - `push` returns only after reading back what it wrote and finding it equal.
    - `pull` changes nothing on the other side and may be called at any time. It returns images
      that people have annotated (`is_annotated`), each in its latest state, and None while there
      is none: what nobody has looked at stays the model's. A stop (`do_not_use`) stays, whoever
      exports later.
    - One archive that cannot be read is reported in `rejected` and keeps nothing else back.
    - Names of people stay behind it; records carry pseudonyms.

    It raises UnavailableError where the other side cannot be reached, InputError where its own
    records cannot be read, IntegrityError where it does not hold what was pushed.
    """

    def push(
        self,
        batch: Batch,
        images: Sequence[ImageRecord],
        contents: Contents,
        annotations: Sequence[Annotation],
        schema: LabelSchema,
    ) -> Batch:
        """Put the batch before annotators; returns it with server, project and task filled in.

        images and annotations: of every image of the batch, in any order. The batch that is
        returned has its images in the order of frames, without those that the other side cannot
        read. One without images makes no task, and is returned as one that has come back.
        """

    def pull(
        self,
        batch: Batch,
        known: Sequence[AnnotationJob] = (),
        hidden: Collection[str] = (),
    ) -> Returned | None:
        """What people have done of the batch so far.

        known: its jobs as the last pull left them; one that has not changed since may be left out.
        hidden: images that `hide` hid.
        """

    def jobs(self, batch: Batch, known: Sequence[AnnotationJob]) -> tuple[AnnotationJob, ...]:
        """The batch's jobs as they stand now, without their labels; it changes nothing anywhere.

        known: as the last pull left them.
        """

    def hide(self, batch: Batch, image_ids: Collection[str], before: Collection[str]) -> set[str]:
        """Show these images of the batch to nobody, and those of `before`, which were hidden by an
        earlier call, again where they are no longer among them. Returns those that are hidden by
        this or an earlier call.
        """

    def point_out(
        self, batch: Batch, found: Mapping[str, Sequence[Finding]], left: Sequence[Finding] = ()
    ) -> dict[str, int]:
        """Let the batch's annotators see what is suspicious, and no longer what no longer is.

        found: by the id of the job whose labels it is about. left: findings that are left as they
        were told, because their job is not known now. Returns how much was done of what; nothing
        where there is no way to tell them.
        """

    def erase(self, batch: Batch, image_ids: Collection[str], contents: Contents) -> Batch:
        """The batch without these images, which the other side no longer holds; all else stays.

        contents: of the images that stay. It may be called again after a kill. A batch that is
        left without images has no task.
        """

    def batches(self) -> tuple[Batch, ...]:
        """The batches that are out, also those whose push was killed before it was recorded."""

    def unclaimed(self, batches: Sequence[Batch]) -> tuple[Rejected, ...]:
        """What came back that belongs to none of `batches`."""


def is_annotated(shapes: ImageShapes) -> bool:
    """Whether the shapes say that a person worked on the image.

    They do when the tag `reviewed` or `do_not_use` is set or any shape or point was drawn or
    corrected by people. Shapes that merely came back are no evidence that anybody looked.
    """
    points = (element for skeleton in shapes.skeletons for element in skeleton.elements)
    return any(tag.label in (REVIEWED, DO_NOT_USE) for tag in shapes.tags) or any(
        shape.source in BY_PEOPLE for shape in (*shapes.every(), *points)
    )


def returned_rejected(item_id: str, detail: str) -> Rejected:
    """What came back and cannot be used."""
    return Rejected(item_id=item_id, step="annotate", reason=Reason.CHECK_FAILED, detail=detail)


def image_name(image: ImageRecord) -> str:
    """The name under which annotators see an image: nothing of where it came from."""
    return f"{image.image_id[:16]}.{_EXTENSIONS[image.media_type]}"


_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/avif": "avif",
}
