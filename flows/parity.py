"""Parity: run a model on the sealed test set as devices would, and judge what changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from flows.engine import flow, task
from flows.progress import bar
from flows.release_state import current_version
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.records import Record
from mirrorset.workspace import Workspace, open_workspace
from parity.compare import compare as compare_runs
from parity.compare import write_comparison
from parity.gates import DEFAULT_GATES, load_gates
from parity.kernels import Kernel
from parity.logs.read import of_model, read_log, united
from parity.logs.records import BenchmarkRun
from parity.logs.store import Kept, keep_runs
from parity.models import default_model
from parity.pack import Pack, file_sha256, open_pack
from parity.records import Comparison, Gate
from parity.run import RunResult, open_run
from parity.run import run as run_model

_REFERENCE: Kernel = "reference"


class ParityParams(Record):
    """The section `parity`: what runs and what must hold.

    model: a .tflite file that takes and gives what the pack's spec says, or None for the model
    that the spec names. kernels: judged against the reference kernels, one comparison each.
    gates: limits, or none for those of parity/gates.yaml.
    """

    model: Path | None = None
    kernels: tuple[Kernel, ...] = ("xnnpack",)
    threads: int = Field(default=1, ge=1)
    gates: tuple[Gate, ...] = ()


class ParitySummary(Record):
    """Verdicts of each comparison by kernel, and where it is kept."""

    pack: str
    review_state: str
    images: int
    verdicts: dict[str, dict[str, int]]
    comparisons: dict[str, Path]
    has_failed: bool


@flow(name="parity")
def parity(home: Path) -> ParitySummary:
    """Run the model on the current release's pack with every kernel, and compare.

    A run that is there with the same pack and model is not repeated. A failed gate is a result:
    the command line turns it into an exit code.
    """
    workspace = open_workspace(home)
    params = workspace.params("parity", ParityParams)
    with workspace.locked():
        pack = open_pack(workspace.pack(workspace.dataset.name, current_version(workspace)))
        model = params.model or default_model(workspace.settings.models)
        kernels = (_REFERENCE, *params.kernels)
        progress = bar("parity", total=len(kernels))
        runs: dict[Kernel, RunResult] = {}
        for number, kernel in enumerate(kernels, start=1):
            out = runs_folder(workspace, pack) / f"{model.stem}-{kernel}-{params.threads}"
            runs[kernel] = run_once(pack, model, kernel, params.threads, out)
            progress.to(number)
        comparisons = {
            kernel: compare_once(workspace, pack, runs[_REFERENCE], runs[kernel], params.gates)
            for kernel in params.kernels
        }
    return summarised(pack, comparisons)


@task(name="parity-run")
def run_once(pack: Pack, model: Path, kernel: Kernel, threads: int, out: Path) -> RunResult:
    """The run of this model on this pack, made if it is not there yet."""
    try:
        result = open_run(out)
    except MirrorsetError:
        return run_model(pack, model, kernel, threads, out)
    is_same = (result.pack_digest, result.key.model_sha256) == (
        pack.record.digest,
        file_sha256(model),
    )
    return result if is_same else run_model(pack, model, kernel, threads, out)


@task(name="parity-compare")
def compare_once(
    workspace: Workspace,
    pack: Pack,
    reference: RunResult,
    candidate: RunResult,
    gates: tuple[Gate, ...],
) -> tuple[Comparison, Path]:
    """Compare two runs and keep the verdicts."""
    comparison = compare_runs(pack, reference, candidate, gates or load_gates(DEFAULT_GATES))
    path = runs_folder(workspace, pack) / f"comparison-{candidate.key.kernel}.json"
    write_comparison(path, comparison)
    return comparison, path


def runs_folder(workspace: Workspace, pack: Pack) -> Path:
    """Where runs and comparisons on this pack lie."""
    return workspace.parity / f"{pack.record.release}-{pack.record.version}"


def benchmarks_folder(workspace: Workspace) -> Path:
    """Where runs of benchmark tools lie."""
    return workspace.parity / "benchmarks"


def ingest_logs(
    home: Path, files: Sequence[Path], device: str = "", model: Path | None = None
) -> Kept:
    """Keep every benchmark run that the logs tell of in the workspace.

    device: what the logs ran on, where they do not say; model: the file that they all ran. Raises
    InputError naming all files that cannot be used, once the others' runs are kept, and where a
    log gives `model` another size.
    """
    workspace = open_workspace(home)
    found: list[BenchmarkRun] = []
    faults: list[str] = []
    for file in files:
        try:
            found += read_log(file)
        except InputError as error:
            faults.append(str(error).rstrip("."))
    if device:
        found = [run.model_copy(update={"device": device}) for run in found]
    if model is not None:
        found = [of_model(run, model) for run in found]
    with workspace.locked():
        kept = keep_runs(benchmarks_folder(workspace), united(found))
    if faults:
        of = f", the other {len(files) - len(faults)} are kept" if len(faults) < len(files) else ""
        count = f"{len(faults)} of {len(files)} logs cannot be used{of}: "
        raise InputError((count if len(files) > 1 else "") + "; ".join(faults) + ".")
    return kept


def summarised(pack: Pack, comparisons: Mapping[Kernel, tuple[Comparison, Path]]) -> ParitySummary:
    """Counts of verdicts by kernel."""
    verdicts: dict[str, dict[str, int]] = {}
    for kernel, (comparison, _) in comparisons.items():
        said = [each.verdict for each in comparison.gates]
        verdicts[kernel] = {word: said.count(word) for word in dict.fromkeys(said)}
    return ParitySummary(
        pack=str(pack.path),
        review_state=pack.record.review_state,
        images=pack.record.item_count,
        verdicts=verdicts,
        comparisons={kernel: path for kernel, (_, path) in comparisons.items()},
        has_failed=any(comparison.has_failed for comparison, _ in comparisons.values()),
    )
