"""Parity in a workspace, as plain functions: the flow and the DVC stage both call these."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faces.registry import load_registry
from flows.release_state import current_version
from mirrorset.elsewhere import noted
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.load import open_release
from mirrorset.records import Record
from mirrorset.workspace import Workspace
from parity.aggregates import aggregates
from parity.both import Both
from parity.devices.records import DeviceTable
from parity.devices.rows import Evidence
from parity.fleet import Judged, judge_runs, related, runs_in, tell
from parity.forensics.drawing import draw_worst
from parity.forensics.explain import explain, keep, open_models
from parity.forensics.worst import worst_between
from parity.ingest import read_ingest
from parity.logs.store import kept_runs
from parity.models import model_files
from parity.pack import Pack, PackParams, open_pack, read_record
from parity.plan import REFERENCE, ParityParams, Planned, planned
from parity.records import ReviewState
from parity.run import open_run
from parity.seals import file_sha256
from parity.variants import calibration_pack, variant_files
from parity.verdict import JudgedModels, read_verdict, staleness, verdict_of, write_verdict
from reports.explanations import Drawn, Worst
from reports.parity_page import render_parity
from reports.shown import credit


def current_pack(workspace: Workspace) -> Pack:
    """The current release's pack, every byte of it verified."""
    return open_pack(workspace.pack(workspace.dataset.name, current_version(workspace)))


def runs_folder(workspace: Workspace, pack: Pack) -> Path:
    """Where runs and comparisons on this pack lie."""
    return workspace.parity / f"{pack.record.release}-{pack.record.version}"


def benchmarks_folder(workspace: Workspace) -> Path:
    """Where runs of benchmark tools lie."""
    return workspace.parity / "benchmarks"


@dataclass(frozen=True)
class Places:
    """Where what is told of a pack lies; git keeps verdict and metrics, which are aggregates. Of
    another chain than the release's own pack has, the chain's name is added. are_of_stage: whether
    these are the files of DVC's stage.
    """

    devices: Path
    fallback: Path
    page: Path
    verdict: Path
    metrics: Path
    are_of_stage: bool


def places(workspace: Workspace, pack: Pack) -> Places:
    """Of this pack."""
    name, folder = runs_folder(workspace, pack).name, runs_folder(workspace, pack)
    own = workspace.pack(pack.record.release, pack.record.version)
    try:
        is_own_chain = read_record(own).chain == pack.chain
    except InputError:
        is_own_chain = False
    suffix = "" if is_own_chain else f"-{pack.chain.name}"
    return Places(
        folder / f"devices{suffix}.json",
        folder / f"fallback{suffix}.json",
        folder / f"comparisons{suffix}.html",
        workspace.home / "data" / "verdicts" / f"{name}{suffix}.json",
        workspace.home / "data" / "metrics" / f"parity{suffix}.json",
        is_own_chain,
    )


def plans(workspace: Workspace, pack: Pack, params: ParityParams) -> tuple[Planned, ...]:
    """The runs that are wanted, the reference first; variants are made where they are lacking."""
    files = model_files(pack.chain, workspace.settings.models, params.models)
    folder = runs_folder(workspace, pack)
    variants: dict[str, Mapping[str, Path]] = {"": files}
    for recipe in params.recipes:
        calibration = None
        if recipe == "static_int8":
            calibration = calibration_pack(
                workspace.release(pack.record.release, pack.record.version),
                pack,
                workspace.params("pack", PackParams),
                params.calibration_images,
                folder / "calibration",
                workspace.settings.models,
            )
        variants[recipe] = variant_files(files, recipe, folder / "variants", calibration)
    return tuple(planned(params, variants))


def judge_all(workspace: Workspace, pack: Pack, params: ParityParams) -> Judged:
    """Compare all runs on `pack`, made here or brought from devices, and on its smaller kin; keep
    comparisons, device table, fallback order, the verdict and its aggregates.
    """
    folder = runs_folder(workspace, pack)
    name = Planned("", REFERENCE, {}).name(pack.chain, params.threads)
    reference = open_run(folder / name) if (folder / name / "run.json").is_file() else None
    if reference is not None and reference.record.pack_digest != pack.record.digest:
        reference = None
    gates = params.gates_for(pack.chain)
    packs = related(pack, noted(workspace.home))
    judged = judge_runs(packs, folder, gates, reference)
    evidence = Evidence(
        runs=runs_in(folder),
        comparisons=judged.comparisons,
        digests=frozenset(packs),
        benchmarks=kept_runs(benchmarks_folder(workspace)),
        sizes=_sizes([*params.models.values(), *(folder / "variants").glob("*.tflite")]),
        unjudged=judged.unjudged,
        reference=name,
    )
    kept = places(workspace, pack)
    table = tell(pack, evidence, kept.devices, kept.fallback)
    write_verdict(kept.verdict, verdict_of(table, gates, evidence.runs))
    write_text(kept.metrics, json.dumps(_metrics(judged, table), indent=2) + "\n")
    return judged


def show_all(workspace: Workspace, pack: Pack, judged: Judged) -> None:
    """Write the page of all comparisons."""
    out = places(workspace, pack).page
    title = f"Parity on {out.parent.name}"
    render_parity(sorted(judged.paths.values()), out, title, _credits(pack))


def show_one(both: Both, comparison: Path, out: Path) -> None:
    """Write the page of the comparison of two runs, in the file `comparison`."""
    record = both.pack.record
    with TemporaryDirectory() as scratch:
        worst = draw_worst(both, worst_between(both), Path(scratch))
        shown = tuple(Worst.model_validate(one, from_attributes=True) for one in worst)
        render_parity(
            [comparison],
            out,
            f"Parity on {record.release} {record.version}",
            _credits(both.pack),
            {comparison: Drawn(Path(scratch), shown)},
        )


def _credits(pack: Pack) -> dict[str, str]:
    return {image_id: credit(*one) for image_id, one in pack.credits.items()}


def explain_failed(
    workspace: Workspace,
    pack: Pack,
    params: ParityParams,
    wanted: Sequence[Planned],
    judged: Judged,
) -> None:
    """Say of each run that failed a gate where it departs, in `why-RUN` beside it.

    What was explained since the run was made is not explained again.
    """
    folder = runs_folder(workspace, pack)
    reference = model_files(pack.chain, workspace.settings.models)
    for one in wanted:
        name = one.name(pack.chain, params.threads)
        comparison = judged.comparisons.get(name)
        why = folder / f"why-{name}"
        if comparison is None or not comparison.has_failed or _is_explained(why, folder / name):
            continue
        run = open_run(folder / name)
        models = open_models(pack, run, reference, one.files)
        keep(pack, run, explain(pack, run, models), why)


def _is_explained(why: Path, run: Path) -> bool:
    kept = why / "explanation.json"
    return kept.is_file() and kept.stat().st_mtime_ns > (run / "run.json").stat().st_mtime_ns


class Held(Record):
    """What the kept verdict says of models. stale: why it does not hold for them, a clause each.

    models: sha256 by net. judged: every place where exactly these were judged.
    """

    release: str
    version: str
    release_digest: str
    review_state: ReviewState
    models: dict[str, str]
    stale: tuple[str, ...]
    judged: tuple[JudgedModels, ...]


def standing_verdict(workspace: Workspace, pack: Pack, own: Mapping[str, Path]) -> Held:
    """What the kept verdict on the current release says of the models of params.yaml, with `own`
    in the place of some.

    Raises InputError where there is no verdict.
    """
    params = workspace.params("parity", ParityParams)
    release = workspace.release(pack.record.release, pack.record.version)
    models = {net: sealed.model.sha256 for net, sealed in pack.record.nets.items()}
    models |= {net: file_sha256(file) for net, file in {**params.models, **own}.items()}
    verdict = read_verdict(places(workspace, pack).verdict)
    stale = staleness(
        verdict,
        release_digest=open_release(release).card.digest,
        pack_digest=pack.record.digest,
        gates=params.gates_for(pack.chain),
        models=models,
        runs=runs_in(runs_folder(workspace, pack)),
    )
    return Held(
        release=verdict.release,
        version=verdict.version,
        release_digest=verdict.release_digest,
        review_state=verdict.review_state,
        models=models,
        stale=stale,
        judged=verdict.of(models),
    )


def _sizes(files: Iterable[Path]) -> dict[str, int]:
    """In bytes by sha256, of registered models and of these files, where they are."""
    sizes = {model.sha256: model.size_bytes for model in load_registry().values()}
    return sizes | {file_sha256(file): file.stat().st_size for file in files if file.is_file()}


def _metrics(judged: Judged, table: DeviceTable) -> dict[str, dict[str, Any]]:
    """For `dvc metrics`: lines of the table by standing, and the aggregates of each run that was
    made here: those have the same names from release to release.
    """
    figures = {
        run: aggregates(comparison)
        for run, comparison in judged.comparisons.items()
        if read_ingest(judged.paths[run].with_name(run)) is None
    }
    return {"lines": dict(Counter(row.standing for row in table.rows)), **figures}
