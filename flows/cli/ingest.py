"""`mirrorset parity ingest…`: what devices gave back."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.app import HERE, Home, Json, show
from flows.cli.parity import Pack, app
from mirrorset.errors import GateError
from mirrorset.terminal import Terminal, echo


@app.command()
def ingest(
    run: Annotated[Path, typer.Argument(help="What a device wrote: a folder, tar or .npz.")],
    pack: Pack = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Check a run that a device wrote, all its faults at once, and keep it for `compare`."""
    from flows.ingest import ingest_run

    kept = ingest_run(home, run, pack)
    result = {"path": kept.path, "is_new": kept.is_new, "images": len(kept.record.image_ids)}
    if is_json:
        show({**result, "keys": kept.record.tried, "faults": kept.faults}, is_json, "")
        return
    show(result, is_json, f"Kept as {kept.path.name}")
    for fault in kept.faults:
        echo(f"  For a comparison to judge: {fault.detail}.")


@app.command("ingest-log")
def ingest_log(
    files: Annotated[
        list[Path],
        typer.Argument(help="What benchmark_model or litert-benchmark printed or wrote as JSON."),
    ],
    device: Annotated[str, typer.Option(help="The device, where the logs do not say it.")] = "",
    model: Annotated[
        Path | None, typer.Option(help="The .tflite file that ran, for its sha256.")
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Keep the latencies that devices measured; the exit code is 7 where a run had failed."""
    from flows.ingest import ingest_logs
    from parity.logs.table import render

    kept = ingest_logs(home, files, device, model)
    failed = [run for run in kept.runs if run.failure]
    counts = {
        "new": kept.new,
        "extended": kept.extended,
        "known": kept.known,
        "failed": len(failed),
    }
    if is_json:
        show({**counts, "runs": kept.runs}, is_json, "")
    else:
        Terminal().print(render(kept.runs))
        show(counts, is_json, "Benchmark runs kept")
    if failed:
        raise GateError(
            f"{len(failed)} of {len(kept.runs)} benchmark runs failed on their device: "
            f"{failed[0].failure}"
        )
