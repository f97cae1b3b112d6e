"""Images to annotators in CVAT and back: `mirrorset annotate …`."""

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
