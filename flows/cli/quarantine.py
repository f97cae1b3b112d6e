"""`mirrorset quarantine`: what is in doubt and why, and what a named person decides on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.app import HERE, Home, Json, show
from mirrorset.terminal import echo

if TYPE_CHECKING:
    from mirrorset.records import Decision

app = typer.Typer(
    help="Images in doubt: possible minors, and licences that hold no longer.",
    no_args_is_help=True,
)

ImageId = Annotated[
    str, typer.Argument(metavar="IMAGE_ID", help="The id, or its first 8 digits or more.")
]
By = Annotated[str, typer.Option(help="Who decides: a name that can be asked later.")]
Reason = Annotated[
    str, typer.Option(help="On what evidence: the source's own words, a known public figure.")
]


@app.command("list")
def list_held(home: Home = HERE, is_json: Json = False) -> None:
    """List the images in quarantine: since when, why, and where they were seen.

    After 30 days (prelabel: quarantine_days; crawl: verify: quarantine_days) an image is due for
    erasure. Intimate pictures are in no list.
    """
    from flows.quarantine import listed

    found = listed(home)
    if is_json:
        show(found, is_json, "")
        return
    for one in found.held:
        seen = [
            f"{seen.source} · {seen.where} · {seen.author or 'no author'} · {seen.licence}"
            for seen in one.seen
        ]
        end = "due for erasure since" if one.is_due_for_erasure else "until"
        show(
            {
                "why": one.why,
                "since": f"{one.since:%Y-%m-%d}, {end} {one.expires_at:%Y-%m-%d}",
                "seen": seen,
            },
            is_json,
            f"{one.image_id} ({'stopped' if one.is_by_person else one.gate})",
        )
    images = len({one.image_id for one in found.held})
    echo(f"{images} images in quarantine; {len(found.due_for_erasure)} are due for erasure.")


@app.command()
def release(
    image: ImageId, by: By, reason: Reason, home: Home = HERE, is_json: Json = False
) -> None:
    """Let an image in doubt be used: somebody answers for all in it being adults.

    The decision is kept with name, reason and time, and holds when the image is labelled again. A
    licence that holds no longer, or an annotator's stop, is not overruled.

    Example: mirrorset quarantine release 3f9ac01b --by "Jane Doe" --reason "Page says born 1956"
    """
    from flows.quarantine import release as run

    _show([run(home, image, by, reason)], is_json, "Released")


@app.command()
def drop(image: ImageId, by: By, reason: Reason, home: Home = HERE, is_json: Json = False) -> None:
    """Keep an image out for good: never shown to annotators, never released. This is final.

    Example: mirrorset quarantine drop 3f9ac01b --by "Jane Doe" --reason "A school photograph"
    """
    from flows.quarantine import drop as run

    _show(run(home, image, by, reason), is_json, "Dropped")


@app.command()
def history(
    image: Annotated[
        str | None,
        typer.Argument(metavar="IMAGE_ID", help="The id, or its first 8 digits or more."),
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Show what was decided, by whom, when and why: of one image, or all."""
    from flows.quarantine import history as run

    decisions = run(home, image)
    _show(decisions, is_json, "")
    if not decisions and not is_json:
        echo("Nothing has been decided.")


def _show(decisions: "list[Decision]", is_json: bool, done: str) -> None:
    if is_json:
        show({"decisions": decisions}, is_json, "")
        return
    for one in decisions:
        what = done or {"release": "Released", "drop": "Dropped"}[one.action]
        show(
            {
                "gate": one.gate,
                "by": one.by,
                "reason": one.reason,
                "decided": f"{one.decided_at:%Y-%m-%d %H:%M} UTC",
            },
            is_json,
            f"{what} {one.image_id}",
        )
