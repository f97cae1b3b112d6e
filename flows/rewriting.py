"""One commit's data without the images: written anew where it is concerned, and committed."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from curation.erase import erase_from_release, erase_records, shards_with
from curation.measure import measure
from flows.release_state import ReleaseState, state_text
from mirrorset.erasure import Gone
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.history import Data, Tracked, content_of, tracked
from mirrorset.load import ReleaseCard
from mirrorset.objects import DIR, Objects
from mirrorset.workspace import Workspace, commit
from parity.erase import erase_from_pack

_SNAPSHOT = "data/snapshot"
_FIGURES = ("data/metrics", "data/plots")


class Rewriting:
    """One commit's data without the images, first in a scratch folder, then as DVC's objects."""

    def __init__(self, workspace: Workspace, objects: Objects, gone: Gone, scratch: Path) -> None:
        self._workspace = workspace
        self._objects = objects
        self._gone = gone
        self._scratch = scratch
        shutil.rmtree(scratch, ignore_errors=True)

    def apply(self, folder: Path, commit_name: str, version: str, successor: str | None) -> str:
        """Commit in `folder`, where `commit_name` is checked out, what comes in its place.

        version: as it stands at, whose release becomes `successor`, or stays where that is the
        same; None: it goes. Returns the content digest.
        """
        known = tracked(self._workspace.home, commit_name)
        name, _ = known.release or (self._workspace.dataset.name, version)
        state = state_of(content_of(self._workspace.home, commit_name, "release.yaml"))
        release, pack = f"data/releases/{name}/{version}", f"data/packs/{name}/{version}"
        data: dict[str, Data] = {}
        for path, old in known.outs.items():
            if path not in (release, pack) and self._is_ours(path):
                self._fetch(old.oid, self._scratch / path)
                data[path] = self._renewed(path, old, path)
        moved = {}
        digest = state.digest
        if successor is not None and release in known.outs and successor != version:
            moved = {old: f"{old.rpartition('/')[0]}/{successor}" for old in (release, pack)}
            card = self._release(known.outs[release], release, successor, state)
            digest = card.digest
            data[moved[release]] = self._renewed(release, known.outs[release], moved[release])
            if pack in known.outs:
                self._fetch(known.outs[pack].oid, self._scratch / pack)
                before = known.outs[pack]
                erase_from_pack(self._scratch / pack, successor, digest, self._gone)
                data[moved[pack]] = self._renewed(pack, before, moved[pack])
        self._figures(folder, data)
        self._write(folder, known, data, moved, state, successor, digest)
        return digest

    def _is_ours(self, path: str) -> bool:
        return path == _SNAPSHOT or path.startswith("data/work/")

    def _fetch(self, oid: str, place: Path) -> None:
        """Lay out a file or folder. Raises InputError where it is nowhere to be had."""
        if oid.endswith(DIR):
            lay_out(self._objects, oid, place)
        else:
            _copy(self._objects, oid, place)

    def _release(self, old: Data, path: str, successor: str, state: ReleaseState) -> ReleaseCard:
        """Lay out what is concerned of a release, and make it that of the successor."""
        files = self._objects.listing(old.oid) or {}
        folder = self._scratch / path
        for name in [one for one in files if one.startswith("labels/")] + ["release.json"]:
            _copy(self._objects, files[name], folder / name)
        for shard in shards_with(sorted((folder / "labels").glob("*.parquet")), self._gone):
            name = f"images/{shard:05d}.parquet"
            _copy(self._objects, files[name], folder / name)
        card = erase_from_release(
            folder,
            self._scratch / "data" / "work",
            successor,
            self._gone,
            self._workspace.dataset,
            state.responsible,
        )
        if card is None:
            raise InputError("No image is left in it.")
        return card

    def _renewed(self, path: str, old: Data, new_path: str) -> Data:
        """Keep what lies at `path` of the scratch folder as objects."""
        place = self._scratch / path
        if self._is_ours(path):
            erase_records(place, self._gone)
        if not new_path.startswith("data/releases/"):
            return self._kept(place)
        files = self._objects.listing(old.oid) or {}
        card = ReleaseCard.model_validate_json((place / "release.json").read_bytes())
        kept = {*card.files, "release.json"}
        here = {file.relative_to(place).as_posix(): file for file in _files(place)}
        renewed = {
            name: self._objects.put(here[name]) if name in here else files[name] for name in kept
        }
        # Shards that stay as they are need not be here to be counted.
        changed = {
            name for name in files.keys() | renewed.keys() if files.get(name) != renewed.get(name)
        }
        size = old.size + sum(
            self._size(renewed.get(name)) - self._size(files.get(name)) for name in changed
        )
        return Data(self._objects.put_listing(renewed), size, len(renewed))

    def _kept(self, place: Path) -> Data:
        """Keep a file or folder as objects."""
        if place.is_file():
            return Data(self._objects.put(place), place.stat().st_size)
        files = _files(place)
        oid = self._objects.put_listing(
            {file.relative_to(place).as_posix(): self._objects.put(file) for file in files}
        )
        return Data(oid, sum(file.stat().st_size for file in files), len(files))

    def _size(self, oid: str | None) -> int:
        file = self._objects.get(oid) if oid else None
        return file.stat().st_size if file else 0

    def _figures(self, folder: Path, data: dict[str, Data]) -> None:
        """Count anew, where it had been counted."""
        if not (folder / "data" / "metrics").is_dir():
            return
        base = self._scratch / "data"
        measure(base / "snapshot", base / "work", folder / "data")
        for path in (one for name in _FIGURES for one in _files(folder / name)):
            content = path.read_bytes()
            oid = hashlib.md5(content, usedforsecurity=False).hexdigest()
            data[path.relative_to(folder).as_posix()] = Data(oid, len(content))

    def _write(
        self,
        folder: Path,
        known: Tracked,
        data: dict[str, Data],
        moved: Mapping[str, str],
        state: ReleaseState,
        successor: str | None,
        digest: str,
    ) -> None:
        """Commit the documents that name the data, and the state."""
        for place in (self._scratch / _SNAPSHOT).iterdir():
            # dvc.lock names what the snapshot consists of one by one.
            data[f"{_SNAPSHOT}/{place.name}"] = self._kept(place)
        version = successor or state.version
        if successor is None:
            known = known.without_stages("build", "pack")
        for name, text in known.renewed(data, moved, version).items():
            write_text(folder / name, text)
        renewed = state.model_copy(
            update={"version": version, "digest": digest if successor else ""}
        )
        write_text(folder / "release.yaml", state_text(renewed))
        commit(
            folder,
            "Erase from the data",
            (
                "release.yaml",
                *known.documents,
                *(one for one in _FIGURES if (folder / one).exists()),
            ),
        )


def state_of(text: str) -> ReleaseState:
    """What a commit's release.yaml says. Raises ValidationError where it was edited."""
    return ReleaseState.model_validate(yaml.safe_load(text))


def lay_out(objects: Objects, oid: str, folder: Path) -> None:
    """Write a folder of DVC's. Raises InputError where a part of it is nowhere to be had."""
    files = objects.listing(oid)
    if files is None:
        raise InputError(f"{folder.name} is in no place that can be reached: it stays as it was.")
    for name, one in files.items():
        _copy(objects, one, folder / name)


def _copy(objects: Objects, oid: str, place: Path) -> None:
    file = objects.get(oid)
    if file is None:
        raise InputError(f"{place.name} is in no place that can be reached.")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
