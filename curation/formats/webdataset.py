"""WebDataset: SPLIT-NNNNN.tar with IMAGE_ID.jpg and IMAGE_ID.json of every image."""

import io
import tarfile
from itertools import groupby
from pathlib import Path

from curation.formats.picture import Splits
from faces.schema import LandmarkSchema


def write(folder: Path, splits: Splits, _: LandmarkSchema) -> int:
    """Tars as github.com/webdataset/webdataset reads them; all faces and schemas are written.

    Members of one image follow each other and share its image_id as key. NNNNN is the number of the
    image shard, so that growing a release adds tars and leaves the old ones; where a split has no
    image of a shard, there is none. The JSON is that of `Picture.labels`.
    """
    written = 0
    for split, pictures in splits.items():
        for shard, ours in groupby(pictures, key=lambda picture: picture.item.image_shard):
            path = folder / f"{split}-{shard:05d}.tar"
            with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
                for picture in ours:
                    _add(tar, picture.file_name, picture.content)
                    _add(tar, f"{picture.item.image_id}.json", picture.labels())
                    written += len(picture.item.faces)
    return written


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # Owner and time are those of a new TarInfo, which are always the same: none, and 1970.
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
