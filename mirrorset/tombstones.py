"""Tombstones: what was erased is known again, and nobody can read out of them what it was.

A tombstone is a keyed hash (HMAC-SHA-256) of an image's bytes, of its pixels, of the item it was at
its source, or of an address, of a page or picture, where only it was seen. The hashes lie in the
catalogue, the key in the workspace's private folder: without it they tell nothing.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mirrorset.catalogue.frontier import place
from mirrorset.errors import IntegrityError
from mirrorset.files import written_aside

Of = Literal["bytes", "pixels", "item", "address"]

_KEY_BYTES = 32


@dataclass(frozen=True)
class Tombstones:
    """The tombstones of a workspace: key (hex), and the hashes that stand."""

    key: str
    hashes: frozenset[str] = frozenset()

    def hash_of(self, what: Of, value: str) -> str:
        """The keyed hash, 64 hex digits. value: an image_id, a pixel_hash, "source:item", a URL."""
        known_as = place(value) if what == "address" else value
        message = f"{what}\n{known_as}".encode()
        return hmac.new(bytes.fromhex(self.key), message, hashlib.sha256).hexdigest()

    def standing(self, named: Iterable[tuple[Of, str]]) -> str | None:
        """The first of the tombstones on what is named, or None where none stands."""
        if not self.hashes:
            return None
        hashes = (self.hash_of(what, value) for what, value in named if value)
        return next((one for one in hashes if one in self.hashes), None)


def key_file(private: Path) -> Path:
    """Where the key lies in a workspace's private folder."""
    return private / "tombstones.key"


def make_key(private: Path) -> str:
    """The key, made where there is none yet; readable for its owner alone."""
    path = key_file(private)
    if not path.exists():
        with written_aside(path) as aside:
            aside.touch(mode=0o600)
            aside.write_text(secrets.token_hex(_KEY_BYTES) + "\n", encoding="ascii")
    return read_key(private)


def read_key(private: Path) -> str:
    """The key, or "" where nothing has ever been erased here.

    Raises IntegrityError where the file is no key.
    """
    path = key_file(private)
    try:
        key = path.read_text(encoding="ascii").strip()
        if len(bytes.fromhex(key)) != _KEY_BYTES:
            raise ValueError(os.fspath(path))
    except FileNotFoundError:
        return ""
    except ValueError:
        raise IntegrityError(
            f"{path} is no key any more: restore it from a backup, or what was erased would be "
            "crawled again."
        ) from None
    return key
