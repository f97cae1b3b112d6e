"""What is compared after a fault: all that a step leaves, but times and numbers by chance."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from cvat_room import seen
from sqlalchemy import create_engine, select

from annotation.cvat.connection import Connection
from mirrorset.catalogue.tables import (
    UtcDateTime,
    crawls,
    frontier,
    images,
    metadata,
    request_counts,
)
from mirrorset.commands import git
from mirrorset.records import Batch

State = dict[str, list[str]]

#: How often something was asked for is no part of what came of it.
_OF_THE_WAY = {crawls.name, request_counts.name}
#: What a server numbers, and so does again when it was asked again; and when, in a file.
_BY_CHANCE = {
    "batches": {"project", "task"},
    "annotation_jobs": {"job_id", "content_sha256"},
    "frontier": {"entry_id", "run", "crawl_id", "content"},
}
_MINTED = re.compile(rb'"minted_at":"[^"]*"')
_SHOWN = 160
#: Folders of a workspace whose files hold the same bytes each time.
_COMPARED = (
    *("data/releases", "data/packs", "data/snapshot", "data/work", "data/verdicts"),
    *("data/metrics", "parity"),
)


def catalogue(url: str) -> State:
    """Every row of every table."""
    engine = create_engine(url)
    found: State = {}
    with engine.connect() as connection:
        numbered = select(images.c.image_number, images.c.image_id)
        id_of = dict(connection.execute(numbered).tuples().all())
        for table in metadata.sorted_tables:
            if table.name in _OF_THE_WAY:
                continue
            left_out = _BY_CHANCE.get(table.name, set()) | {
                column.name for column in table.columns if isinstance(column.type, UtcDateTime)
            }
            rows = []
            for row in connection.execute(select(table)).mappings():
                values = {name: _timeless(row[name]) for name in row if name not in left_out}
                if "image_number" in values:
                    # Images are numbered as they come, and two processes bring them by chance.
                    values["image_number"] = id_of[row["image_number"]]
                if table is frontier:
                    # A second run finds known what the first kept or refused: these are compared.
                    values["outcome"] = values["outcome"] is not None
                rows.append(json.dumps(values, sort_keys=True))
            found[f"catalogue: {table.name}"] = sorted(rows)
    engine.dispose()
    return found


def objects(listed: Mapping[str, bytes]) -> State:
    """What a bucket holds: originals by their names, the remote's files by what is in them.

    A remote's file is named by its MD5, and one that has times in it by another each time.
    """
    found: State = {"blobs": [], "remote": [], "damaged": []}
    for key, content in sorted(listed.items()):
        name = key.rpartition("/")[2]
        if not key.startswith("releases/"):
            found["blobs"].append(key)
            is_whole = hashlib.sha256(content).hexdigest() == name
        else:
            md5 = key.removeprefix("releases/files/md5/").replace("/", "")
            is_whole = hashlib.md5(content).hexdigest() == md5.removesuffix(".dir")  # noqa: S324
            found["remote"].append(_listing(content) if md5.endswith(".dir") else _held(content))
        if not is_whole:
            found["damaged"].append(key)
    return found


def lacking_in_remote(home: Path, listed: Mapping[str, bytes]) -> State:
    """What the last commit's DVC files say was made, and the remote has not."""
    outputs = []
    for name in git(
        home, "ls-tree", "--name-only", "HEAD", "dvc.lock", "data/snapshot.dvc"
    ).split():
        told = yaml.safe_load(git(home, "show", f"HEAD:{name}"))
        for stage in told.get("stages", {"": told}).values():
            outputs += stage.get("outs", [])
    there = {
        key.removeprefix("releases/files/md5/").replace("/", ""): content
        for key, content in listed.items()
    }
    named = {one["md5"] for one in outputs if one.get("push", True)}
    for folder in [one for one in named if one.endswith(".dir") and one in there]:
        named |= {one["md5"] for one in json.loads(there[folder])}
    return {"lacking in the remote": sorted(named - there.keys())}


def annotators_see(connection: Connection) -> State:
    """All tasks of the server, by name, with what is on them."""
    projects = sorted(one["name"] for one in connection.pages("/api/projects"))
    tasks = [
        json.dumps(
            seen(connection, _batch(one["id"])) | {"project": len(projects)},
            sort_keys=True,
            default=str,
        )
        for one in connection.pages("/api/tasks")
    ]
    labels = Counter(one["name"] for one in connection.pages("/api/labels"))
    return {
        "CVAT: projects": projects,
        "CVAT: tasks": sorted(_without_project_id(one) for one in tasks),
        "CVAT: labels": [f"{name} {count}" for name, count in sorted(labels.items())],
    }


def workspace(home: Path) -> State:
    """Releases and packs with their bytes, what git has of them, and what lies about."""
    tree = git(home, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    commits = git(home, "log", "--format=%s").splitlines()
    return {
        "releases": [
            f"{path.relative_to(home)} {_held(path.read_bytes())}"
            for folder in _COMPARED
            for path in sorted((home / folder).rglob("*"))
            if path.is_file()
        ],
        "git: files": tree,
        "git: tags": git(home, "tag").splitlines(),
        "git: commits": commits,
        "git: changes": git(home, "status", "--porcelain").splitlines(),
        "leftovers": sorted(_leftovers(home)),
    }


def _held(content: bytes) -> str:
    """A hash of what a file holds but the time at which a place in a split was minted."""
    return hashlib.sha256(_MINTED.sub(b"", content)).hexdigest()[:16]


def _listing(content: bytes) -> str:
    return " ".join(one["relpath"] for one in json.loads(content))


def _leftovers(home: Path) -> Iterable[str]:
    private = home / ".mirrorset"
    yield from (path.name for path in private.glob("spool/*"))
    yield from (path.name for path in private.glob("logs/*.order-*.json"))
    for pattern in (".*.part", ".*.old", "*.lock"):
        for folder in (home / "data", home / ".git", private, home / "cvat"):
            for path in folder.rglob(pattern):
                # That of serve stays, as the workspace's own does.
                if path != private / "serve.lock":
                    yield str(path.relative_to(home))


def differences(before: State, after: State) -> list[str]:
    """A line for each thing that is in one alone."""
    found = []
    for place in sorted(before.keys() | after.keys()):
        was, now = Counter(before.get(place, ())), Counter(after.get(place, ()))
        lost, extra = sorted((was - now).elements()), sorted((now - was).elements())
        for one, other in zip(lost, extra, strict=False):
            same = next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), 0)  # noqa: B905
            at = max(0, same - _SHOWN // 2)
            found.append(f"{place}: {one[at : at + _SHOWN]} … is now {other[at : at + _SHOWN]}")
        found += [f"{place}: lost {one[:_SHOWN]}" for one in lost[len(extra) :]]
        found += [f"{place}: extra {one[:_SHOWN]}" for one in extra[len(lost) :]]
    return found


def _timeless(value: Any) -> Any:
    """JSON without times, and of a label's provenance without what the server has numbered."""
    if isinstance(value, dict):
        is_numbered = value.keys() >= {"server", "task", "job"}
        return {
            name: _timeless(inner)
            for name, inner in value.items()
            if not (name.endswith("_at") or (is_numbered and name in ("task", "job")))
        }
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _without_project_id(told: str) -> str:
    value = json.loads(told)
    value["task"].pop("project_id", None)
    return json.dumps(value, sort_keys=True)


def _batch(task: int) -> Batch:
    return Batch(
        batch_id="any", image_ids=(), schema_version="", server="", project="", task=str(task),
        state="pushed",
    )  # fmt: skip
