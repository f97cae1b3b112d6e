"""Parity: run models on the sealed test set as devices would, judge what changes, and say where
each may run.
"""

from pathlib import Path

from flows.engine import flow, task
from flows.judging import (
    current_pack,
    explain_failed,
    judge_all,
    places,
    plans,
    runs_folder,
    show_all,
)
from flows.progress import bar
from mirrorset.dvc import dvc
from mirrorset.records import Record
from mirrorset.workspace import Workspace, commit, open_workspace
from parity.devices.fallback import Fallback
from parity.devices.records import DeviceTable
from parity.fleet import Judged, run_once
from parity.pack import Pack, open_pack
from parity.plan import ParityParams, Planned

planned_runs = task("parity-variants")(plans)
made = task("parity-run", "run {planned.label}")(run_once)
judged_all = task("parity-judge")(judge_all)
explained = task("parity-explain")(explain_failed)


class ParitySummary(Record):
    """Verdicts of each comparison by what ran ("xnnpack", "fp16 xnnpack"), and where all is kept.

    has_failed: whether the models as they are failed a gate, or cannot run. What variants and
    devices do is told by the table, and the fallback order leaves out what failed.
    """

    pack: str
    review_state: str
    images: int
    verdicts: dict[str, dict[str, int]]
    comparisons: dict[str, Path]
    devices: Path
    fallback: Path
    verdict: Path
    has_failed: bool


class Fleet(Record):
    """The device table and the order that follows from it."""

    table: DeviceTable
    fallback: Fallback


@flow(name="parity")
def parity(home: Path) -> ParitySummary:
    """Run the models and their variants on the current release's pack, with every kernel; compare
    these runs and those of devices; tell what may run where, and where a failed run departs; keep
    the verdict.

    What is there with the same pack and models is not made again. A failed gate is a result: the
    command line turns it into an exit code.
    """
    workspace = open_workspace(home)
    params = workspace.params("parity", ParityParams)
    with workspace.locked():
        pack = current_pack(workspace)
        wanted = planned_runs(workspace, pack, params)
        progress = bar("parity", total=len(wanted) + 1)
        for number, planned in enumerate(wanted, start=1):
            out = runs_folder(workspace, pack) / planned.name(pack.chain, params.threads)
            made(pack, planned, params, out)
            progress.to(number)
        judged = judged_all(workspace, pack, params)
        explained(workspace, pack, params, wanted, judged)
        show_all(workspace, pack, judged)
        progress.to(len(wanted) + 1)
        keep_verdict(workspace, pack)
    return summarised(workspace, pack, params, wanted, judged)


@flow(name="devices")
def devices(home: Path, pack: Path | None = None) -> Fleet:
    """Compare what devices sent and what ran here, and tell what may run where; no model runs.

    pack: by itself the current release's.
    """
    workspace = open_workspace(home)
    params = workspace.params("parity", ParityParams)
    with workspace.locked():
        opened = open_pack(pack) if pack else current_pack(workspace)
        show_all(workspace, opened, judged_all(workspace, opened, params))
        keep_verdict(workspace, opened)
    return read_fleet(workspace, opened)


def read_fleet(workspace: Workspace, pack: Pack) -> Fleet:
    """As it was kept last."""
    kept = places(workspace, pack)
    return Fleet(
        table=DeviceTable.model_validate_json(kept.devices.read_bytes()),
        fallback=Fallback.model_validate_json(kept.fallback.read_bytes()),
    )


@task("parity-keep")
def keep_verdict(workspace: Workspace, pack: Pack) -> None:
    """Commit the verdict with its release, as DVC's stage of the same work would leave it."""
    name, kept = f"{pack.record.release}-{pack.record.version}", places(workspace, pack)
    if kept.are_of_stage:
        dvc(workspace.home, "commit", "--force", "parity")
    paths = (str(kept.verdict), str(kept.metrics), "dvc.lock")
    commit(workspace.home, f"Parity verdict on {name}", paths)


def summarised(
    workspace: Workspace,
    pack: Pack,
    params: ParityParams,
    wanted: tuple[Planned, ...],
    judged: Judged,
) -> ParitySummary:
    """Counts of verdicts by what ran."""
    verdicts: dict[str, dict[str, int]] = {}
    comparisons: dict[str, Path] = {}
    has_failed = False
    for planned in wanted:
        name = planned.name(pack.chain, params.threads)
        if name not in judged.comparisons:
            continue
        comparison = judged.comparisons[name]
        said = [each.verdict for each in comparison.gates]
        verdicts[planned.label] = {word: said.count(word) for word in dict.fromkeys(said)}
        comparisons[planned.label] = judged.paths[name]
        has_failed = has_failed or (comparison.has_failed and not planned.recipe)
    kept = places(workspace, pack)
    return ParitySummary(
        pack=str(pack.path),
        review_state=pack.record.review_state,
        images=pack.record.item_count,
        verdicts=verdicts,
        comparisons=comparisons,
        devices=kept.devices,
        fallback=kept.fallback,
        verdict=kept.verdict,
        has_failed=has_failed,
    )
