"""Images to annotators in CVAT and back: `mirrorset annotate …`."""

from typing import Annotated

import typer

from flows.cli import quality, schema
from flows.cli.app import HERE, Home, Json, show, working
from mirrorset.terminal import echo

app = typer.Typer(
    help="Send images to annotators in CVAT and take back what they return.", no_args_is_help=True
)
app.add_typer(schema.app, name="schema")
app.command()(quality.qa)
app.command()(quality.status)


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
def listen(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8077,
    every: Annotated[
        float, typer.Option(min=1, help="Seconds after which it pulls also without news.")
    ] = 300,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Pull again and again: now and then, and at once when the CVAT server tells of a change.

    Make a webhook for the project on the server, with the address of this machine as its target,
    the events of jobs and tasks, and a secret; set MIRRORSET_CVAT_WEBHOOK_SECRET to the same. What
    is not signed with it is not heard. Ctrl-C ends it.
    """
    from flows.listen import listen as run

    with working(is_json, home):
        for result in run(home, host, port, every):
            show(result, is_json, "Pulled")


@app.command()
def erase(
    images: Annotated[list[str], typer.Argument(help="Image ids, or their first digits.")],
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Take images away from annotators for good: their tasks are made anew without them.

    All other labels, and the stages, states and assignees of jobs, stay as they are. Killed in the
    middle, it is completed when it is run again.
    """
    from flows.annotate import erase as run

    with working(is_json, home):
        result = run(home, images)
    show(result, is_json, "Erased from annotation")
    if result.in_no_batch and not is_json:
        echo(
            f"No batch holds {result.in_no_batch} of {result.images} images: there was nothing to "
            "take away, and they will not be pushed."
        )
