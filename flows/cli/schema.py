"""`mirrorset annotate schema`: the labels of the project in CVAT, and those of the schema file."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.app import HERE, Home, Json, show
from mirrorset.terminal import echo

if TYPE_CHECKING:
    from annotation.cvat.project import Difference

app = typer.Typer(
    help="Make the project in CVAT from a label schema, and keep it up to that.",
    no_args_is_help=True,
)

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="SCHEMA",
        help="A file of annotation/schemas, without .yaml.",
        show_default="the one that params.yaml names",
    ),
]


@app.command()
def diff(name: Name = None, home: Home = HERE, is_json: Json = False) -> None:
    """Say what `apply` would do to the project in CVAT; nothing is changed.

    Each change is done, kept (the server will not take it, and it harms nothing) or broken: it
    would delete or falsify annotations, and apply would refuse the schema. The exit code is 1 where
    one is broken.
    """
    from flows.schema import difference

    found = difference(home, name)
    if is_json:
        show(found, is_json, "")
    else:
        _print(found)
    if found.plan.broken:
        raise typer.Exit(1)


def _print(found: "Difference") -> None:
    if found.project_id is None:
        echo("There is no project yet; apply makes one:")
    else:
        echo(f"Project {found.project_id}:")
    lines = [("done", str(change)) for change in found.plan.done]
    lines += [("kept", str(change)) for change in found.plan.kept]
    lines += [
        ("broken", f"{change}: {use.annotations} annotations on {use.images} images")
        for change, use in found.plan.broken
    ]
    lines += [] if found.is_guide_current else [("done", "the guide is uploaded")]
    for word, what in lines or [("same", "nothing would change")]:
        echo(f"  {word:<6}  {what}")


@app.command()
def apply(name: Name = None, home: Home = HERE, is_json: Json = False) -> None:
    """Create the project in CVAT from the schema, or bring it up to it, its guide included.

    No annotation is lost: a change that would delete or falsify one is refused, and nothing is
    done. What the server took is read back. Applying again does nothing; so a run that was stopped
    or killed is finished by the next.
    """
    from flows.schema import apply as run

    result = run(home, name)
    if is_json:
        show(result, is_json, "")
        return
    echo(f"Project {result.project_id} {'is made' if result.is_new else 'is up to date'}.")
    lines = [("done", one) for one in result.done] + [("kept", one) for one in result.kept]
    lines += [("done", "the guide is uploaded")] if result.is_guide_new else []
    for word, what in lines:
        echo(f"  {word:<6}  {what}")
