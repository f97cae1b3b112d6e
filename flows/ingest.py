"""What devices gave back comes into the workspace: runs, and logs of benchmark tools."""

from collections.abc import Sequence
from pathlib import Path

from flows.judging import benchmarks_folder, current_pack, runs_folder
from mirrorset.errors import InputError
from mirrorset.workspace import open_workspace
from parity.ingest import Ingested, ingest
from parity.logs.read import of_model, read_log, united
from parity.logs.records import BenchmarkRun
from parity.logs.store import Kept, keep_runs
from parity.pack import open_pack


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
        rest = len(files) - len(faults)
        count = f"{len(faults)} of {len(files)} logs cannot be used, the other {rest} are kept: "
        raise InputError((count if rest else "") + "; ".join(faults) + ".")
    return kept


def ingest_run(home: Path, run: Path, pack: Path | None = None) -> Ingested:
    """Keep the run that a device wrote among those on its pack; by itself the current release's.

    Raises InputError and IntegrityError where pack or run cannot be used, with all the run's
    faults.
    """
    workspace = open_workspace(home)
    opened = open_pack(pack) if pack else current_pack(workspace)
    with workspace.locked():
        return ingest(run, opened, runs_folder(workspace, opened))
