"""Reading a release: `mirrorset.load("selfie", "v1.2.0", split="train")`."""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mirrorset.errors import InputError, IntegrityError, SettingsError, first_fault
from mirrorset.fetched import Files, forget
from mirrorset.locate import locate
from mirrorset.paths_within import FilesWithin
from mirrorset.records import (
    Annotation,
    DatasetName,
    Face,
    IntendedUse,
    Licence,
    Mask,
    Record,
    Sha256,
    Split,
    VersionNumber,
)
from mirrorset.remotes import Remote
from mirrorset.samples import Arrays, S, Samples
from mirrorset.settings import read_settings
from mirrorset.shards import CHECKOUT, opened, read_content

_ROWS_AT_ONCE = 64


class Series(Record):
    """The frozen series of test images: how many it began with, and how many are left here."""

    name: str
    images: int
    left: int


class ReleaseCard(Record):
    """release.json: what a release is, and what its files must be.

    digest: sha256 over the content (`curation.split.content_digest`), equal for equal content
    whenever and wherever it was built. unreviewed: images whose labels no person has looked at.
    is_unreviewed: whether there are such in the test split, as `dataset.is_unreviewed` declared.
    test_series: None where no series has begun.
    files: sha256 of each file of the folder but release.json, by path relative to it.
    """

    name: DatasetName
    version: VersionNumber
    digest: Sha256
    intended_use: IntendedUse
    images: int
    groups: int
    splits: dict[Split, int]
    unreviewed: int
    is_unreviewed: bool = False
    test_series: Series | None = None
    files: FilesWithin


@dataclass(frozen=True)
class Item:
    """One image of a release with its labels; the bytes are read when they are asked for.

    image_id: sha256 of the original bytes; the released ones lack its location and device traces.
    width_px, height_px: of the upright image.
    """

    image_id: str
    group_id: str
    split: Split
    image_shard: int
    width_px: int
    height_px: int
    annotation: Annotation
    licence: Licence
    author: str
    source: str
    page_url: str
    files: Files

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces, with boxes and landmarks in px of the upright image."""
        return self.annotation.faces

    @property
    def is_reviewed(self) -> bool:
        """Whether a person has looked at the labels."""
        return self.annotation.origin != "model"

    def content(self) -> bytes:
        """The encoded picture (JPEG, PNG, WebP or AVIF).

        Raises InputError where the image's shard is absent, IntegrityError where it is damaged.
        """
        return read_content(self.files, self.image_shard, self.image_id)

    def rgb(self) -> NDArray[np.uint8]:
        """Upright pixels (height_px, width_px, 3) uint8, RGB."""
        # Decoding brings SciPy, which `import mirrorset` should not cost.
        from mirrorset.pixels import decode  # noqa: PLC0415

        return decode(self.content())


@dataclass(frozen=True)
class Release:
    """The items of a release, or of one split of it; iterating again starts anew.

    Items come shard by shard, so that reading their pixels in order reads each file once.
    """

    files: Files
    card: ReleaseCard
    split: Split | None = None

    @property
    def folder(self) -> Path:
        """Where its files are; those of a remote come there as they are asked for."""
        return self.files.folder

    def __len__(self) -> int:
        return self.card.splits[self.split] if self.split else self.card.images

    def __iter__(self) -> Iterator[Item]:
        for path in self.label_files():
            for batch in opened(path).iter_batches(batch_size=_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield _item(row, self.files)

    def verify(self) -> None:
        """Compare every file with the checksum that release.json holds, fetching what is absent.

        Raises InputError where one is absent, IntegrityError where one differs.
        """
        for name, sha256 in self.card.files.items():
            path = self.files.path(name)
            if not path.is_file():
                raise InputError(f"{path} does not exist: run `dvc pull` for the whole release.")
            with path.open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                    raise IntegrityError(f"{path} has changed: {CHECKOUT}.")

    def samples(self, landmarks: str, transform: Callable[[Arrays], S] | None = None) -> Samples[S]:
        """The same as numpy arrays, by index: what a PyTorch DataLoader takes.

        landmarks: the landmark schema whose points are given, as "ibug68". Raises SettingsError,
        when labels are first read, where the release has no such landmarks.
        """
        return Samples(self, landmarks, transform)

    def label_files(self) -> Iterator[Path]:
        """The files of its labels, in the order of the image shards."""
        names = [Path(name) for name in self.card.files if name.startswith("labels/")]
        wanted = [name for name in names if self.split in (None, name.stem.rsplit("-", 1)[0])]
        wanted.sort(key=lambda name: name.stem.rsplit("-", 1)[::-1])
        return (self.files.path(name.as_posix()) for name in wanted)


class UnreviewedWarning(UserWarning):
    """The test split holds labels that no person has looked at."""


class WithdrawnWarning(UserWarning):
    """The version that was asked for is withdrawn: its successor was opened in its place."""


def load(
    release: Path | str,
    version: str | None = None,
    *,
    split: Split | None = None,
    home: Path | str = ".",
    cache: Path | str | None = None,
) -> Release:
    """A release, or only its "train", "val" or "test" split.

    >>> for item in mirrorset.load("selfie", "v1.2.0", split="train"):  # doctest: +SKIP
    ...     print(item.image_id, item.rgb().shape, len(item.faces))

    release: the name of a dataset made in the workspace `home`; the address of a git repository
    that has the version's tag, read through DVC; a folder, or "s3://…" and what else fsspec knows,
    which holds the release, or without `version` is it. version: "1.2.0", "v1.2.0" or the tag,
    "selfie-1.2.0". cache: the folder that keeps what is fetched, file by file as it is asked for
    and with its checksum verified; by itself, MIRRORSET_CACHE or the user's cache.

    A version that was withdrawn, since an image of it was erased, leads to its successor, and says
    so (WithdrawnWarning): the other images have the same ids, groups and splits there. What the
    cache held of it goes.

    Warns (UnreviewedWarning) where the test split is among it and was released unreviewed. Raises
    InputError where there is no such release, or one that was withdrawn without a successor;
    SettingsError for an unknown split, a malformed version, or missing credentials;
    UnavailableError where a remote does not answer.
    """
    kept = Path(cache) if cache is not None else read_settings(Path(home)).cache
    place = locate(release, version, Path(home), kept)
    if place.withdrawn is not None:
        forget(kept, place.withdrawn.name, place.withdrawn.version)
        warnings.warn(
            f"{place.withdrawn.in_words}: {place.withdrawn.successor} is read in its place, with "
            "the same ids and splits of all other images.",
            WithdrawnWarning,
            stacklevel=2,
        )
    found = open_release(place.folder, split, place.remote)
    if found.card.is_unreviewed and split in (None, "test"):
        warnings.warn(
            f"{found.card.name} {found.card.version} was released unreviewed: its test split "
            "holds labels that no person has looked at, and measures agreement with a model.",
            UnreviewedWarning,
            stacklevel=2,
        )
    return found


def open_release(
    release: Path | str, split: Split | None = None, remote: Remote | None = None
) -> Release:
    """The release in a folder, for those who say themselves whether anybody has looked at it.

    remote: where files that the folder lacks are fetched from. Raises InputError where the folder
    holds no release, SettingsError for an unknown split.
    """
    folder = Path(release)
    if split is not None and split not in get_args(Split):
        raise SettingsError(f"There is no split {split!r}: use train, val, test or none of them.")
    try:
        card = ReleaseCard.model_validate_json((folder / "release.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{folder} is no release, it has no release.json: name a folder such as "
            "data/releases/NAME/VERSION, after `dvc pull`."
        ) from None
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(
            f"{folder / 'release.json'} cannot be read by this version of mirrorset: "
            f"{where or 'the file'}: {fault}."
        ) from None
    return Release(Files(folder, card.files, remote), card, split)


def _item(row: dict[str, Any], files: Files) -> Item:
    annotation = Annotation(
        image_id=row["image_id"],
        faces=tuple(_face(face) for face in row["faces"]),
        tags=_dict(row["tags"]),
        masks=tuple(Mask.model_validate(mask) for mask in row["masks"]),
        origin=row["origin"],
        by=row["by"],
        models=row["models"],
        schema_version=row["schema_version"],
        made_at=row["made_at"],
    )
    return Item(
        image_id=row["image_id"],
        group_id=row["group_id"],
        split=row["split"],
        image_shard=row["image_shard"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        annotation=annotation,
        licence=Licence(
            code=row["licence_code"], version=row["licence_version"], url=row["licence_url"]
        ),
        author=row["author"],
        source=row["source"],
        page_url=row["page_url"],
        files=files,
    )


def _face(row: dict[str, Any]) -> Face:
    landmarks = {
        points["schema"]: {key: points[key] for key in ("points", "visibility", "confidence")}
        for points in row["landmarks"]
    }
    return Face.model_validate(
        row
        | {
            "landmarks": landmarks,
            "blendshapes": _dict(row["blendshapes"]),
            "attributes": _dict(row["attributes"]),
        }
    )


def _dict(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["name"]: pair["value"] for pair in pairs}
