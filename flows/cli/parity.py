"""`mirrorset parity`: seal a test set, run a model on it, judge what changed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.cli.app import HERE, Home, Json, show, working
from mirrorset.errors import GateError, SettingsError

app = typer.Typer(
    help="Does the model on the device still do its job? Real images, never random noise.",
    invoke_without_command=True,
)

Pack = Annotated[
    Path | None, typer.Option(help="A sealed pack's folder; by itself, the current release's.")
]


@app.callback()
def parity(context: typer.Context, home: Home = HERE, is_json: Json = False) -> None:
    """Without a subcommand: run the current release's pack on every kernel and compare."""
    if context.invoked_subcommand is not None:
        # `mirrorset parity --home DIR run` means the same as `mirrorset parity run --home DIR`.
        context.default_map = {context.invoked_subcommand: {"home": home, "is_json": is_json}}
        return
    from flows.parity import parity as run

    with working(is_json, home):
        result = run(home)
    if not is_json:
        for path in result.comparisons.values():
            _print_table(path)
    show(result, is_json, "Parity")
    if result.has_failed:
        raise GateError("A parity gate failed: the table says which, and by how much.")


@app.command()
def pack(
    out: Annotated[Path, typer.Option(help="The folder to seal into.")],
    release: Annotated[
        Path | None, typer.Option(help="A release's folder; by itself, the workspace's current.")
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Seal the test split of a release: originals, crops, reference outputs, checksums."""
    from flows.progress import bar
    from flows.release_state import current_version
    from mirrorset.elsewhere import note
    from mirrorset.workspace import open_workspace
    from parity.pack import PackParams, open_pack, seal

    workspace = open_workspace(home)
    folder = release or workspace.release(workspace.dataset.name, current_version(workspace))
    params = workspace.params("pack", PackParams)
    with working(is_json):
        progress = bar("seal")
        note(home, out)
        sealed = open_pack(seal(folder, out, params, workspace.settings.models, progress.step))
    show(sealed.record.model_dump(include=_PACK_FIELDS), is_json, f"Sealed into {out}")


_PACK_FIELDS = {"release", "version", "split", "review_state", "item_count", "digest"}


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="The folder that gets outputs and parity key.")],
    pack: Pack = None,
    model: Annotated[
        Path | None, typer.Option(help="A .tflite file; by itself, face_landmarker's.")
    ] = None,
    kernel: Annotated[str, typer.Option(help="reference, optimised or xnnpack.")] = "xnnpack",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Run a model on every image of a pack, on one kind of kernel."""
    from flows.progress import bar
    from mirrorset.elsewhere import note
    from mirrorset.settings import read_settings
    from parity.kernels import KERNELS
    from parity.models import default_model
    from parity.pack import open_pack
    from parity.run import run as run_model

    chosen = next((each for each in KERNELS if each == kernel), None)
    if chosen is None:
        raise SettingsError(f"--kernel {kernel} is none of {', '.join(KERNELS)}.")
    with working(is_json):
        opened = open_pack(pack or _current_pack(home))
        note(home, out)
        progress = bar("run", total=opened.record.item_count)
        result = run_model(
            opened,
            model or default_model(read_settings(home).models),
            chosen,
            threads,
            out,
            on_item=progress.step,
        )
    latency = result.latency.model_dump() if result.latency else None
    show({"key": result.key.model_dump(), "latency": latency}, is_json, f"Ran into {out}")


@app.command()
def compare(
    candidate: Annotated[Path, typer.Option(help="The run to judge.")],
    out: Annotated[Path, typer.Option(help="The file that gets the comparison, as JSON.")],
    pack: Pack = None,
    reference: Annotated[
        Path | None, typer.Option(help="The run to hold it against; by itself, the sealed one.")
    ] = None,
    gates: Annotated[Path | None, typer.Option(help="A YAML file of gates.")] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Judge one run against another; the exit code is 7 where a gate fails."""
    from parity.compare import compare as compare_runs
    from parity.compare import write_comparison
    from parity.gates import DEFAULT_GATES, load_gates
    from parity.pack import open_pack
    from parity.run import open_run, reference_of

    opened = open_pack(pack or _current_pack(home))
    before = open_run(reference) if reference else reference_of(opened)
    comparison = compare_runs(
        opened, before, open_run(candidate), load_gates(gates or DEFAULT_GATES)
    )
    write_comparison(out, comparison)
    if is_json:
        show(comparison, is_json, "")
    else:
        _print_table(out)
    if comparison.has_failed:
        raise GateError(f"A parity gate failed: {out} says which, and by how much.")


@app.command("ingest-log")
def ingest_log(
    files: Annotated[
        list[Path],
        typer.Argument(help="What benchmark_model or litert-benchmark printed."),
    ],
    device: Annotated[str, typer.Option(help="The device, where the logs do not say it.")] = "",
    model: Annotated[
        Path | None, typer.Option(help="The .tflite file that ran, for its sha256.")
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Keep the latencies that devices measured; the exit code is 7 where a run had failed."""
    from flows.parity import ingest_logs
    from parity.logs.table import render

    kept = ingest_logs(home, files, device, model)
    failed = [run for run in kept.runs if run.failure]
    counts = {"new": kept.new, "extended": kept.extended, "known": kept.known}
    if is_json:
        show({**counts, "failed": len(failed), "runs": kept.runs}, is_json, "")
    else:
        Console().print(render(kept.runs))
        show({**counts, "failed": len(failed)}, is_json, "Benchmark runs kept")
    if failed:
        raise GateError(
            f"{len(failed)} of {len(kept.runs)} benchmark runs failed on their device: "
            f"{failed[0].failure}"
        )


def _current_pack(home: Path) -> Path:
    from flows.release_state import current_version
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(home)
    return workspace.pack(workspace.dataset.name, current_version(workspace))


def _print_table(comparison: Path) -> None:
    from parity.compare import read_comparison
    from parity.table import render

    console = Console()
    console.print(render(read_comparison(comparison)))
    console.print()
