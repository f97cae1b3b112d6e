"""Original bytes by content: `<root>/ab/cd/<sha256>` on any fsspec filesystem.

S3's client reads who calls, and which server it is, from the environment or Amazon's own files
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL). It tries again by itself after 5xx and
cut connections.
"""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mirrorset.erasure import Removed
from mirrorset.errors import InputError, IntegrityError, SettingsError, UnavailableError
from mirrorset.records import Record
from mirrorset.versions import remove_file

#: The folders of the first level.
_FOLDERS = tuple(f"{number:02x}" for number in range(256))


class Held(Record):
    """What a store holds. is_estimate: a part was counted; hashes spread evenly over all parts."""

    blobs: int
    size_bytes: int
    is_estimate: bool


class BlobStore:
    """A content-addressed store. A blob is whole or absent, and the same bytes are kept once."""

    def __init__(self, url: str) -> None:
        """Open the store at `url`: a folder, "memory://…", "s3://bucket/prefix"….

        Raises SettingsError where no such filesystem is known or installed.
        """
        try:
            # Only folders have to be made; S3's filesystem takes no such option.
            is_local = fsspec.utils.get_protocol(url) in ("file", "local")
            options = {"auto_mkdir": True} if is_local else {}
            self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"blobs_url {url!r} cannot be used ({error}): for s3://, install "
                "requirements-s3.lock."
            ) from None

    def put(self, content: bytes) -> str:
        """Keep `content`; returns its sha256. Putting the same bytes again writes nothing.

        Raises UnavailableError where a store elsewhere does not answer or is not there.
        """
        image_id = hashlib.sha256(content).hexdigest()
        path = self._path(image_id)
        if isinstance(self._fs, LocalFileSystem):
            self._put_file(Path(path), content)
            return image_id
        with self._answering():
            if not self._fs.exists(path):
                # Object stores show an object when all of it is there.
                self._fs.pipe_file(path, content)
        return image_id

    def clear_aside(self) -> None:
        """Remove what killed processes left half written; for when nobody else is writing."""
        if isinstance(self._fs, LocalFileSystem):
            shutil.rmtree(self._aside, ignore_errors=True)

    def get(self, image_id: str) -> bytes:
        """The bytes of `image_id`.

        Raises InputError where the store lacks it, IntegrityError where the bytes have changed,
        UnavailableError where there is no store.
        """
        with self._answering():
            content = self._content(image_id)
        if content is None:
            if not self._is_there():
                raise self._absent()
            raise InputError(
                f"The blob store {self._name} has no image {image_id}: restore it from a backup."
            )
        if hashlib.sha256(content).hexdigest() != image_id:
            raise IntegrityError(
                f"{self._path(image_id)} no longer has the bytes it is named after: "
                "restore it from a backup."
            )
        return content

    def has(self, image_id: str) -> bool:
        """Whether the store holds `image_id`."""
        with self._answering():
            return bool(self._fs.exists(self._path(image_id)))

    def held(self, limit_s: float) -> Held:
        """How many blobs the store holds, and their bytes; counted for `limit_s`, then estimated.

        Raises UnavailableError where a store elsewhere does not answer or is not there.
        """
        ends_at = time.monotonic() + limit_s
        counted: list[list[int]] = []
        with self._answering():
            for folder in _FOLDERS:
                counted.append(list(self._sizes(f"{self._root}/{folder}")))
                if time.monotonic() > ends_at:
                    break
        parts = len(_FOLDERS) / len(counted)
        return Held(
            blobs=round(parts * sum(map(len, counted))),
            size_bytes=round(parts * sum(map(sum, counted))),
            is_estimate=len(counted) < len(_FOLDERS),
        )

    def remove(self, image_id: str) -> None:
        """Remove `image_id` with all its versions, whether or not the store holds it."""
        with self._answering():
            remove_file(self._fs, self._path(image_id))

    def erase(self, image_ids: Iterable[str], is_dry_run: bool = False) -> list[Removed]:
        """Remove the images, and what killed processes left half written; only count on a dry run.

        For when nobody else is writing. Raises UnavailableError where there is no store.
        """
        if not self._is_there():
            raise self._unanswered("there is no such place")
        try:
            count = sum(remove_file(self._fs, self._path(one), is_dry_run) for one in image_ids)
        except Exception as error:
            raise self._unanswered(error) from error
        if not is_dry_run:
            self.clear_aside()
        return [Removed(place="blob store", name="originals", count=count)] if count else []

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Whatever a filesystem elsewhere raises, its store does not answer, or has no such bucket;
        a folder's own errors (no room, no right) say what they are.
        """
        try:
            yield
        except Exception as error:
            # Each filesystem raises its own kinds.
            if isinstance(self._fs, LocalFileSystem):
                raise
            if isinstance(error, FileNotFoundError):
                raise self._absent() from error
            raise self._unanswered(error) from error

    def _content(self, image_id: str) -> bytes | None:
        try:
            return bytes(self._fs.cat_file(self._path(image_id)))
        except FileNotFoundError:
            return None

    def _is_there(self) -> bool:
        with self._answering():
            return bool(self._fs.exists(self._root))

    def _absent(self) -> UnavailableError:
        is_folder = isinstance(self._fs, LocalFileSystem)
        return UnavailableError(
            f"The blob store {self._name} is not there: {'mount' if is_folder else 'make'} it, or "
            "say in mirrorset.toml where it is (blobs_url)."
        )

    def _unanswered(self, why: object) -> UnavailableError:
        return UnavailableError(
            f"The blob store {self._name} does not answer ({' '.join(str(why).split())}): "
            "run the same again when it does."
        )

    def _put_file(self, path: Path, content: bytes) -> None:
        if path.exists():
            return
        aside = self._aside / secrets.token_hex(8)
        for folder in (aside.parent, path.parent):
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(path)

    def _sizes(self, folder: str) -> Iterator[int]:
        if isinstance(self._fs, LocalFileSystem):
            # Several times as fast as through fsspec.
            for path, _, names in os.walk(folder):
                yield from (Path(path, name).stat().st_size for name in names)
            return
        for one in self._fs.find(folder, detail=True).values():
            yield int(one["size"])

    @property
    def _name(self) -> str:
        """Its address, without whom it is asked as."""
        if isinstance(self._fs, LocalFileSystem):
            return str(self._root)
        return str(self._fs.unstrip_protocol(self._root))

    @property
    def _aside(self) -> Path:
        """A folder beside the blobs, on the same filesystem."""
        return Path(self._root) / ".aside"

    def _path(self, image_id: str) -> str:
        return f"{self._root}/{image_id[:2]}/{image_id[2:4]}/{image_id}"
