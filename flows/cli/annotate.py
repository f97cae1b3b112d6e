"""Images to annotators in CVAT and back: `mirrorset annotate …`."""

from typing import Annotated

import typer

from flows.cli.app import HERE, Home, Json, show, working

app = typer.Typer(
    help="Send images to annotators in CVAT and take back what they return.", no_args_is_help=True
)


@app.command()
def push(home: Home = HERE, is_json: Json = False) -> None:
    """Put the labelled images that no batch holds yet before annotators, worst labels first.

    They go to the CVAT server that mirrorset.toml names (cvat_url), or into archives for one. A
    push that was stopped or killed is completed.
    """
    from flows.annotate import push as run

    with working(is_json, home):
        result = run(home)
    show(result, is_json, "Pushed")


@app.command()
def pull(home: Home = HERE, is_json: Json = False) -> None:
    """Take back what annotators returned, and judge it; what nobody touched stays the models'."""
    from flows.annotate import pull as run

    with working(is_json, home):
        result = run(home)
    show(result, is_json, "Pulled")


@app.command()
def qa(
    is_reopening: Annotated[
        bool,
        typer.Option(
            "--issues/--no-issues",
            help="Whether what is suspicious becomes an issue in CVAT, where batches are on a "
            "server; params.yaml says it otherwise.",
        ),
    ] = True,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Measure what people returned: agreement with gold and each other, and what they corrected.

    Labels that fail are not released; what is suspicious is pointed out where it was drawn. Run it
    after `pull`. All figures are in .mirrorset/qa.json.
    """
    from flows.qa import qa as run

    with working(is_json, home):
        result = run(home, is_reopening)
    if is_json:
        show(result, is_json, "")
        return
    from rich.console import Console

    from annotation.qa_table import tables
    from flows.annotate import label_schema
    from mirrorset.workspace import open_workspace

    schema = label_schema(open_workspace(home))
    console = Console()
    for table in tables(result.report, schema.skeleton.name, schema.face.name):
        console.print(table)
    report = result.report
    show(
        {
            "reviewed": report.reviewed,
            "failed": report.failed,
            "suspicious": report.suspicious,
            "issues": result.issues,
            "never_set": [f"{one.attribute} by {one.annotator}" for one in report.untouched],
            "replace_first": list(report.replace),
            "file": result.file,
        },
        is_json,
        "Judged",
    )
