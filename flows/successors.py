"""Releases without an erased image: which versions held it, and what comes in their place.

A version that held one of the images gets a successor, the next patch version: a commit of its own
upon the version's, with the same data but for what was about the images. Versions are read and
written by DVC's objects, so only what is concerned is fetched, written and sent.
"""

import hashlib
import itertools
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError

from curation.erase import (
    count_attributed,
    erase_from_release,
    erase_records,
    shards_with,
)
from curation.measure import measure
from curation.strip import strip
from flows.release_state import ReleaseState, state_text
from mirrorset.commands import git
from mirrorset.erasure import Gone, Removed, Succession
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.files import folder_written_aside, write_text
from mirrorset.history import Data, Tracked, checked_out, commits, content_of, tracked
from mirrorset.load import ReleaseCard
from mirrorset.locate import RELEASE_TAG
from mirrorset.objects import Objects
from mirrorset.records import utc_now
from mirrorset.sniff import sniff
from mirrorset.withdrawn import FILE, TAG, Withdrawn, read_withdrawn, write_withdrawn
from mirrorset.workspace import Workspace, commit
from parity.erase import erase_from_pack

_DIR = ".dir"
_SNAPSHOT = "data/snapshot"
_FIGURES = ("data/metrics", "data/plots")

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
    search = _Search(objects, gone)
    result = Survey()
    tags = {tag: git(workspace.home, "rev-list", "-n", "1", tag) for tag in _tags(workspace)}
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
        if oid.endswith(_DIR):
            result.objects |= search.of(oid)
    for oid in set(objects.all_cached()) - known - result.objects:
        if not oid.endswith(_DIR) and search.is_stray(oid):
            result.objects.add(oid)
    for content in contents:
        result.objects |= _as_objects(content)
    return result


def planned(workspace: Workspace, versions: Mapping[Version, int]) -> tuple[Succession, ...]:
    """A free patch version for each version that held an image; none where none is left."""
    taken = {name: taken_versions(workspace, name) for name, _ in versions}
    plan = []
    for name, version in sorted(versions, key=lambda one: (one[0], _numbers(one[1]))):
        if versions[name, version] == 0:
            why = "No other image was in it."
            plan.append(Succession(name=name, version=version, successor=None, why=why))
            continue
        successor = _next_patch(version, taken[name])
        taken[name].add(successor)
        plan.append(Succession(name=name, version=version, successor=successor))
    return tuple(plan)


def taken_versions(workspace: Workspace, name: str) -> set[str]:
    """Versions of a dataset that were released, whether or not they were withdrawn since."""
    withdrawn = {one.version for one in read_withdrawn(workspace.home) if one.name == name}
    tags = (tag.rpartition("-") for tag in _tags(workspace))
    return {version for of, _, version in tags if of == name} | withdrawn


def succeed(
    workspace: Workspace,
    objects: Objects,
    gone: Gone,
    plan: tuple[Succession, ...],
    scratch: Path,
) -> tuple[Succession, ...]:
    """Make every successor that is not there yet, withdraw what they succeed, and renew HEAD.

    Returns the plan as it came about: a version that cannot be rewritten has no successor, and says
    why.
    """
    done = tuple(_succeeded(workspace, objects, gone, one, scratch) for one in plan)
    made = tuple(one for one in done if not is_postponed(one))
    _renew_head(workspace, objects, gone, made, scratch)
    _withdraw(workspace, made)
    return done


def is_postponed(one: Succession) -> bool:
    """Whether a successor could not be made yet, since a place that may hold a part is silent."""
    return one.successor is not None and one.why != ""


def needed(workspace: Workspace, objects: Objects, gone: Gone) -> set[str]:
    """The objects of every version that stands, and of HEAD, as far as they hold no image.

    An array may have the same bytes with one image as without another: what is needed stays.
    """
    search = _Search(objects, gone)
    kept: set[str] = set()
    for commit_name in [*_tags(workspace), "HEAD"]:
        for data in tracked(workspace.home, commit_name).outs.values():
            if not search.of(data.oid):
                files = (objects.listing(data.oid) or {}) if data.oid.endswith(_DIR) else {}
                kept |= {data.oid, *files.values()}
    return kept


def send(
    workspace: Workspace, objects: Objects, plan: tuple[Succession, ...], in_place_of: set[str]
) -> None:
    """Bring the data of the successors and of HEAD to the remotes that had what they succeed."""
    for commit_name in [
        *(f"{one.name}-{one.successor}" for one in plan if one.successor and not is_postponed(one)),
        "HEAD",
    ]:
        oids = {data.oid for data in tracked(workspace.home, commit_name).outs.values()}
        for oid in [oid for oid in oids if oid.endswith(_DIR)]:
            oids |= set((objects.listing(oid) or {}).values())
        objects.send(oids, in_place_of)


def restore(
    workspace: Workspace, objects: Objects, gone: Gone, plan: tuple[Succession, ...]
) -> list[Removed]:
    """Put successors where their predecessors lie in the workspace, and clear the rest of it."""
    found = []
    for one in plan:
        for place in (workspace.release, workspace.pack):
            old = place(one.name, one.version)
            if not old.exists():
                continue
            if one.successor is not None:
                outs = tracked(workspace.home, f"{one.name}-{one.successor}").outs
                new = place(one.name, one.successor)
                data = outs.get(new.relative_to(workspace.home).as_posix())
                if data is not None and not new.exists():
                    with folder_written_aside(new) as aside:
                        _lay_out(objects, data.oid, aside)
            shutil.rmtree(old)
            found.append(
                Removed(place="workspace", name=f"{old.parent.parent.name}/{old.name}", count=1)
            )
    return found + clear(workspace, gone)


def clear(workspace: Workspace, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Take the images out of the workspace's own files: what a killed release left, too."""
    found = []
    for folder in (workspace.snapshot, workspace.work):
        count = erase_records(folder, gone, is_dry_run)
        if count:
            found.append(Removed(place="workspace", name=folder.name, count=count))
    data = workspace.home / "data"
    for attribution in sorted(data.glob("releases/*/*/ATTRIBUTION.csv")) + sorted(
        data.glob("packs/*/*/ATTRIBUTION.csv")
    ):
        folder = attribution.parent
        if count_attributed(attribution, gone)[0]:
            found.append(
                Removed(
                    place="workspace", name=f"{folder.parent.parent.name}/{folder.name}", count=1
                )
            )
            if not is_dry_run:
                shutil.rmtree(folder)
    return found


class _Search:
    """Looks into objects for the images, into each once."""

    def __init__(self, objects: Objects, gone: Gone) -> None:
        self._objects = objects
        self._gone = gone
        self._found: dict[str, frozenset[str]] = {}

    def of(self, oid: str) -> frozenset[str]:
        """The objects that hold one of the images, of a file or folder of DVC's."""
        if oid not in self._found:
            self._found[oid] = frozenset(
                self._in_folder(oid) if oid.endswith(_DIR) else self._in_file(oid, ".jsonl")
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


def _succeeded(
    workspace: Workspace, objects: Objects, gone: Gone, one: Succession, scratch: Path
) -> Succession:
    successor = f"{one.name}-{one.successor}"
    if one.successor is None or git(workspace.home, "tag", "--list", successor):
        return one
    try:
        with checked_out(workspace.home, one.tag, scratch / "commit") as folder:
            digest = _Rewriting(workspace, objects, gone, scratch / "data").apply(
                folder, one.tag, one.version, one.successor
            )
            git(folder, "tag", "--annotate", successor, "--message", f"{successor} {digest}")
    except (MirrorsetError, ValidationError, KeyError) as error:
        why = str(error) if isinstance(error, MirrorsetError) else "Its files are of another form."
        if objects.unreached:
            # What lacks may lie where nobody answers: it is tried again, not given up.
            return one.model_copy(update={"why": why})
        return one.model_copy(update={"successor": None, "why": why})
    return one.model_copy(update={"why": ""})


class _Rewriting:
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
        state = _state_of(content_of(self._workspace.home, commit_name, "release.yaml"))
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
        if oid.endswith(_DIR):
            _lay_out(self._objects, oid, place)
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


def _renew_head(
    workspace: Workspace,
    objects: Objects,
    gone: Gone,
    plan: tuple[Succession, ...],
    scratch: Path,
) -> None:
    """Let the branch's newest commit name data without the images."""
    known = tracked(workspace.home, "HEAD")
    search = _Search(objects, gone)
    if not any(search.of(data.oid) for data in known.outs.values()):
        return
    text = content_of(workspace.home, "HEAD", "release.yaml")
    version = _state_of(text).version
    successors = {(one.name, one.version): one.successor for one in plan}
    successor = successors.get(known.release or ("", version), version)
    _Rewriting(workspace, objects, gone, scratch / "data").apply(
        workspace.home, "HEAD", version, successor
    )


def _withdraw(workspace: Workspace, plan: tuple[Succession, ...]) -> None:
    """List what is withdrawn, and let its tag say so."""
    home = workspace.home
    listed = {(one.name, one.version): one for one in read_withdrawn(home)}
    known = len(listed)
    for one in plan:
        withdrawn = Withdrawn(
            name=one.name, version=one.version, successor=one.successor, withdrawn_at=utc_now()
        )
        listed.setdefault((one.name, one.version), withdrawn)
    if len(listed) > known:
        write_withdrawn(home, listed.values())
    if listed:
        commit(home, "Withdraw versions of which an image was erased", (FILE,))
    for one in plan:
        if git(home, "tag", "--list", one.tag):
            said = listed[one.name, one.version].message
            old = git(home, "rev-list", "-n", "1", one.tag)
            git(home, "tag", "--force", "--annotate", TAG + one.tag, "--message", said, old)
            git(home, "tag", "--delete", one.tag)


def _state_of(text: str) -> ReleaseState:
    return ReleaseState.model_validate(yaml.safe_load(text))


def _lay_out(objects: Objects, oid: str, folder: Path) -> None:
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


def _tags(workspace: Workspace) -> list[str]:
    """The tags of releases, under whatever name the dataset had then."""
    return [
        one for one in git(workspace.home, "tag", "--list").split() if RELEASE_TAG.fullmatch(one)
    ]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _next_patch(version: str, taken: set[str]) -> str:
    major, minor, patch = _numbers(version)
    return next(
        candidate
        for step in itertools.count(1)
        if (candidate := f"{major}.{minor}.{patch + step}") not in taken
    )
