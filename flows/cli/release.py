"""`mirrorset release`: make a version, say what lies between two, convert one."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.app import HERE, Home, Json, show, working
from mirrorset.errors import GateError, InputError, SettingsError
from mirrorset.terminal import Terminal, echo

app = typer.Typer(invoke_without_command=True)


@app.callback()
def release(
    context: typer.Context,
    version: Annotated[
        str | None, typer.Option(help="For example 1.2.0; by itself, the next minor version.")
    ] = None,
    is_dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Count what each gate and threshold of params.yaml would keep out, and "
            "change nothing.",
        ),
    ] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Freeze the catalogue into a versioned release: Parquet, a git tag, DVC data, pushed.

    Where nothing has changed since the last one, nothing is released.
    """
    if context.invoked_subcommand is not None:
        # `mirrorset release --home DIR diff` means the same as `mirrorset release diff --home DIR`.
        context.default_map = {context.invoked_subcommand: {"home": home, "is_json": is_json}}
        return
    if is_dry_run:
        if version is not None:
            raise SettingsError("--dry-run makes no version: leave --version out.")
        _show_costs(home, is_json)
        return
    from flows.release import release as run

    with working(is_json, home):
        result = run(home, version)
    show(result, is_json, "Released" if result.is_new else "Unchanged since the last release")


def _show_costs(home: Path, is_json: bool) -> None:
    from flows.release import dry_run

    costs = dry_run(home)
    if is_json:
        show(costs, is_json, "")
        return
    from curation.costs_table import tables

    console = Terminal()
    for table in tables(costs):
        console.print(table)
    summary = costs.model_dump(exclude={"gates", "limits"})
    show({name: value for name, value in summary.items() if value != ""}, is_json, "Would select")
    echo("The split may keep out more: test images that nobody has reviewed, copies across splits.")


ProposalId = Annotated[
    str, typer.Argument(help="Of the proposal that you looked at: nothing else is decided on.")
]
By = Annotated[str, typer.Option(help="Your name: it is kept with the decision.")]
Why = Annotated[str, typer.Option(help="Why: it is kept with the decision.")]


@app.command()
def proposal(home: Home = HERE, is_json: Json = False) -> None:
    """Show the release that a run of the schedule has proposed and waits with."""
    from flows.serving.approval import how_ended, waiting
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(home)
    asked = waiting(workspace)
    if asked is None:
        raise InputError(f"No release of {home} waits for approval.")
    if how := how_ended(workspace, asked):
        raise InputError(
            f"The run that proposed release {asked.proposal.version} has ended ({how}): the next "
            "run of scheduled-release proposes it anew."
        )
    show(asked, is_json, "Waiting for approval")


@app.command()
def approve(
    proposal_id: ProposalId, by: By, reason: Why = "", home: Home = HERE, is_json: Json = False
) -> None:
    """Approve the release that a run of the schedule has proposed and waits with."""
    _decide(proposal_id, True, by, reason, home, is_json)


@app.command()
def reject(
    proposal_id: ProposalId, by: By, reason: Why = "", home: Home = HERE, is_json: Json = False
) -> None:
    """Reject the release that a run of the schedule has proposed and waits with."""
    _decide(proposal_id, False, by, reason, home, is_json)


def _decide(
    proposal_id: str, is_approved: bool, by: str, reason: str, home: Path, is_json: bool
) -> None:
    import os

    from flows.prefect_server import use
    from flows.serve import served_at
    from mirrorset.workspace import open_workspace

    workspace = open_workspace(home)
    if "PREFECT_API_URL" not in os.environ and (api_url := served_at(workspace)):
        use(api_url)
    from flows.serving.approval import decide

    asked = decide(workspace, proposal_id, is_approved, by, reason)
    told = "Approved: its run releases it" if is_approved else "Rejected"
    show(asked.proposal, is_json, told)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A version of the dataset, or a release's folder.")],
    after: Annotated[str, typer.Argument(help="The version, or folder, to hold against it.")],
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Say what changed from one release to another: images, labels, licences, figures.

    No image may lie in another split than before: where one does, the exit code is 7.
    """
    from curation.difference import difference
    from flows.release_state import released

    found = difference(released(home, before), released(home, after))
    if is_json:
        show(found, is_json, "")
    else:
        from curation.difference_table import tables

        console = Terminal()
        for table in tables(found):
            console.print(table)
    if found.moved:
        raise GateError(
            f"{len(found.moved)} images or groups lie in another split than before: what was "
            "trained on would be tested on, so compare no results of the two releases."
        )


@app.command()
def convert(
    release: Annotated[
        str, typer.Argument(help="A version of the dataset, or a release's folder.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    to: Annotated[
        Literal["coco", "pts", "yolo", "webdataset", "tfrecord"],
        typer.Option(help="COCO Keypoints, 300-W, YOLO pose, WebDataset or TFRecord."),
    ],
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option(help="By itself, all three."),
    ] = None,
    landmarks: Annotated[
        str, typer.Option(help="The landmark schema whose points are written.")
    ] = "ibug68",
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Write a release as COCO Keypoints, 300-W .pts, YOLO pose, WebDataset tars or TFRecords.

    docs/releases.md says how each counts pixels. Authors and licences go with the pictures.
    """
    from curation.convert import convert as run
    from flows.progress import bar
    from flows.release_state import released
    from mirrorset.elsewhere import note

    opened = released(home, release, split)
    with working(is_json):
        progress = bar("convert", total=len(opened))
        note(home, out)
        result = run(opened, out, to, landmarks, progress.step)
    show(result, is_json, f"Converted into {out}")
