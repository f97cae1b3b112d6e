"""How far annotation is, and how good: `mirrorset annotate status` and `annotate qa`."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.app import HERE, Home, Json, show, working
from mirrorset.terminal import Terminal, echo_json


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
    from annotation.qa_table import tables
    from flows.exchanges import label_schema
    from mirrorset.workspace import open_workspace

    schema = label_schema(open_workspace(home))
    console = Terminal()
    for table in tables(result.report, schema.skeleton.name, schema.face.name):
        console.print(table)
        console.print()
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


def status(
    is_watching: Annotated[
        bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(min=1, help="With --watch: seconds between two.")] = 5,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Show batches, jobs, annotators, progress and agreement, while others are at work.

    Jobs are as the CVAT server has them now, agreement as the last `annotate qa` found it. With
    --watch and --json, one object a line.
    """
    if is_watching:
        _watch(home, every, is_json)
        return
    from annotation.status_table import render
    from flows.status import status as run

    # A server that is away takes a while to be given up; only a terminal shows this.
    with Terminal(stderr=True).status("Asking for the jobs as they are now …"):
        now = run(home)
    if is_json:
        show(now, is_json, "")
    else:
        console = Terminal()
        console.print(render(now, console))


def _watch(home: Path, every_s: float, is_json: bool) -> None:
    """Screens on a terminal, what is known before the server answers first; else one by one."""
    from rich.live import Live

    from annotation.status_table import render, screen
    from flows.status import status as run
    from flows.status import watch

    console = Terminal()
    if is_json:
        for now in watch(home, every_s):
            echo_json(now.model_dump_json())
    elif not console.is_terminal:
        for now in watch(home, every_s):
            console.print(render(now, console))
    else:
        with Live(console=console, auto_refresh=False) as live:
            live.update(screen(run(home, is_asking=False), console), refresh=True)
            for turn, now in enumerate(watch(home, every_s)):
                live.update(screen(now, console, turn), refresh=True)
