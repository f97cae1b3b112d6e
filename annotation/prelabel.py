"""Machine labels: from an image's bytes to an Annotation and its verdicts, or a reason why not."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

from pydantic import Field

from annotation.batches import ADULT, INTIMATE
from annotation.checks import CheckParams, verdicts
from annotation.exchange import Contents
from annotation.schema import LabelSchema, load_label_schema
from faces.age import AgeParams
from faces.detection import Image
from faces.engine import EngineParams, in_batches
from faces.lighting import level_of
from faces.nudity import NudityParams
from faces.profiles import Measures, Profile, ProfileParams, load_profile
from mirrorset.errors import InputError, IntegrityError
from mirrorset.files import write_records, written_aside
from mirrorset.pixels import PixelParams, UnusableImageError, decode, inspect
from mirrorset.records import Annotation, Reason, Record, Rejected, Verdict

# Decoded pixels that one worker holds: about four photographs of a phone.
_BYTES_AT_ONCE = 150_000_000


class PrelabelParams(Record):
    """What machine labels are made with.

    profile: set of models (faces.profiles). schema_name: label schema. max_minor_probability: a
    picture passes the gate "adult" while no face has more than this probability of being under the
    age floor and its margin; the figure is never kept. minor, intimate: how the gates look.
    quarantine_days: how long a picture in doubt may wait before it is due for erasure.
    """

    profile: str = "research"
    schema_name: str = "selfie"
    max_minor_probability: float = Field(default=0.1, gt=0, lt=1)
    minor: AgeParams = AgeParams()
    intimate: NudityParams = NudityParams()
    quarantine_days: int = Field(default=30, ge=1)
    checks: CheckParams = CheckParams()


def prelabel_profile(params: PrelabelParams, cache: Path) -> Profile:
    """The profile that `params` name, with its gates; raises as `faces.profiles.load_profile`."""
    gates = ProfileParams(age=params.minor, nudity=params.intimate)
    return load_profile(params.profile, cache, gates)


class FolderSummary(Record):
    """What became of a folder: labelled images and their faces, and how many were rejected for
    each reason."""

    labelled: int
    faces: int
    rejected: dict[str, int]


def prelabel(
    image_id: str, content: bytes, profile: Profile, params: PrelabelParams, at: datetime
) -> list[Record]:
    """The model's Annotation of one image and its verdicts, "adult" first; or why not: one
    Rejected, and of an intimate picture the verdict that says so.

    A picture whose verdict "adult" fails is quarantined by whoever reads it: its labels are kept,
    so that a person can release it, but it is not pushed and not released. Of an intimate picture
    nothing is kept but the reason: neither faces nor whether they may be minors'.
    """
    return prelabel_batch([(image_id, content)], profile, params, at)[0]


def prelabel_batch(
    pictures: Sequence[tuple[str, bytes]],
    profile: Profile,
    params: PrelabelParams,
    at: datetime,
) -> list[list[Record]]:
    """The records of `prelabel` for each of `pictures`, (image_id, content)."""
    schema = load_label_schema(params.schema_name)
    records: list[list[Record]] = []
    for portion in _portions(_decoded(*picture) for picture in pictures):
        measured = iter(_measured([one for one in portion if isinstance(one, _Decoded)], profile))
        for one in portion:
            outcome = next(measured) if isinstance(one, _Decoded) else one
            if isinstance(outcome, Rejected):
                records.append(_refused(outcome))
            else:
                records.append(_labels(*outcome, profile, schema, params, at))
    return records


def prelabel_shard(
    image_ids: Sequence[str],
    blobs: Contents,
    profile: Profile,
    params: PrelabelParams,
    at: datetime,
    engine: EngineParams | None = None,
) -> list[Record]:
    """The records of `prelabel` for every image, in order: one shard for the spool.

    An image whose bytes are lost or changed is rejected, to be tried again by the next run. Raises
    UnavailableError where there are no `blobs` at all.

    engine: changes no record. Where several processes label shards, one worker each.
    """

    def label(batch: Sequence[str]) -> list[list[Record]]:
        kept = [_kept(image_id, blobs) for image_id in batch]
        records = iter(
            prelabel_batch(
                [one for one in kept if not isinstance(one, Rejected)], profile, params, at
            )
        )
        return [[one] if isinstance(one, Rejected) else next(records) for one in kept]

    return [record for records in in_batches(label, image_ids, engine) for record in records]


def label_folder(
    images: Path,
    out: Path,
    profile: Profile,
    params: PrelabelParams,
    on_image: Callable[[str], None],
    *,
    at: datetime,
    engine: EngineParams | None = None,
) -> FolderSummary:
    """Label every file under `images`, in the order of names: one Annotation a line in `out`.

    What was rejected goes to `out` with the suffix .rejected.jsonl, item_id being the file's name
    within the folder. Intimate pictures are only counted. One that may show a minor has no labels:
    nobody could release it from quarantine here. Of labelled files with equal bytes the first
    counts. Both files are whole or absent. `on_image` is told the name after each file. Raises
    InputError where there are no files or `out` is a folder.
    """
    files = sorted(_files(images), key=lambda path: path.relative_to(images).as_posix())
    if not files:
        raise InputError(f"{images} holds no files: name a folder of JPEG, PNG or WebP pictures.")
    if out.is_dir():
        raise InputError(f"{out} is a folder: name the file that the labels go to.")

    def label(batch: Sequence[Path]) -> list[tuple[str, list[Record]]]:
        read = [_read(path) for path in batch]
        pictures = [one for one in read if not isinstance(one, Rejected)]
        records = iter(prelabel_batch(pictures, profile, params, at))
        return [
            ("", [one]) if isinstance(one, Rejected) else (one[0], next(records)) for one in read
        ]

    first_of: dict[str, str] = {}
    rejected: list[Rejected] = []
    labelled = faces = 0
    with written_aside(out) as aside, aside.open("w", encoding="utf-8") as lines:
        for path, (image_id, records) in zip(files, in_batches(label, files, engine), strict=True):
            name = path.relative_to(images).as_posix()
            if image_id in first_of:
                same = f"The same bytes as {first_of[image_id]}."
                rejected.append(_rejected(name, Reason.DUPLICATE_PIXELS, same))
            elif any(_is_doubt(record) for record in records):
                rejected.append(_rejected(name, Reason.MINOR_DOUBT, "It may show a minor."))
            else:
                for record in records:
                    if isinstance(record, Annotation):
                        first_of[image_id] = name
                        lines.write(record.model_dump_json() + "\n")
                        labelled, faces = labelled + 1, faces + len(record.faces)
                    elif isinstance(record, Rejected):
                        rejected.append(record.model_copy(update={"item_id": name}))
            on_image(name)
        # Of intimate pictures only the number is told.
        named = [one for one in rejected if one.reason is not Reason.INTIMATE]
        write_records(out.with_suffix(".rejected.jsonl"), named)
    return FolderSummary(
        labelled=labelled,
        faces=faces,
        rejected=dict(sorted(Counter(str(one.reason) for one in rejected).items())),
    )


class _Decoded(NamedTuple):
    """A picture that could be decoded; rgb: (H, W, 3) uint8, upright."""

    image_id: str
    rgb: Image


class _Measured(NamedTuple):
    """A picture in which faces were found."""

    image_id: str
    width_px: int
    height_px: int
    measures: Measures


def _decoded(image_id: str, content: bytes) -> _Decoded | Rejected:
    try:
        return _Decoded(image_id, decode(content))
    except InputError as error:
        return _undecodable(image_id, content, str(error))
    except Exception as error:  # a decoder meets what strangers made: it may raise anything
        detail = f"The picture cannot be decoded: {_in_one_line(error)}."
        return _rejected(image_id, Reason.NOT_AN_IMAGE, detail)


def _portions(pictures: Iterable[_Decoded | Rejected]) -> Iterator[list[_Decoded | Rejected]]:
    """The pictures in turn, no more pixels at once than bound the memory; one at the least."""
    portion: list[_Decoded | Rejected] = []
    size = 0
    for picture in pictures:
        portion.append(picture)
        size += picture.rgb.size if isinstance(picture, _Decoded) else 0
        if size > _BYTES_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _measured(pictures: Sequence[_Decoded], profile: Profile) -> list[_Measured | Rejected]:
    """Where the batch fails, each picture alone: one odd picture costs that picture."""
    if not pictures:
        return []
    try:
        measures = profile.measure_batch([rgb for _, rgb in pictures])
    except Exception as error:  # native libraries on odd pixels may raise anything as well
        if len(pictures) > 1:
            return [outcome for one in pictures for outcome in _measured([one], profile)]
        ((image_id, rgb),) = pictures
        detail = (
            f"{profile.name} failed on this picture of {rgb.shape[1]}×{rgb.shape[0]} px: "
            f"{_in_one_line(error)}."
        )
        return [_rejected(image_id, Reason.MODEL_FAILED, detail)]
    return [
        _admitted(picture, of_image, profile)
        for picture, of_image in zip(pictures, measures, strict=True)
    ]


def _refused(rejected: Rejected) -> list[Record]:
    """With the verdict that keeps an intimate picture out, also where it was labelled before."""
    if rejected.reason is not Reason.INTIMATE:
        return [rejected]
    return [rejected, Verdict(image_id=rejected.item_id, check=INTIMATE, passed=False)]


def _admitted(picture: _Decoded, measures: Measures, profile: Profile) -> _Measured | Rejected:
    # Nudity first: an intimate picture must leave no label, whoever is in it.
    if measures.is_intimate:
        return _rejected(picture.image_id, Reason.INTIMATE, "")
    if not measures.faces:
        detail = _no_face(profile.name, measures.unconfirmed)
        return _rejected(picture.image_id, Reason.NO_FACE, detail)
    height_px, width_px = picture.rgb.shape[:2]
    return _Measured(picture.image_id, width_px, height_px, measures)


def _no_face(profile: str, unconfirmed: int) -> str:
    if unconfirmed == 0:
        return f"{profile} found no face."
    faces = "a face" if unconfirmed == 1 else f"{unconfirmed} faces"
    return f"{profile} found {faces} that a second look did not confirm."


def _labels(
    image_id: str,
    width_px: int,
    height_px: int,
    measures: Measures,
    profile: Profile,
    schema: LabelSchema,
    params: PrelabelParams,
    at: datetime,
) -> list[Record]:
    annotation = Annotation(
        image_id=image_id,
        faces=measures.faces,
        tags=_tags(measures),
        masks=measures.masks,
        origin="model",
        by=profile.name,
        models=profile.models,
        schema_version=schema.version,
        made_at=at,
    )
    is_adult = max(measures.minor_probability) <= params.max_minor_probability
    return [
        annotation,
        Verdict(image_id=image_id, check=ADULT, passed=is_adult),
        *verdicts(annotation, width_px, height_px, schema, params.checks),
    ]


def _kept(image_id: str, blobs: Contents) -> tuple[str, bytes] | Rejected:
    """An image's id and bytes."""
    try:
        return image_id, blobs.get(image_id)
    except (InputError, IntegrityError) as error:
        rejected = _rejected(image_id, Reason.LOST, str(error))
        return rejected.model_copy(update={"is_retryable": True})


def _read(path: Path) -> tuple[str, bytes] | Rejected:
    """The sha256 of a file and its bytes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"The file cannot be read: {error.strerror}."
        return _rejected(path.name, Reason.NOT_AN_IMAGE, why)
    return hashlib.sha256(content).hexdigest(), content


def _files(folder: Path) -> list[Path]:
    """All files below, links that lead nowhere among them; hidden ones and what lies in hidden
    folders are left out."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of pictures.")
    return [
        path
        for path in folder.rglob("*")
        if (path.is_file() or (path.is_symlink() and not path.exists()))
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _tags(measures: Measures) -> dict[str, str]:
    """The image's tags: the light on the largest face."""
    lighting = measures.faces[0].lighting
    return {"lighting": lighting.side, "light_level": level_of(lighting)} if lighting else {}


def _in_one_line(error: Exception) -> str:
    """What an error says, without the place in C++ where OpenCV says it, in at most 160 letters."""
    said = shorten(str(error).rpartition("error: ")[2], 160, placeholder="…").rstrip(".")
    return said or type(error).__name__


def _undecodable(image_id: str, content: bytes, detail: str) -> Rejected:
    try:
        inspect(content, PixelParams(min_side_px=1))
    except UnusableImageError as unusable:
        return _rejected(image_id, unusable.reason, unusable.detail)
    return _rejected(image_id, Reason.NOT_AN_IMAGE, detail)


def _is_doubt(record: Record) -> bool:
    return isinstance(record, Verdict) and record.check == ADULT and not record.passed


def _rejected(item_id: str, reason: Reason, detail: str) -> Rejected:
    return Rejected(item_id=item_id, step="prelabel", reason=reason, detail=detail)
