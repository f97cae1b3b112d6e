"""Releases without an erased image: what comes in the place of the versions that held it.

A version that held one of the images gets a successor, the next patch version: a commit of its own
upon the version's, with the same data but for what was about the images. Versions are read and
written by DVC's objects, so only what is concerned is fetched, written and sent.
"""

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from curation.erase import count_attributed, erase_records
from flows.rewriting import Rewriting, lay_out, state_of
from flows.survey import Search, Version, release_tags
from mirrorset.commands import git
from mirrorset.erasure import Gone, Removed, Succession
from mirrorset.errors import InputError, IntegrityError, MirrorsetError
from mirrorset.files import folder_written_aside
from mirrorset.history import checked_out, content_of, tracked
from mirrorset.objects import DIR, Objects
from mirrorset.records import utc_now
from mirrorset.withdrawn import FILE, TAG, Withdrawn, read_withdrawn, write_withdrawn
from mirrorset.workspace import Workspace, commit


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
    tags = (tag.rpartition("-") for tag in release_tags(workspace))
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


def send(
    workspace: Workspace, objects: Objects, plan: tuple[Succession, ...], in_place_of: set[str]
) -> None:
    """Bring the data of the successors and of HEAD to the remotes that had what they succeed."""
    for commit_name in [
        *(f"{one.name}-{one.successor}" for one in plan if one.successor and not is_postponed(one)),
        "HEAD",
    ]:
        oids = {data.oid for data in tracked(workspace.home, commit_name).outs.values()}
        for oid in [oid for oid in oids if oid.endswith(DIR)]:
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
                        lay_out(objects, data.oid, aside)
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


def _succeeded(
    workspace: Workspace, objects: Objects, gone: Gone, one: Succession, scratch: Path
) -> Succession:
    successor = f"{one.name}-{one.successor}"
    if one.successor is None or git(workspace.home, "tag", "--list", "--", successor):
        return one
    try:
        with checked_out(workspace.home, one.tag, scratch / "commit") as folder:
            digest = Rewriting(workspace, objects, gone, scratch / "data").apply(
                folder, one.tag, one.version, one.successor
            )
            git(folder, "tag", "--annotate", "--message", f"{successor} {digest}", "--", successor)
    except (InputError, IntegrityError, ValidationError, KeyError) as error:
        # Only what its data lacks: where git or the disk fails, the same is tried again.
        why = str(error) if isinstance(error, MirrorsetError) else "Its files are of another form."
        if objects.unreached:
            # What lacks may lie where nobody answers: it is tried again, not given up.
            return one.model_copy(update={"why": why})
        return one.model_copy(update={"successor": None, "why": why})
    return one.model_copy(update={"why": ""})


def _renew_head(
    workspace: Workspace,
    objects: Objects,
    gone: Gone,
    plan: tuple[Succession, ...],
    scratch: Path,
) -> None:
    """Let the branch's newest commit name data without the images."""
    known = tracked(workspace.home, "HEAD")
    search = Search(objects, gone)
    if not any(search.of(data.oid) for data in known.outs.values()):
        return
    text = content_of(workspace.home, "HEAD", "release.yaml")
    version = state_of(text).version
    successors = {(one.name, one.version): one.successor for one in plan}
    successor = successors.get(known.release or ("", version), version)
    Rewriting(workspace, objects, gone, scratch / "data").apply(
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
        if git(home, "tag", "--list", "--", one.tag):
            said = listed[one.name, one.version].message
            old = git(home, "rev-list", "-n", "1", f"refs/tags/{one.tag}")
            git(home, "tag", "--force", "--annotate", "--message", said, "--", TAG + one.tag, old)
            git(home, "tag", "--delete", "--", one.tag)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _next_patch(version: str, taken: set[str]) -> str:
    major, minor, patch = _numbers(version)
    return next(
        candidate
        for step in itertools.count(1)
        if (candidate := f"{major}.{minor}.{patch + step}") not in taken
    )
