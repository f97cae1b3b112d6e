"""The pictures that are crawled: 768×768 JPEGs of about 60 kB, made once from real portraits."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import cbook
from PIL import Image, ImageOps
from skimage import data

from flows.demo import localface
from mirrorset.errors import MirrorsetError
from mirrorset.files import folder_written_aside

SIDE_PX = 768


def make(cache: Path, count: int) -> tuple[Path, str]:
    """The folder of `count` JPEGs named 0.jpg, 1.jpg…, all bytes distinct, and what they show.

    Made from a fixed seed, and only where `cache` does not hold them yet.
    """
    portraits, title = _portraits(cache)
    folder = cache / "benchmarks" / f"{count} variants of {title}"
    if not folder.is_dir():
        with folder_written_aside(folder) as aside:
            for number, jpeg in enumerate(_variants(portraits, count)):
                (aside / f"{number}.jpg").write_bytes(jpeg)
    return folder, title


def _portraits(cache: Path) -> tuple[list[Image.Image], str]:
    try:
        jpegs = localface.portraits(cache / "packages")
    except MirrorsetError as error:
        print(f"{error} Two public-domain portraits take their place.")
        hopper = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
        astronaut = Image.fromarray(data.astronaut())
        # Grace Hopper's portrait is upright: a square from its top holds the face.
        square = hopper.convert("RGB").crop((0, 0, hopper.width, hopper.width))
        return [astronaut, square], "two public-domain portraits"
    opened = [Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in jpegs.values()]
    return opened, f"{len(opened)} portraits of {localface.PACKAGE}"


def _variants(portraits: list[Image.Image], count: int) -> Iterator[bytes]:
    """Crops, flips and qualities of the portraits in turn."""
    random = np.random.default_rng(0)
    seen: set[bytes] = set()
    while len(seen) < count:
        jpeg = _variant(portraits[len(seen) % len(portraits)], random)
        if jpeg not in seen:
            seen.add(jpeg)
            yield jpeg


def _variant(portrait: Image.Image, random: Any) -> bytes:
    side = portrait.width * random.uniform(0.85, 1.0)
    left, top = random.uniform(0, portrait.width - side, size=2)
    box = (left, top, left + side, top + side)
    varied = portrait.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS, box=box)
    if random.random() < 0.5:
        varied = ImageOps.mirror(varied)
    out = io.BytesIO()
    varied.save(out, "JPEG", quality=int(random.integers(70, 84)))
    return out.getvalue()
