"""Where DVC's data holds an image: in the objects of every commit, and in what the cache keeps."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from curation.erase import count_attributed, erase_records, shards_with
from curation.strip import strip
from mirrorset.commands import git
from mirrorset.erasure import Gone, Removed
from mirrorset.errors import InputError
from mirrorset.history import commits, tracked
from mirrorset.locate import RELEASE_TAG
from mirrorset.objects import DIR, Objects
from mirrorset.sniff import sniff
from mirrorset.workspace import Workspace

Version = tuple[str, str]  # a dataset's name and the number


@dataclass
class Survey:
    """Where DVC's data holds the images. objects: oids to remove. versions: name and version of
    each release that holds one, with how many other images it holds.
    """

    objects: set[str] = field(default_factory=set)
    versions: dict[Version, int] = field(default_factory=dict)
    found: list[Removed] = field(default_factory=list)


def survey(workspace: Workspace, objects: Objects, gone: Gone, contents: Iterable[bytes]) -> Survey:
    """Look for the images in the data of every commit, and in all that the cache holds besides.

    contents: encoded pictures that are looked for by their bytes, as they are and as released.
    """
    search = Search(objects, gone)
    result = Survey()
    tags = {
        tag: git(workspace.home, "rev-list", "-n", "1", f"refs/tags/{tag}")
        for tag in release_tags(workspace)
    }
    known: set[str] = set()
    for one in commits(workspace.home):
        outs = tracked(workspace.home, one).outs
        known |= {data.oid for data in outs.values()}
        for data in outs.values():
            result.objects |= search.of(data.oid)
        for tag in [tag for tag, of in tags.items() if of == one]:
            name, _, version = tag.rpartition("-")
            folder = outs.get(f"data/releases/{name}/{version}")
            held, others = search.images(folder.oid) if folder else (0, 0)
            if held:
                result.versions[name, version] = others
                result.found.append(Removed(place="releases", name=tag, count=held))
    for oid in set(objects.all_cached()) - known:
        # What a killed run or another branch left: nothing else names it.
        if oid.endswith(DIR):
            result.objects |= search.of(oid)
    for oid in set(objects.all_cached()) - known - result.objects:
        if not oid.endswith(DIR) and search.is_stray(oid):
            result.objects.add(oid)
    for content in contents:
        result.objects |= _as_objects(content)
    return result


def needed(workspace: Workspace, objects: Objects, gone: Gone) -> set[str]:
    """The objects of every version that stands, and of HEAD, as far as they hold no image.

    An array may have the same bytes with one image as without another: what is needed stays.
    """
    search = Search(objects, gone)
    kept: set[str] = set()
    for commit_name in [*release_tags(workspace), "HEAD"]:
        for data in tracked(workspace.home, commit_name).outs.values():
            if not search.of(data.oid):
                files = (objects.listing(data.oid) or {}) if data.oid.endswith(DIR) else {}
                kept |= {data.oid, *files.values()}
    return kept


def release_tags(workspace: Workspace) -> list[str]:
    """The tags of releases, under whatever name the dataset had then."""
    return [
        one for one in git(workspace.home, "tag", "--list").split() if RELEASE_TAG.fullmatch(one)
    ]


class Search:
    """Looks into objects for the images, into each once."""

    def __init__(self, objects: Objects, gone: Gone) -> None:
        self._objects = objects
        self._gone = gone
        self._found: dict[str, frozenset[str]] = {}

    def of(self, oid: str) -> frozenset[str]:
        """The objects that hold one of the images, of a file or folder of DVC's."""
        if oid not in self._found:
            self._found[oid] = frozenset(
                self._in_folder(oid) if oid.endswith(DIR) else self._in_file(oid, ".jsonl")
            )
        return self._found[oid]

    def images(self, oid: str) -> tuple[int, int]:
        """How many of the images, and of others, a release's folder holds."""
        attribution = self._objects.get(
            (self._objects.listing(oid) or {}).get("ATTRIBUTION.csv", "")
        )
        return count_attributed(attribution, self._gone) if attribution else (0, 0)

    def is_stray(self, oid: str) -> bool:
        """Whether an object that nothing names holds one of the images, by what it looks like."""
        file = self._objects.get(oid)
        if file is None:
            return False
        with file.open("rb") as content:
            is_parquet = content.read(4) == b"PAR1"
        return bool(self._in_file(oid, ".parquet" if is_parquet else ""))

    def _in_folder(self, oid: str) -> set[str]:
        files = self._objects.listing(oid)
        if files is None:
            return set()
        if "release.json" in files:
            held = self._in_release(files)
        elif "pack.json" in files:
            held = self._in_pack(files)
        else:
            held = set()
            for path, one in files.items():
                held |= self._in_file(one, Path(path).suffix)
        return held | {oid} if held else held

    def _in_release(self, files: Mapping[str, str]) -> set[str]:
        attribution = self._objects.get(files["ATTRIBUTION.csv"])
        if attribution is None or not count_attributed(attribution, self._gone)[0]:
            return set()
        held = {files["ATTRIBUTION.csv"]}
        for path, oid in files.items():
            file = self._objects.get(oid) if path.startswith("labels/") else None
            if file is not None and (shards := shards_with([file], self._gone)):
                held.add(oid)
                held |= {files[f"images/{shard:05d}.parquet"] for shard in shards}
        return held

    def _in_pack(self, files: Mapping[str, str]) -> set[str]:
        held = {
            oid
            for path, oid in files.items()
            if self._gone.is_in(path.encode()) or self._in_file(oid, Path(path).suffix)
        }
        if files.get("items.jsonl") in held:
            held |= {oid for path, oid in files.items() if path.endswith(".npy")}
        return held

    def _in_file(self, oid: str, suffix: str) -> set[str]:
        if suffix in (".npy", ".jpg", ".png", ".webp", ".avif"):
            return set()
        file = self._objects.get(oid)
        if file is None:
            return set()
        if suffix == ".jsonl":
            is_held = erase_records(file, self._gone, is_dry_run=True) > 0
        elif suffix == ".parquet":
            is_held = _is_in_parquet(file, self._gone)
        else:
            is_held = self._gone.is_in(file.read_bytes())
        return {oid} if is_held else set()


def _is_in_parquet(file: Path, gone: Gone) -> bool:
    import pyarrow.parquet as pq

    if "image_id" not in pq.read_schema(file).names:
        return False
    ids = pq.read_table(file, columns=["image_id"])["image_id"].to_pylist()
    return not gone.image_ids.isdisjoint(ids)


def _as_objects(content: bytes) -> set[str]:
    """The oids of a picture's bytes, as they are and as they are released."""
    forms = [content]
    with suppress(InputError):
        forms.append(strip(content, sniff(content).media_type))
    return {hashlib.md5(form, usedforsecurity=False).hexdigest() for form in forms}
