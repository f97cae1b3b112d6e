"""Which images an erasure was asked for: by id, page, author, picture, or as their time is up."""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from curation.sought import SoughtPicture
from flows.quarantine import due_for_erasure
from mirrorset.authors import plain
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import place
from mirrorset.catalogue.receipts import find_image
from mirrorset.errors import InputError, IntegrityError, SettingsError
from mirrorset.pixels import PixelParams, UnusableImageError, decode, inspect
from mirrorset.records import ImageRecord, Record, Sighting, utc_now
from mirrorset.workspace import Workspace

_FULL_ID_DIGITS = 64


class Asked(Record):
    """What an erasure was asked for; what any of it names is erased.

    images: ids or their first digits; a whole id may be one that only releases know. pages:
    addresses. author: as the sources name them, in whatever case. like: a picture's file; the same
    photograph is found in other sizes, qualities and mirrored. is_due: what was dropped, whose
    quarantine has expired, or that is kept longer than `responsible: retention_days`.
    """

    images: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    author: str = ""
    like: Path | None = None
    is_due: bool = False

    @property
    def in_words(self) -> str:
        """What it was asked by, without what was asked for."""
        named = {
            "image id": self.images,
            "page": self.pages,
            "author": self.author,
            "picture": self.like,
            "time": self.is_due,
        }
        return ", ".join(name for name, value in named.items() if value)

    @property
    def only_due(self) -> bool:
        """Whether it is a matter of time alone, for which there may be nothing to do."""
        return self == Asked(is_due=True)

    def require_some(self) -> None:
        """Raise SettingsError where nothing was asked for."""
        if not self.in_words:
            raise SettingsError(
                "Say what to erase: --image-id, --page-url, --author, --like PICTURE or --due."
            )

    def as_text(self) -> str:
        """The same for the same request: by it, one that was killed is found again.

        Raises InputError where the picture cannot be read.
        """
        like = _read(self.like).hex() if self.like else ""
        return json.dumps([self.images, self.pages, plain(self.author), like, self.is_due])


def images_of(workspace: Workspace, catalogue: Catalogue, asked: Asked) -> set[str]:
    """Ids of the images that were asked for and that are known, and whole ids in any case.

    Raises InputError where the picture cannot be read, or first digits are those of several images.
    """
    found: set[str] = set()
    for image in asked.images:
        found |= _by_id(catalogue, image)
    if asked.pages or asked.author:
        pages, author = {place(one) for one in asked.pages}, plain(asked.author)
        found |= {
            one.image_id
            for one in catalogue.read(Sighting)
            if place(one.page_url) in pages or (author and plain(one.author) == author)
        }
    if asked.like:
        found |= set(_like(workspace, catalogue, asked.like))
    if asked.is_due:
        found |= due_for_erasure(workspace, catalogue) | _past_retention(workspace, catalogue)
    return found


def _by_id(catalogue: Catalogue, image: str) -> set[str]:
    try:
        return {find_image(catalogue, image.lower())}
    except InputError:
        if len(image) == _FULL_ID_DIGITS and set(image.lower()) <= set("0123456789abcdef"):
            return {image.lower()}
        raise


def _like(workspace: Workspace, catalogue: Catalogue, picture: Path) -> Iterable[str]:
    """Images that show the picture: by its bytes or pixels, or its hash and then the pixels."""
    content = _read(picture)
    try:
        own = inspect(content, PixelParams(min_side_px=1))
    except UnusableImageError as error:
        raise InputError(
            f"{picture} is no picture that can be looked for: {error.detail}"
        ) from None
    sought = SoughtPicture(decode(content))
    for image in catalogue.read(ImageRecord):
        if own.image_id == image.image_id or own.pixel_hash == image.pixel_hash:
            yield image.image_id
        elif sought.may_be(image.phash):
            try:
                if sought.is_shown_by(decode(workspace.blobs.get(image.image_id))):
                    yield image.image_id
            except (InputError, IntegrityError):
                # Bytes that are lost or damaged cannot be compared.
                continue


def _read(picture: Path) -> bytes:
    try:
        return picture.read_bytes()
    except OSError as error:
        raise InputError(f"{picture} cannot be read: {error.strerror}.") from None


def _past_retention(workspace: Workspace, catalogue: Catalogue) -> set[str]:
    """Images that were last seen at any source longer ago than images are kept."""
    days = workspace.responsible.retention_days
    if days is None:
        return set()
    oldest = utc_now() - timedelta(days=days)
    seen = list(catalogue.read(Sighting))
    lately = {one.image_id for one in seen if one.seen_at >= oldest}
    return {one.image_id for one in seen} - lately
