"""Parity: run a model on the sealed test set as devices would, and judge what changes."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from flows.engine import flow, task
from flows.progress import bar
from flows.release_state import current_version
from mirrorset.errors import MirrorsetError
from mirrorset.records import Record
from mirrorset.workspace import Workspace, open_workspace
from parity.compare import compare as compare_runs
from parity.compare import write_comparison
from parity.gates import gates_file, load_gates
from parity.kernels import Kernel
from parity.models import model_files
from parity.pack import Pack, open_pack
from parity.records import Comparison, Gate
from parity.run import RunResult, open_run
from parity.run import run as run_model
from parity.seals import file_sha256

_REFERENCE: Kernel = "reference"


class ParityParams(Record):
    """The section `parity`: what runs and what must hold.

    models: .tflite files by net of the pack's chain, which take and give what it says; by itself
    those that the chain names. kernels: judged against the reference kernels, one comparison each.
    gates: limits, or none for those that ship for the chain.
    """

    models: dict[str, Path] = Field(default_factory=dict)
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
        files = model_files(pack.chain, workspace.settings.models, params.models)
        kernels = (_REFERENCE, *params.kernels)
        progress = bar("parity", total=len(kernels))
        runs: dict[Kernel, RunResult] = {}
        for number, kernel in enumerate(kernels, start=1):
            out = runs_folder(workspace, pack) / f"{pack.chain.name}-{kernel}-{params.threads}"
            runs[kernel] = run_once(pack, files, kernel, params.threads, out)
            progress.to(number)
        comparisons = {
            kernel: compare_once(workspace, pack, runs[_REFERENCE], runs[kernel], params.gates)
            for kernel in params.kernels
        }
    return summarised(pack, comparisons)


@task(name="parity-run")
def run_once(
    pack: Pack, files: Mapping[str, Path], kernel: Kernel, threads: int, out: Path
) -> RunResult:
    """The run of these models on this pack, made if it is not there yet."""
    try:
        result = open_run(out)
    except MirrorsetError:
        return run_model(pack, files, kernel, threads, out)
    ran = {net: key.model_sha256 for net, key in result.record.tried.items()}
    wanted = {net: file_sha256(file) for net, file in files.items()}
    is_same = (result.record.pack_digest, ran) == (pack.record.digest, wanted)
    return result if is_same else run_model(pack, files, kernel, threads, out)


@task(name="parity-compare")
def compare_once(
    workspace: Workspace,
    pack: Pack,
    reference: RunResult,
    candidate: RunResult,
    gates: tuple[Gate, ...],
) -> tuple[Comparison, Path]:
    """Compare two runs and keep the verdicts."""
    comparison = compare_runs(
        pack, reference, candidate, gates or load_gates(gates_file(pack.chain))
    )
    path = runs_folder(workspace, pack) / f"comparison-{candidate.name}.json"
    write_comparison(path, comparison)
    return comparison, path


def runs_folder(workspace: Workspace, pack: Pack) -> Path:
    """Where runs and comparisons on this pack lie."""
    return workspace.parity / f"{pack.record.release}-{pack.record.version}"


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
