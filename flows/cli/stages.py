"""What dvc.yaml calls: one plain function a stage, in the workspace that DVC runs in."""

from pathlib import Path

import typer

app = typer.Typer(help="One stage of dvc.yaml; `dvc repro` calls these.")


@app.command()
def select() -> None:
    """Keep the images that pass every gate."""
    from curation.gates import SelectParams
    from curation.select import select as run
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(Path())
    params = workspace.params("select", SelectParams)
    run(workspace.snapshot, workspace.work, workspace.dataset.intended_use, params)


@app.command()
def group() -> None:
    """Find what belongs together: near-duplicates, and one person's images where asked."""
    from curation.group import GroupParams
    from curation.group import group as run
    from faces.identity import require_licensed
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(Path())
    params = workspace.params("group", GroupParams)
    require_licensed(params.identity, workspace.dataset.intended_use)
    counts = run(
        workspace.snapshot, workspace.work, workspace.blobs, params, workspace.settings.models
    )
    typer.echo(
        f"{counts.images} images in {counts.groups} groups, the largest of {counts.largest}; "
        f"{counts.oversized} groups are oversized; {counts.strangers} pairs with close hashes show "
        "strangers."
    )
    if params.identity:
        typer.echo(
            f"Identity joined {counts.joined} groups to others; {counts.look_alikes} pairs of "
            "faces are alike and stay apart, since the others of their people are not."
        )


@app.command()
def split() -> None:
    """Give every selected image its place from the ledger."""
    from curation.split import split as run
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(Path())
    run(workspace.snapshot, workspace.work, is_unreviewed=workspace.dataset.is_unreviewed)


@app.command()
def build() -> None:
    """Write the release's folder."""
    from curation.build import build as run
    from flows.release_state import read_state
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(Path())
    version = read_state(workspace).version
    run(
        workspace.work,
        workspace.blobs,
        workspace.release(workspace.dataset.name, version),
        dataset=workspace.dataset,
        version=version,
        responsible=workspace.responsible,
    )


@app.command()
def measure() -> None:
    """Count, in aggregate."""
    from curation.measure import measure as run
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(Path())
    run(workspace.snapshot, workspace.work, workspace.home / "data")


@app.command()
def pack() -> None:
    """Seal the test split."""
    from flows.release_state import current_version
    from mirrorset.workspace import open_workspace
    from parity.pack import PackParams, seal

    workspace = open_workspace(Path())
    name, version = workspace.dataset.name, current_version(workspace)
    params = workspace.params("pack", PackParams)
    # A release that was declared unreviewed has been, and so is its own pack.
    is_unreviewed = params.is_unreviewed or workspace.dataset.is_unreviewed
    seal(
        workspace.release(name, version),
        workspace.pack(name, version),
        params.model_copy(update={"is_unreviewed": is_unreviewed}),
        workspace.settings.models,
    )


@app.command()
def parity() -> None:
    """Run the models and their variants on the sealed test split, and judge all runs on it."""
    from flows.judging import current_pack, judge_all, plans, runs_folder, show_all
    from mirrorset.workspace import open_workspace
    from parity.fleet import run_once
    from parity.plan import ParityParams

    workspace = open_workspace(Path())
    params = workspace.params("parity", ParityParams)
    opened = current_pack(workspace)
    for planned in plans(workspace, opened, params):
        out = runs_folder(workspace, opened) / planned.name(opened.chain, params.threads)
        run_once(opened, planned, params, out)
    show_all(workspace, opened, judge_all(workspace, opened, params))
