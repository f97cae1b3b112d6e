"""The jobs of the pipeline, one command each, named as their flows are."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.app import HERE, Home, Json, Result, app, show, working
from mirrorset.errors import InputError, SettingsError, UnavailableError
from mirrorset.terminal import echo

if TYPE_CHECKING:
    from crawlers.order import CrawlSummary
    from flows.erase import Listing
    from mirrorset.erasure import Certificate

crawl = typer.Typer(invoke_without_command=True)
app.add_typer(crawl, name="crawl")


@app.command()
def init(
    folder: Annotated[
        Path | None, typer.Argument(help="The folder, which may exist; by itself, --home.")
    ] = None,
    remote: Annotated[
        str | None,
        typer.Option(help="Where releases are pushed: a folder, s3://bucket/path, ssh://…"),
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(help="The S3 server of --remote s3://…, where it is not Amazon's."),
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Make a workspace: git, DVC, params.yaml, dvc.yaml, settings.

    Files that exist stay as they are, so running it again completes a workspace. Credentials of
    the remote stay in the environment, or in .dvc/config.local, which git does not see.
    """
    from mirrorset.workspace import init as run

    workspace = run(folder or home, remote, endpoint_url)
    show(
        {
            "workspace": str(workspace.home),
            "remote": workspace.remote,
            "next": "name your sources in params.yaml, then run `mirrorset crawl`",
        },
        is_json,
        "A workspace is ready",
    )


@crawl.callback()
def crawl_sources(
    context: typer.Context,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that share each source, every host asked by one of them alone; "
            "params.yaml says it otherwise.",
        ),
    ] = None,
    is_dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read listings and pages and count what would be fetched; fetch and keep nothing.",
        ),
    ] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Crawl the sources of params.yaml: original bytes, a licence receipt for each.

    What is known already is not fetched again; what is refused is counted by reason. A crawl that
    was stopped or killed goes on where it was.

    `mirrorset crawl receipts IMAGE_ID` shows what was kept of an image's licence.
    """
    if context.invoked_subcommand is not None:
        return
    from flows.crawl import crawl as run

    with working(is_json, home):
        result = run(home, shards=shards, is_dry_run=is_dry_run)
    if is_json:
        show(result, is_json, "")
    elif is_dry_run:
        told = _told(result, {"found", "would_fetch", "rejected"})
        show(told, is_json, "Nothing was fetched or kept; a first crawl would do this")
    else:
        told = _told(result, {"found", "stored", "already_known", "rejected"})
        show(told, is_json, "Crawled")
    if any(one.fault for one in result.values()):
        raise typer.Exit(UnavailableError.exit_code)


def _told(result: "dict[str, CrawlSummary]", always: set[str]) -> dict[str, dict[str, object]]:
    """These counts, and what waits or went wrong where something does."""
    return {
        name: {
            field: value
            for field, value in one
            if field in always or (value and field in ("waiting", "fault"))
        }
        for name, one in result.items()
    }


@crawl.command()
def receipts(
    image: Annotated[
        str | None,
        typer.Argument(metavar="IMAGE_ID", help="The id, or its first 8 digits or more."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Without IMAGE_ID: the file that gets all receipts, one a line as JSON."),
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Show where an image's licence was read, in whose words and when; or export all receipts.

    A receipt's id is a hash of the rest of it: whoever has the file can tell that nothing in it
    was changed.
    """
    if (image is None) == (out is None):
        raise SettingsError("Give an IMAGE_ID to look at, or --out FILE.jsonl to export them all.")
    from mirrorset.catalogue.receipts import sightings_of
    from mirrorset.elsewhere import note
    from mirrorset.receipts import receipt, write_receipts
    from mirrorset.records import Sighting
    from mirrorset.workspace import open_workspace

    with open_workspace(home).catalogue() as catalogue:
        if out is not None:
            note(home, out)
            count = write_receipts(out, catalogue.read(Sighting))
            show({"exported": count, "file": str(out)}, is_json, "Receipts")
            return
        if image is not None:
            shown = [receipt(sighting) for sighting in sightings_of(catalogue, image)]
    if is_json:
        show({"receipts": shown}, is_json, "")
        return
    for one in shown:
        show(one, is_json, f"Receipt {one.receipt_id[:12]}")


@app.command()
def verify_licences(
    is_all: Annotated[
        bool, typer.Option("--all", help="Check every receipt, however recently it was checked.")
    ] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Ask again whether each picture may be used; put those in quarantine that may not.

    Asked are the receipts that were not checked for 30 days (crawl: verify: every_days), and all in
    quarantine. A picture that is gone, private, under a licence that no longer allows the use, or
    opted out is neither shown to annotators nor released; after 30 days (quarantine_days) it is due
    for erasure. The releases that hold it are listed. A server in trouble changes nothing.
    """
    from flows.verify import verify as run

    with working(is_json, home):
        result = run(home, is_all)
    show(result, is_json, "Verified")
    if result.releases and not is_json:
        echo("Release again: the next version leaves these images out.")
    if result.unasked:
        raise UnavailableError(
            f"{len(result.unasked)} sources could not be asked: run it again later; "
            f"{'; '.join(result.unasked.values())}"
        )


@app.command()
def prelabel(
    images: Annotated[
        Path | None,
        typer.Option(help="Label the pictures of this plain folder instead of the catalogue's."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="With --images: the file that gets one Annotation a line; what was rejected goes "
            "beside it, to NAME.rejected.jsonl."
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="With --images: which models; params.yaml says it otherwise.")
    ] = "research",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes of this machine that share the catalogue's images.",
            show_default="one a core",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler (tcp://…:8786) whose workers do it; mirrorset.toml says it "
            "otherwise.",
        ),
    ] = None,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Find faces, landmarks, pose, mask and light with pretrained models.

    Without --images: everything in the catalogue that these models have not labelled yet. A run
    that was stopped or killed goes on after the shards that it finished; so do workers that die.
    """
    if (images is None) != (out is None):
        raise SettingsError("--images and --out go together: a folder to read, a file to write.")
    if workers and cluster:
        raise SettingsError("Name --workers of this machine or a --cluster, not both.")
    if images is not None and out is not None:
        if workers or cluster:
            raise SettingsError("--workers and --cluster label the catalogue, not a folder.")
        _prelabel_folder(images, out, profile, home, is_json)
        return
    from flows.prelabel import prelabel as run

    with working(is_json, home):
        result = run(home, workers, cluster)
    show(result, is_json, "Labelled by models")


def _prelabel_folder(images: Path, out: Path, profile: str, home: Path, is_json: bool) -> None:
    from annotation.prelabel import PrelabelParams, label_folder, prelabel_profile
    from flows.progress import bar
    from mirrorset.records import utc_now
    from mirrorset.settings import read_settings

    with working(is_json):
        progress = bar("prelabel")
        params = PrelabelParams(profile=profile)
        loaded = prelabel_profile(params, read_settings(home).models)
        summary = label_folder(images, out, loaded, params, progress.step, at=utc_now())
    show(summary, is_json, f"Labelled into {out}")


@app.command()
def report(home: Home = HERE, is_json: Json = False) -> None:
    """Render the current release as a page: images, rejections, coverage, parity.

    What `mirrorset annotate qa` found last becomes a second page. `mirrorset view` shows both.
    """
    from flows.report import report as run

    with working(is_json, home):
        pages = run(home)
    show(pages, is_json, "Rendered")


@app.command()
def demo(
    portraits: Annotated[
        int | None, typer.Option(min=0, help="Take only so many of the 158 portraits.")
    ] = None,
    is_offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing: use what is in the cache.")
    ] = False,
    home: Annotated[Path, typer.Option(help="The folder the demo works in.")] = Path("demo"),
    is_json: Json = False,
) -> None:
    """Run the whole way once, on real portraits served by this machine to itself.

    Crawl, pre-label, CVAT archive, verdict, release, parity and a page to look at. A second run
    finds its work done and is much faster.
    """
    # The demo is for itself: it takes no server or profile of Prefect's from this machine.
    os.environ.pop("PREFECT_API_URL", None)
    prefect_home = home.resolve() / ".mirrorset" / "prefect"
    try:
        prefect_home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{home} cannot be used: {error.strerror}: name another folder.") from None
    os.environ["PREFECT_HOME"] = str(prefect_home)
    from flows.demo.summary import print_summary
    from flows.demo.tour import tour

    with working(is_json):
        result = tour(home, portraits, is_offline)
    if is_json:
        show(result, is_json, "")
    else:
        print_summary(result)


@app.command()
def status(
    patience: Annotated[
        float, typer.Option(min=0, help="Days after which jobs that nobody changed are stuck.")
    ] = 7,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Show what is where, what is stuck since when, and what ran last; nothing is changed.

    `mirrorset annotate status` tells more of batches, jobs and annotators.
    """
    from flows.overview import overview

    now = overview(home, patience)
    if is_json:
        show(now, is_json, "")
        return
    there = {
        **dict(now.images),
        "quarantined": now.quarantined,
        "erasure_due": now.erasure_due,
        "spooled": now.spooled,
        "release": now.release,
    }
    there["blobs"] = dict(now.blobs) if now.blobs else "unknown"
    show(there, is_json, "There are")
    echo("Stuck" if now.stuck else "Nothing is stuck")
    for one in now.stuck:
        since = f"since {one.since:%Y-%m-%d %H:%M} UTC" if one.since else "since unknown"
        echo(f"  {one.what}, {since}", f"    → {one.remedy}")
    if now.ui_url:
        echo(f"Prefect's page of `mirrorset serve`: {now.ui_url}")
    echo("Last runs" if now.runs else "Nothing has run yet")
    for run in now.runs:
        echo(f"  {run.began_at:%Y-%m-%d %H:%M} UTC  {run.flow:<12} {run.state}  {run.fault}")


@app.command()
def doctor(home: Home = HERE, is_json: Json = False) -> None:
    """Say what works on this machine and what does not, and what to do.

    Looked at are this machine, the workspace, and the servers and credentials that its settings
    name. The exit code is 4 where something that is set cannot work. Nothing is changed.
    """
    from flows.doctor import examine

    findings = examine(home)
    if is_json:
        show({"findings": findings}, is_json, "")
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            echo(f"{finding.verdict:<8} {finding.name:<{width}}  {finding.found}")
            if finding.remedy:
                echo(f"{'':<8} → {finding.remedy}")
    failing = [finding.name for finding in findings if finding.verdict == "fails"]
    if failing:
        raise UnavailableError(f"Not ready: {', '.join(failing)}; the list says what to do.")


@app.command()
def erase(
    image_ids: Annotated[
        list[str] | None,
        typer.Option("--image-id", help="An id or its first digits; may be given several times."),
    ] = None,
    page_urls: Annotated[
        list[str] | None,
        typer.Option("--page-url", help="All that was seen on this page; several times."),
    ] = None,
    author: Annotated[
        str, typer.Option(help="All that sources name this author of, in whatever case.")
    ] = "",
    like: Annotated[
        Path | None,
        typer.Option(help="A picture: the same photograph, in any size or quality, or mirrored."),
    ] = None,
    is_due: Annotated[
        bool,
        typer.Option(
            "--due", help="What was dropped, whose quarantine expired, or that is kept too long."
        ),
    ] = False,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List all that would be removed; change nothing.")
    ] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Erase images from every place and every version, and certify it. This is final.

    Versions that held one are withdrawn, and succeeded by ones without it; a tombstone stops
    another crawl from bringing it back. Killed, or where a place could not be reached (exit code
    4), run the same again: it goes on where it was.

    Example: mirrorset erase --page-url https://example.org/photos/17 --dry-run
    """
    from flows.asked import Asked

    asked = Asked(
        images=tuple(image_ids or ()),
        pages=tuple(page_urls or ()),
        author=author,
        like=like,
        is_due=is_due,
    )
    asked.require_some()
    with working(is_json, home):
        if is_dry_run:
            from flows.erase import dry_run

            listing = dry_run(home, asked)
            show(
                _as_lines(listing, is_json),
                is_json,
                "Nothing was changed; an erasure would do this",
            )
            return
        from flows.certificates import certificate_file
        from flows.erase import erase as run
        from flows.erase import order
        from mirrorset.records import utc_now

        began_at = utc_now()
        erasure_id = order(home, asked)
        certificate = run(home, erasure_id) if erasure_id else None
    if certificate is None:
        show({"images": []}, is_json, "Nothing is due to be erased")
        return
    title = "Erased" if certificate.ended_at >= began_at else "Erased before"
    if not certificate.removed:
        title = "Nothing of it was found anywhere; it is barred from now on"
    show(_as_lines(certificate, is_json), is_json, title)
    if not certificate.is_complete:
        file = certificate_file(home / ".mirrorset", certificate.erasure_id).with_suffix(".md")
        raise UnavailableError(
            f"{len(certificate.unreached)} places could not be reached, {file} names them: run the "
            "same again when they can be."
        )


def _as_lines(result: "Listing | Certificate", is_json: bool) -> Result:
    """A line for each place, for people."""
    if is_json:
        return result
    values = result.model_dump()
    removed = "would_remove" if "would_remove" in values else "removed"
    values[removed] = {f"{one['place']} · {one['name']}": one["count"] for one in values[removed]}
    values["unreached"] = [
        f"{one['place']} {one['name']}: {one['why']}" for one in values["unreached"]
    ]
    if "withdrawn" in values:
        values["withdrawn"] = [
            f"{one['name']}-{one['version']} → {one['successor'] or 'no successor'}"
            for one in values["withdrawn"]
        ]
    return values
