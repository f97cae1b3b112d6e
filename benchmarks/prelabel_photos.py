"""The photographs that are labelled: 768 px wide JPEGs made of the sets beside the checkout."""

import io
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import insightface
from PIL import Image

WIDTH_PX = 768
#: Its 300 portraits are much alike: every third is enough.
_MANY, _EVERY = "congress_pd_gray", 3
_SUFFIXES = {".jpg", ".png"}


def make(photos: Path, folder: Path, copies: int = 1) -> int:
    """Write each photograph into `folder` as `copies` JPEGs of distinct bytes; their number.

    With the group of six that insightface shows its detection on: elsewhere a face is alone.
    """
    folder.mkdir()
    sources = [*_sources(photos), Path(insightface.__file__).parent / "data/images/t1.jpg"]
    for number, source in enumerate(sources):
        picture = Image.open(source).convert("RGB")
        height = round(picture.height * WIDTH_PX / picture.width)
        resized = picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        for copy, jpeg in enumerate(islice(_jpegs(resized), copies)):
            (folder / f"{copy:02}-{number:03}.jpg").write_bytes(jpeg)
    return len(sources) * copies


def _sources(photos: Path) -> list[Path]:
    if not photos.is_dir():
        raise SystemExit(f"{photos} is not there: name the photographs' folder with --photos.")
    files = sorted(path for path in photos.rglob("*") if path.suffix in _SUFFIXES)
    many = [path for path in files if _MANY in path.parts]
    return [path for path in files if _MANY not in path.parts] + many[::_EVERY]


def _jpegs(picture: Image.Image) -> Iterator[bytes]:
    """The picture at 90 % quality, the same but for a comment."""
    for number in count():
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=90, comment=str(number))
        yield out.getvalue()
