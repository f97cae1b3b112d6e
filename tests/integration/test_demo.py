"""The demo keeps its promises: portraits in, every bad case out, the same after any kill."""

import json
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest
from demo_run import Demo, demo_command, refused, run, run_demo, started, with_group
from nbclient import NotebookClient
from thorough import thorough

import mirrorset
from annotation.prelabel import PrelabelParams, prelabel_profile
from mirrorset.files import read_parts
from mirrorset.pixels import decode
from mirrorset.records import DatasetItem
from mirrorset.workspace import open_workspace
from parity.models import model_files
from parity.pack import open_pack

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The small demo, run once without interruption."""
    return run_demo(tmp_path_factory.mktemp("demo") / "demo")


def test_every_planted_case_is_rejected_for_its_own_reason(demo: Demo) -> None:
    assert demo.summary["surprises"] == []
    assert demo.summary["planted"] == demo.summary["planted_caught"] == 9
    assert (
        demo.summary["rejected"]
        | {
            "decompression_bomb": 1,
            "licence_missing": 1,
            "no_derivatives": 1,
            "no_face": 2,
            "opt_out_noai": 1,
            "opt_out_tdm": 1,
            "robots": 1,
            "truncated": 1,
        }
        == demo.summary["rejected"]
    )


def test_near_duplicates_share_a_group_and_a_split(demo: Demo) -> None:
    assert demo.summary["near_duplicates"] >= 12
    assert demo.summary["split_apart"] == 0
    items = list(read_parts(demo.home / "data/work/items", DatasetItem))
    splits = {
        group: {i.split for i in items if i.group_id == group}
        for group in {item.group_id for item in items}
    }
    assert all(len(found) == 1 for found in splits.values())
    assert len(splits) < len(items)


def test_nothing_pretends_that_people_looked(demo: Demo) -> None:
    assert demo.summary["reviewed"] == 0
    assert demo.summary["review_state"] == "unreviewed"
    release = demo.home / "data/releases/demo/0.1.0"
    assert "**Unreviewed.**" in (release / "DATASHEET.md").read_text()
    assert "Unreviewed" in (demo.home / "report/index.html").read_text()
    assert (
        json.loads((demo.home / "data/packs/demo/0.1.0/pack.json").read_text())["review_state"]
        == "unreviewed"
    )


def test_the_summary_is_kept_and_nothing_is_on_the_screen(demo: Demo) -> None:
    assert json.loads((demo.home / "summary.json").read_text()) == demo.summary
    assert demo.stderr == ""


def git(home: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=home, check=True, capture_output=True, text=True
    ).stdout


def dvc(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=home, check=True, capture_output=True, text=True).stdout


def test_git_and_dvc_are_clean_and_git_holds_no_image(demo: Demo) -> None:
    assert git(demo.home, "status", "--porcelain") == ""
    assert "up to date" in dvc(demo.home, "status")
    assert git(demo.home, "tag").split() == ["demo-0.1.0"]
    kept = git(demo.home, "grep", "-lE", "[0-9a-f]{64}", "demo-0.1.0").split()
    assert kept == ["demo-0.1.0:release.yaml"]  # the content digest, of no single image
    image_ids = [
        record.image_id for record in read_parts(demo.home / "data/work/items", DatasetItem)
    ]
    assert all(
        image_id not in git(demo.home, "show", "demo-0.1.0:release.yaml") for image_id in image_ids
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "data").rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


@pytest.mark.usefixtures("prefect")
def test_a_clone_pulls_every_byte(demo: Demo, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(demo.home), str(clone))
    dvc(clone, "pull")
    assert contents(clone) == contents(demo.home)
    assert len(contents(clone)) > 15
    assert "up to date" in dvc(clone, "status")
    # A colleague's release starts from the ledger that came with the snapshot.
    released = json.loads(run("release", "--home", str(clone), "--json").stdout)
    assert released["is_new"] is False
    assert contents(clone) == contents(demo.home)
    assert git(clone, "rev-parse", "HEAD") == git(demo.home, "rev-parse", "HEAD")


def test_a_second_run_changes_nothing(demo: Demo) -> None:
    before = git(demo.home, "rev-parse", "HEAD"), contents(demo.home)
    assert run_demo(demo.home).summary == demo.summary
    assert (git(demo.home, "rev-parse", "HEAD"), contents(demo.home)) == before


# --- what may be done with it, and what is not in it ---------------------------------------------


def test_parity_on_the_demo_pack_and_a_gate_that_fails(demo: Demo, tmp_path: Path) -> None:
    pack = str(demo.home / "data/packs/demo/0.1.0")
    out, comparison = str(tmp_path / "run"), str(tmp_path / "comparison.json")
    ran = json.loads(run("parity", "run", "--pack", pack, "--out", out, "--json").stdout)
    key = ran["nets"]["landmarks"]["key"]
    assert key["kernel"] == "xnnpack"
    assert key["delegated_share"] == 1
    run("parity", "compare", "--pack", pack, "--candidate", out, "--out", comparison)
    (tmp_path / "gates.yaml").write_text(
        "- {metric: nme_to_reference, limit: 0.0, minimum_count: 1}\n"
    )
    said = refused(
        7, "parity", "compare", "--pack", pack, "--candidate", out, "--out", comparison,
        "--gates", str(tmp_path / "gates.yaml"),
    )  # fmt: skip
    assert "gate failed" in said
    assert "none of" in refused(2, "parity", "run", "--pack", pack, "--out", out, "--kernel", "gpu")


@pytest.fixture
def own_demo(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the finished demo, with a remote of its own."""
    home = tmp_path / "demo"
    shutil.copytree(demo.home, home, symlinks=True)
    run("init", str(home), "--remote", str(home / "remote"))
    return home


def mark_reviewed(task: Path, returned: Path) -> None:
    """What CVAT would export had a person set the tag "reviewed" on every image."""
    tag = b'<tag label="reviewed" source="manual"></tag></image>'
    with zipfile.ZipFile(task) as sent, zipfile.ZipFile(returned, "w") as back:
        for name in sent.namelist():
            content = sent.read(name)
            if name == "annotations.xml":
                content = content.replace(b"</image>", tag)
            back.writestr(name, content)


@pytest.mark.usefixtures("prefect")
def test_a_review_becomes_a_new_version_that_keeps_the_image_bytes(own_demo: Path) -> None:
    outbox = sorted((own_demo / "cvat" / "outbox").iterdir())
    for folder in outbox:
        mark_reviewed(folder / "task.zip", own_demo / "cvat" / "inbox" / f"{folder.name}.zip")
    pulled = json.loads(run("annotate", "pull", "--home", str(own_demo), "--json").stdout)
    assert pulled["reviewed"] > 0
    assert pulled["rejected"] == 0
    released = json.loads(run("release", "--home", str(own_demo), "--json").stdout)
    assert released["tag"] == "demo-0.2.0"
    before = mirrorset.load(own_demo / "data/releases/demo/0.1.0")
    after = mirrorset.load(own_demo / "data/releases/demo/0.2.0")
    assert after.card.unreviewed == 0
    assert before.card.unreviewed == before.card.images
    assert {i.image_id: i.split for i in before} == {i.image_id: i.split for i in after}
    shards = {name: sha for name, sha in before.card.files.items() if name.startswith("images/")}
    assert shards.items() <= after.card.files.items()
    assert before.card.digest != after.card.digest
    taken = refused(2, "release", "--home", str(own_demo), "--version", "0.1.0")
    assert "other content" in taken
    assert mirrorset.load(own_demo / "data/releases/demo/0.2.0").card == after.card


def test_the_figure_is_nowhere_after_a_run(demo: Demo, model_cache: Path) -> None:
    """Neither its digits nor its bytes nor a field for it: in no file, table, archive or log."""
    profile = prelabel_profile(PrelabelParams(), model_cache)
    workspace = open_workspace(demo.home)
    blobs = [path for path in Path(workspace.settings.blobs_url).rglob("*") if path.is_file()]
    figures: list[float] = []
    for path in blobs:
        figures += profile.measure(decode(path.read_bytes())).minor_probability
    assert len(figures) > 8
    # Twelve significant digits: eight of a small figure begin with zeros, and are found by chance
    # in the times of Prefect's database.
    written = [f"{figure:.16e}".replace(".", "")[:12].encode() for figure in figures]
    packed = [struct.pack(kind, figure) for figure in figures for kind in ("<d", ">d")]
    # Rounded figures cannot be told from coordinates, so a field for them is looked for.
    field = re.compile(rb"(?<!max_)minor_prob|apparent_age|\"(age|minor|years)\"\s*:")
    seen = 0
    for name, content in unpacked(demo.home, {path.name for path in blobs}):
        seen += 1
        assert not [figure for figure in written + packed if figure in content], name
        assert not field.search(content), name
    assert seen > 50


def test_no_verdict_on_age_holds_a_number(demo: Demo) -> None:
    workspace = open_workspace(demo.home)
    database = workspace.settings.catalogue_url.removeprefix("sqlite:///")
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT measured, threshold FROM verdicts WHERE \"check\" IN ('adult', 'intimate')"
        ).fetchall()
    assert len(rows) > 5
    assert set(rows) == {(None, None)}


def unpacked(home: Path, ids: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every file below, archives and Parquet unpacked; but not the original pictures."""
    for path in home.rglob("*"):
        if not path.is_file() or path.is_symlink() or path.name in ids:
            continue
        yield str(path), path.read_bytes()
        if path.suffix == ".parquet":
            yield f"{path} unpacked", repr(pq.read_table(path).to_pydict()).encode()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}#{name}", archive.read(name)


# --- kills ----------------------------------------------------------------------------------------


def rows(home: Path, table: str) -> int:
    file = home / ".mirrorset" / "catalogue.sqlite"
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
    except sqlite3.OperationalError:
        return 0


def some(home: Path, pattern: str) -> bool:
    return next(home.glob(pattern), None) is not None


#: What is seen in the workspace when a step is under way.
UNDER_WAY: dict[str, Callable[[Path], bool]] = {
    "crawl": lambda home: some(home, ".mirrorset/blobs/*/*/*"),
    "prelabel": lambda home: rows(home, "annotations") > 0,
    "annotate": lambda home: some(home, "cvat/outbox/*"),
    "release": lambda home: some(home, "data/releases/demo/*"),
    "parity": lambda home: some(home, "parity/*"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("steps", [("release",), *thorough((tuple(UNDER_WAY),))])
def test_killed_in_the_middle_of_steps_it_ends_the_same(
    demo: Demo, tmp_path: Path, steps: tuple[str, ...]
) -> None:
    """Stopped while it crawls, then SIGKILL by turns to the command alone and to all it started."""
    home = tmp_path / "demo"
    # Prefect takes long to make its database, and none to find one.
    (home / ".mirrorset/prefect").mkdir(parents=True)
    with (
        closing(sqlite3.connect(demo.home / ".mirrorset/prefect/prefect.db")) as made,
        closing(sqlite3.connect(home / ".mirrorset/prefect/prefect.db")) as copy,
    ):
        made.backup(copy)
    interrupted(home, "crawl")
    for number, step in enumerate(steps):
        with started(demo_command(home)) as process:
            await_step(process, home, step)
            if number % 2:
                with_group(process, signal.SIGKILL)
            else:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
    again = run_demo(home).summary
    places = {"report": again.pop("report"), "pushed_to": again.pop("pushed_to")}
    assert all(place.startswith(str(home)) for place in places.values())
    assert again == {name: value for name, value in demo.summary.items() if name not in places}
    for table in ("images", "sightings", "annotations", "verdicts", "rejected", "ledger"):
        assert rows(home, table) == rows(demo.home, table)
    assert not some(home, "data/**/.*.part")
    assert git(home, "status", "--porcelain") == ""
    assert "up to date" in dvc(home, "status")


def interrupted(home: Path, step: str) -> None:
    """Ctrl-C, which reaches all that was started, ends the command at once, in one sentence."""
    with started(demo_command(home)) as process:
        await_step(process, home, step)
        with_group(process, signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
        assert process.returncode == 130
        assert stderr.strip() == "mirrorset: Stopped; run it again to go on where it was."


def await_step(process: subprocess.Popen[str], home: Path, step: str) -> None:
    until = time.monotonic() + 400
    while not UNDER_WAY[step](home):
        assert process.poll() is None, f"{step}: ended by itself"
        assert time.monotonic() < until, f"{step}: never seen"
        time.sleep(0.002)


def test_the_notebook_trains_on_a_release_and_draws_it(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRRORSET_RELEASE", str(demo.home / "data/releases/demo/0.1.0"))
    notebook = nbformat.read(EXAMPLES / "train_landmarks.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    printed = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "NME" in printed
    assert printed.count("image/png") == 2


def test_the_script_judges_a_model_on_the_pack(demo: Demo, model_cache: Path) -> None:
    pack = demo.home / "data/packs/demo/0.1.0"
    chain = open_pack(pack).chain
    (model,) = model_files(chain, model_cache).values()

    def judged(*arguments: object) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, str(EXAMPLES / "judge_model.py")]
        return subprocess.run(
            [*script, *map(str, arguments)], capture_output=True, text=True, check=False
        )

    whole = judged(pack, model)
    assert whole.returncode == 0, whole.stderr
    assert "nme_to_reference" in whole.stdout
    absent = judged(pack, "absent.tflite")
    assert absent.returncode == 3
    assert absent.stderr.count("\n") == 1
    assert "Traceback" not in absent.stderr
