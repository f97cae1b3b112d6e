"""Release: freeze the catalogue, let DVC build from it, then commit, tag and push the version."""

import hashlib
import itertools
import json
import logging
import re
from collections import Counter
from collections.abc import Set
from pathlib import Path

from curation.build import digest_of
from curation.costs import Costs, count_costs
from curation.gates import SelectParams
from curation.ledger import LedgerParams
from curation.snapshot import before_curation, join, read_candidates, read_rejected
from flows.engine import flow, task
from flows.places import begin, is_series, mint_new
from flows.progress import bar
from flows.release_state import ReleaseState, read_state, state_file, state_text, write_state
from flows.sections import check_params
from flows.snapshot import is_cloned, restore_catalogue, write_snapshot
from flows.successors import taken_versions
from flows.verify import image_ids
from mirrorset.commands import git
from mirrorset.dvc import dvc
from mirrorset.dvc_config import require_packages
from mirrorset.errors import GateError, MirrorsetError, SettingsError, UnavailableError
from mirrorset.files import clear_leftovers, read_parts
from mirrorset.objects import opened_repository
from mirrorset.records import DatasetItem, Record, Rejected, utc_now
from mirrorset.spool import ingest
from mirrorset.workspace import Workspace, commit, open_workspace

_log = logging.getLogger(__name__)

#: What git keeps of a release: DVC's hashes, params and aggregates.
_RELEASED = (
    *("params.yaml", "release.yaml", "dvc.yaml", "dvc.lock"),
    *("data/snapshot.dvc", "data/metrics", "data/plots"),
)
#: Those of dvc.yaml that a release runs. Not `parity`: what models do is no part of a release, and
#: running them takes long.
STAGES = ("select", "group", "split", "build", "measure", "pack")
_VERSION = re.compile(r"^\d+\.\d+\.\d+$")


class ReleaseSummary(Record):
    """What came of a release. is_new: False where nothing had changed since the last one.

    digest: over the content (images, splits, labels), without times. rejected: by reason, of all
    steps. pushed_to: address of the DVC
    remote, or "" where the workspace has none.
    """

    name: str
    version: str
    digest: str
    images: int
    rejected: dict[str, int]
    is_new: bool
    tag: str
    pushed_to: str


class Proposal(Record):
    """A version as it would be released now. proposal_id: hash of all that it would stand for.

    new_images: those that the version before does not have. is_new: False where this is released.
    """

    proposal_id: str
    version: str
    digest: str
    before: str
    images: dict[str, int]
    new_images: int
    is_new: bool


@flow(name="release")
def release(home: Path, version: str | None = None, approved: str | None = None) -> ReleaseSummary:
    """Release what the catalogue holds; unchanged content keeps its version.

    version: "1.2.3", or None for the next minor one where content has changed. approved: id of the
    proposal that may be released and no other, or None for any. Raises SettingsError where the
    version is malformed or taken by other content, GateError where the content is not what was
    approved.
    """
    if version is not None and not _VERSION.match(version):
        raise SettingsError(f"--version {version} is no version: write three numbers, as in 1.2.0.")
    workspace = open_workspace(home)
    check_params(workspace)
    require_packages(workspace.remote)
    progress = bar("release", total=5)
    with workspace.locked():
        freeze(workspace)
        progress.to(1)
        mint_places(workspace)
        begin_test_series(workspace)
        progress.to(2)
        state = choose_version(workspace, version, approved)
        progress.to(3)
        build(workspace)
        progress.to(4)
        summary = publish(workspace, state)
        progress.to(5)
    return summary


@flow(name="propose-release")
def propose(home: Path, version: str | None = None) -> Proposal:
    """Freeze the catalogue and say what a release would be; nothing is released.

    Raises as `release` does.
    """
    workspace = open_workspace(home)
    check_params(workspace)
    with workspace.locked():
        freeze(workspace)
        mint_places(workspace)
        begin_test_series(workspace)
        last, now = read_state(workspace), next_state(workspace, version)
        items = list(read_parts(workspace.work / "items", DatasetItem))
        is_released = bool(git(workspace.home, "tag", "--list", "--", _tag(workspace, now.version)))
        folder = workspace.release(workspace.dataset.name, last.version)
        before = image_ids(folder) if folder.is_dir() else set()
        return Proposal(
            proposal_id=_proposal_id(now),
            version=now.version,
            digest=now.digest,
            before=last.version if folder.is_dir() else "",
            images=dict(sorted(Counter(item.split for item in items).items())),
            new_images=sum(item.image_id not in before for item in items),
            is_new=not (is_released and now == last),
        )


def _proposal_id(state: ReleaseState) -> str:
    return hashlib.sha256(state_text(state).encode()).hexdigest()[:16]


def dry_run(home: Path) -> Costs:
    """What a release would select from the catalogue, and what each gate and threshold costs.

    Changes nothing: the catalogue is read as it is, image by image. What would be rejected after
    the selection (a split conflict, an unreviewed test image) is not counted.
    """
    workspace = open_workspace(home)
    check_params(workspace)
    use, params = workspace.dataset.intended_use, workspace.params("select", SelectParams)
    with workspace.catalogue() as catalogue:
        if is_cloned(workspace, catalogue):
            candidates = read_candidates(workspace.snapshot)
            rejected = read_rejected(workspace.snapshot)
        else:
            candidates = join(catalogue.read)
            rejected = before_curation(catalogue.read(Rejected))
        costs = count_costs(candidates, {one.item_id for one in rejected}, use, params)
    waiting = len(list(workspace.spool.glob("*.jsonl")))
    if not waiting:
        return costs
    note = f"Not counted: {waiting} files that a stopped run left on their way to the catalogue."
    return costs.model_copy(update={"note": note})


@task("freeze")
def freeze(workspace: Workspace) -> None:
    """Write the snapshot, then select from it and group it."""
    with workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        clear_leftovers(workspace.home / "data")
        restore_catalogue(workspace, catalogue)
        write_snapshot(workspace, catalogue)
    if not state_file(workspace).exists():
        write_state(workspace, ReleaseState(version="0.1.0"))
    dvc(workspace.home, "repro", "select", "group")


@task("mint")
def mint_places(workspace: Workspace) -> None:
    """Mint group, split and image shard of what is new, and let DVC place every image."""
    with workspace.catalogue() as catalogue:
        mint_new(workspace, catalogue, workspace.params("ledger", LedgerParams), utc_now())
    dvc(workspace.home, "repro", "split")


@task("begin-series")
def begin_test_series(workspace: Workspace) -> None:
    """Begin the test series that params.yaml names, where it has not begun yet."""
    name, state = workspace.dataset.test_series, read_state(workspace)
    with workspace.catalogue() as catalogue:
        is_known = is_series(catalogue, name)
        if name in state.test_series and not is_known:
            _log.warning(
                "Every image of the test series %s was erased, and no other images take its name: "
                "begin another by dataset.test_series in params.yaml.",
                name,
            )
            return
        has_changed = begin(workspace, catalogue, name)
    if (has_changed or is_known) and name not in state.test_series:
        write_state(workspace, state.model_copy(update={"test_series": (*state.test_series, name)}))
    if has_changed:
        dvc(workspace.home, "repro", "split")


@task("choose-version")
def choose_version(
    workspace: Workspace, wanted: str | None, approved: str | None = None
) -> ReleaseState:
    """Write down the version that this content gets; raises GateError where another was approved.

    What is released already needs no approval: its push is made good.
    """
    last, now = read_state(workspace), next_state(workspace, wanted)
    if approved is not None and now != last and _proposal_id(now) != approved:
        raise GateError(
            "What the catalogue holds has changed since the release was approved: it is proposed "
            "anew."
        )
    write_state(workspace, now)
    return now


def next_state(workspace: Workspace, wanted: str | None) -> ReleaseState:
    """The version that this content gets: its old one where nothing changed."""
    last = read_state(workspace)
    now = ReleaseState(
        version=wanted or last.version,
        digest=digest_of(workspace.work, workspace.dataset),
        test_series=last.test_series,
        url=workspace.dataset.url,
        responsible=workspace.responsible,
    )
    taken = taken_versions(workspace, workspace.dataset.name)
    is_same = now == last
    if now.version in taken and not is_same:
        if wanted is not None:
            raise SettingsError(
                f"{_tag(workspace, wanted)} is released with other content: choose a new version."
            )
        now = now.model_copy(update={"version": next_minor(now.version, taken)})
    return now


@task("build")
def build(workspace: Workspace) -> None:
    """Let DVC build, measure and seal the release, and keep the snapshot it came from."""
    dvc(workspace.home, "add", "data/snapshot")
    dvc(workspace.home, "repro", *STAGES)


@task("publish", "publish {state.version}")
def publish(workspace: Workspace, state: ReleaseState) -> ReleaseSummary:
    """Commit, tag and push; what was done before is not done again."""
    tag = _tag(workspace, state.version)
    is_new = not git(workspace.home, "tag", "--list", "--", tag)
    # What changes besides the content (an image rejected anew, say) is kept, not released.
    commit(workspace.home, f"{'Release' if is_new else 'Snapshot after'} {tag}", _RELEASED)
    if is_new:
        git(workspace.home, "tag", "--annotate", "--message", f"{tag} {state.digest}", "--", tag)
    if workspace.remote:
        push(workspace)
    items = read_parts(workspace.work / "items", DatasetItem)
    measured = json.loads((workspace.home / "data/metrics/release.json").read_bytes())
    return ReleaseSummary(
        name=workspace.dataset.name,
        version=state.version,
        digest=state.digest,
        images=sum(1 for _ in items),
        rejected=measured["rejected"],
        is_new=is_new,
        tag=tag,
        pushed_to=workspace.remote,
    )


def push(workspace: Workspace) -> None:
    """Let DVC push all that it keeps of the workspace as it stands."""
    # DVC keeps its list of what there is to push, and writes it output by output. Where it was
    # killed meanwhile, it takes the part for the whole, and says that all is pushed.
    with opened_repository(workspace.home) as repo:
        repo.drop_data_index()
    try:
        dvc(workspace.home, "push")
    except MirrorsetError as error:
        # Nearly always the remote's, which may be back by the next try.
        raise UnavailableError(str(error)) from None


def _tag(workspace: Workspace, version: str) -> str:
    return f"{workspace.dataset.name}-{version}"


def next_minor(version: str, taken: Set[str]) -> str:
    """The first "x.y.0" after `version` that is not taken."""
    major, minor, _ = (int(part) for part in version.split("."))
    return next(
        candidate
        for step in itertools.count(1)
        if (candidate := f"{major}.{minor + step}.0") not in taken
    )
