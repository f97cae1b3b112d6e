"""Reading a release: `mirrorset.load("data/releases/faces/1.0.0", "train")`."""

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mirrorset.errors import InputError, IntegrityError, SettingsError, first_fault
from mirrorset.records import (
    Annotation,
    Face,
    IntendedUse,
    Licence,
    Mask,
    Record,
    Sha256,
    Split,
)
from mirrorset.withdrawn import FILE, Withdrawn, withdrawal_of

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

    name: str
    version: str
    digest: Sha256
    intended_use: IntendedUse
    images: int
    groups: int
    splits: dict[Split, int]
    unreviewed: int
    is_unreviewed: bool = False
    test_series: Series | None = None
    files: dict[str, Sha256]


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
    folder: Path

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces, with boxes and landmarks in px of the upright image."""
        return self.annotation.faces

    @property
    def is_reviewed(self) -> bool:
        """Whether a person has looked at the labels."""
        return self.annotation.origin != "model"

    def content(self) -> bytes:
        """The encoded picture (JPEG, PNG or WebP).

        Raises InputError where the image's shard is absent, IntegrityError where it is damaged.
        """
        shard = self.folder / "images" / f"{self.image_shard:05d}.parquet"
        row_group = _row_groups(shard).get(self.image_id)
        if row_group is None:
            raise IntegrityError(f"{shard} lacks image {self.image_id}: run `dvc pull` again.")
        return _contents(shard, row_group)[self.image_id]

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

    folder: Path
    card: ReleaseCard
    split: Split | None = None

    def __len__(self) -> int:
        return self.card.splits[self.split] if self.split else self.card.images

    def __iter__(self) -> Iterator[Item]:
        for path in self._label_files():
            for batch in _parquet(path).iter_batches(batch_size=_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield _item(row, self.folder)

    def verify(self) -> None:
        """Compare every file with the checksum that release.json holds.

        Raises InputError where one is absent, IntegrityError where one differs.
        """
        for name, sha256 in self.card.files.items():
            path = self.folder / name
            if not path.is_file():
                raise InputError(f"{path} does not exist: run `dvc pull` for the whole release.")
            with path.open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                    raise IntegrityError(f"{path} has changed: run `dvc checkout` to restore it.")

    def _label_files(self) -> list[Path]:
        names = [Path(name) for name in self.card.files if name.startswith("labels/")]
        wanted = [name for name in names if self.split in (None, name.stem.rsplit("-", 1)[0])]
        wanted.sort(key=lambda name: name.stem.rsplit("-", 1)[::-1])
        return [self.folder / name for name in wanted]


class UnreviewedWarning(UserWarning):
    """The test split holds labels that no person has looked at."""


class WithdrawnWarning(UserWarning):
    """The version that was asked for is withdrawn: its successor was opened in its place."""


def load(release: Path | str, split: Split | None = None) -> Release:
    """The release in the folder `release`, or only its "train", "val" or "test" split.

    >>> for item in mirrorset.load("data/releases/faces/1.0.0", "test"):  # doctest: +SKIP
    ...     print(item.image_id, item.rgb().shape, len(item.faces))

    A version that was withdrawn, since an image of it was erased, leads to its successor, and says
    so (WithdrawnWarning): the other images have the same ids, groups and splits there.

    Warns (UnreviewedWarning) where the test split is among it and was released unreviewed. Raises
    InputError where the folder holds no release, or one that was withdrawn without a successor;
    SettingsError for an unknown split.
    """
    withdrawal = withdrawal_of(Path(release))
    if withdrawal is not None:
        release = _successor(Path(release), withdrawal)
        warnings.warn(
            f"{_withdrawn(withdrawal)}: {withdrawal.successor} is read in its place, with the same "
            "ids and splits of all other images.",
            WithdrawnWarning,
            stacklevel=2,
        )
    opened = open_release(release, split)
    if opened.card.is_unreviewed and split in (None, "test"):
        warnings.warn(
            f"{opened.card.name} {opened.card.version} was released unreviewed: its test split "
            "holds labels that no person has looked at, and measures agreement with a model.",
            UnreviewedWarning,
            stacklevel=2,
        )
    return opened


def open_release(release: Path | str, split: Split | None = None) -> Release:
    """As `load`, for those who say themselves whether anybody has looked at the labels.

    Raises InputError where the folder holds no release, SettingsError for an unknown split.
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
    return Release(folder, card, split)


def _successor(folder: Path, withdrawal: Withdrawn) -> Path:
    """The folder in the place of a withdrawn one. Raises InputError where there is none."""
    if withdrawal.successor is None:
        raise InputError(
            f"{_withdrawn(withdrawal)} and has no successor: take a later version; {FILE} lists "
            "what was withdrawn."
        )
    successor = folder.absolute().with_name(withdrawal.successor)
    if not successor.is_dir():
        tag = f"{withdrawal.name}-{withdrawal.successor}"
        raise InputError(
            f"{_withdrawn(withdrawal)}; its successor {tag} is not in {folder.parent}: run `git "
            f"fetch --tags` and `dvc get . data/releases/{withdrawal.name}/{withdrawal.successor} "
            f"--rev {tag} --out data/releases/{withdrawal.name}/{withdrawal.successor}`."
        )
    return successor


def _withdrawn(withdrawal: Withdrawn) -> str:
    day = f"{withdrawal.withdrawn_at:%Y-%m-%d}"
    return f"{withdrawal.name} {withdrawal.version} was withdrawn on {day}"


def _item(row: dict[str, Any], folder: Path) -> Item:
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
        folder=folder,
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


@lru_cache(maxsize=8)
def _row_groups(shard: Path) -> dict[str, int]:
    """The row group of every image of a shard."""
    file = _parquet(shard)
    return {
        image_id: row_group
        for row_group in range(file.num_row_groups)
        for image_id in file.read_row_group(row_group, ["image_id"])["image_id"].to_pylist()
    }


@lru_cache(maxsize=4)
def _contents(shard: Path, row_group: int) -> dict[str, bytes]:
    rows = _parquet(shard).read_row_group(row_group, ["image_id", "bytes"])
    return dict(zip(rows["image_id"].to_pylist(), rows["bytes"].to_pylist(), strict=True))


def _parquet(path: Path) -> Any:
    """The opened pyarrow.parquet.ParquetFile."""
    # pyarrow takes most of a second to import, which `import mirrorset` should not cost.
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        return pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `dvc pull` for the whole release.") from None
    except pyarrow.ArrowInvalid as error:
        raise IntegrityError(
            f"{path} is not a whole Parquet file ({error}): run `dvc checkout` to restore it."
        ) from None
