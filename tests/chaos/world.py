"""All servers of the pipeline on loopback, a workspace that uses them, and copies of its states."""

import copy
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml
from cvat_annotator import Annotator
from demo_run import MIRRORSET
from moto.core.model_instances import reset_model_data
from s3_server import CREDENTIALS, S3Server
from s3_server import serving as serving_s3
from standin.server import StandIn, standing_in

from annotation.cvat.connection import Connection, connect
from chaos import state
from chaos.proxy import Proxy, before
from chaos.services import Dask, PostgreSql, Prefect
from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart
from flows.demo.commons import CATEGORY
from flows.demo.gallery import Gallery, assemble
from flows.demo.server import serve
from mirrorset.records import Batch
from mirrorset.workspace import init, open_workspace

_BUCKET = "faces"
_DATABASE = "work"
_ROOM_MB = 192
_REPOSITORY = Path(__file__).parents[2]


@dataclass
class Kept:
    """A state of the world to go back to: objects by key, CVAT's memory; the rest lies in files."""

    number: int
    objects: dict[str, bytes]
    cvat: dict[str, Any]


@dataclass
class World:
    """The running servers. is_bounded: the workspace lies on a small file system of its own."""

    root: Path
    env: dict[str, str]
    postgresql: PostgreSql
    s3: S3Server
    proxy: Proxy
    cvat: StandIn
    prefect: Prefect
    dask: Dask
    gallery: Gallery
    is_bounded: bool
    _count: int = field(default=0)

    @property
    def home(self) -> Path:
        return self.root / "disk/home"

    @property
    def served(self) -> Path:
        """What Prefect's server of `mirrorset serve` keeps."""
        return self.home.with_name("prefect")

    @property
    def catalogue_url(self) -> str:
        return f"postgresql+psycopg://{self.postgresql.address}/{_DATABASE}"

    @property
    def connection(self) -> Connection:
        return connect(self.cvat.url, self.cvat.token)

    def state(self) -> state.State:
        """All that is compared."""
        objects = self._objects()
        return {
            **state.catalogue(self.catalogue_url),
            **state.objects(objects),
            **state.lacking_in_remote(self.home, objects),
            **state.annotators_see(self.connection),
            **state.workspace(self.home),
        }

    def keep(self) -> Kept:
        """Copy the state of everything, to go back to it."""
        self._count += 1
        shutil.copytree(self.home, self.root / f"kept-{self._count}", symlinks=True)
        self.postgresql.copy(_DATABASE, f"kept_{self._count}")
        return Kept(self._count, self._objects(), copy.deepcopy(self._memory()))

    def go_back(self, to: Kept) -> None:
        """Bring everything back to where it was."""
        for folder in (self.home, self.served):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root / f"kept-{to.number}", self.home, symlinks=True)
        self.postgresql.copy(f"kept_{to.number}", _DATABASE)
        client, now = self.s3.client(), self._objects()
        for key in now.keys() - to.objects.keys():
            client.delete_object(Bucket=_BUCKET, Key=key)
        for key, content in to.objects.items():
            if now.get(key) != content:
                client.put_object(Bucket=_BUCKET, Key=key, Body=content)
        # Else the S3 server remembers whatever it was ever given: 13 GB after a hundred faults.
        reset_model_data()
        cvat = copy.deepcopy(to.cvat)
        vars(self.cvat.state).update(cvat["state"])
        self.cvat.inside.app.state.works.known = cvat["requests"]

    def annotate(self) -> None:
        """What people do between push and pull: look at every picture, and move one box of it."""
        with open_workspace(self.home).catalogue() as catalogue:
            batches = [one for one in catalogue.read(Batch) if one.task]
        for batch in batches:
            annotator = Annotator(self.connection, int(batch.project))
            for job in annotator.jobs(batch):
                for frame in range(job["start_frame"], job["stop_frame"] + 1):
                    annotator.tag(job, frame, "reviewed")
                    (face, *_) = annotator.shapes(job, frame, "face")
                    annotator.change(job, face, _moved)
                annotator.finish(job)

    def _objects(self) -> dict[str, bytes]:
        client = self.s3.client()
        return {
            key: client.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
            for key in self.s3.objects(_BUCKET)
        }

    def _memory(self) -> dict[str, Any]:
        """CVAT's, without those that listen to it."""
        state = {name: one for name, one in vars(self.cvat.state).items() if name != "listeners"}
        return {"state": state, "requests": self.cvat.inside.app.state.works.known}


def _moved(shape: dict[str, Any]) -> None:
    shape["points"][0] += 2.0


@contextmanager
def made(root: Path) -> Iterator[World]:
    """Start everything and make a workspace below `root`, an empty folder."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:
        is_bounded = _bounded(root / "disk", stack)
        gallery = assemble(root / "gallery", root / "packages", portraits=0, is_offline=True)
        site = stack.enter_context(serve(gallery))
        s3 = stack.enter_context(serving_s3())
        # Buckets of an earlier server in this process would be there.
        requests.post(f"{s3.url}/moto-api/reset", timeout=10).raise_for_status()
        s3.client().create_bucket(Bucket=_BUCKET)
        proxy = stack.enter_context(before(s3.url))
        cvat = stack.enter_context(standing_in())
        # It runs as somebody else where we are root, who cannot look into a test's folder.
        elsewhere = stack.enter_context(tempfile.TemporaryDirectory(prefix="postgresql-"))
        postgresql = PostgreSql(Path(elsewhere), root / "postgresql.log")
        stack.callback(postgresql.end)
        postgresql.start()
        postgresql.await_up()
        postgresql.create(_DATABASE)
        env = {name: value for name, value in os.environ.items() if "MIRRORSET_" not in name}
        if "MIRRORSET_CACHE" in os.environ:
            env["MIRRORSET_CACHE"] = os.environ["MIRRORSET_CACHE"]
        env |= CREDENTIALS | {
            "PYTHONPATH": str(_REPOSITORY),
            "AWS_ENDPOINT_URL": proxy.url,
            "MIRRORSET_BLOBS_URL": f"s3://{_BUCKET}/originals",
            "MIRRORSET_CATALOGUE_URL": f"postgresql+psycopg://{postgresql.address}/{_DATABASE}",
            "MIRRORSET_CVAT_URL": cvat.url,
            "MIRRORSET_CVAT_TOKEN": cvat.token,
        }
        dask = Dask(root, env)
        stack.callback(dask.end)
        dask.start()
        prefect = Prefect(root, env)
        stack.callback(prefect.end)
        prefect.start()
        prefect.await_up()
        env["PREFECT_API_URL"] = prefect.api_url
        dask.bring_back()
        stack.callback(_restore, dict(os.environ))
        os.environ.update(env)
        world = World(
            root, env, postgresql, s3, proxy, cvat, prefect, dask, gallery, is_bounded
        )  # fmt: skip
        _make_workspace(world, site)
        yield world


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _bounded(folder: Path, stack: ExitStack) -> bool:
    """Mount a small file system at `folder`, if that is allowed here."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM_MB}m", "chaos", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        return False
    stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False)
    return True


def _make_workspace(world: World, site: str) -> None:
    workspace = init(world.home, f"s3://{_BUCKET}/releases", world.proxy.url)
    params = yaml.safe_load(workspace.params_file.read_text())
    params["dataset"]["is_unreviewed"] = True
    commons = CommonsStart(
        api_url=f"{site}/w/api.php", category=CATEGORY.removeprefix("Category:")
    ).model_dump(mode="json", exclude_unset=True)
    listed = GalleryStart(url=f"{site}/gallery/sitemap.xml").model_dump(
        mode="json", exclude_unset=True
    )
    params["crawl"] = {
        "sources": [{"source": "commons"} | commons, {"source": "gallery"} | listed],
        "allow_addresses": ["127.0.0.0/8"],
        "politeness": {"start_delay_s": 0, "max_delay_s": 0.02, "retries": 1},
    }
    # The smallest models that pass a picture on.
    params["prelabel"] = {
        "profile": "commercial",
        "intimate": {"model": "none", "decided_by": "The pictures are known."},
    }
    params["annotate"] = {"size": 4}
    params["parity"] = {"is_timed": False}
    # All at once, and on demand: what runs when is then the same each time.
    on_demand = dict.fromkeys(("crawl", "pull", "release", "verify"))
    params["serve"] = on_demand | {"push_after_prelabel": False, "retry_after_s": 2}
    params["ledger"] |= {"images_per_shard": 3, "train": 0.5, "val": 0.0, "test": 0.5}
    workspace.params_file.write_text(yaml.safe_dump(params))
    workspace.private.mkdir(exist_ok=True)
    (workspace.private / "tombstones.key").write_text("5" * 64)


def command(*arguments: str) -> list[str]:
    """`mirrorset` of this environment."""
    return [str(MIRRORSET), *arguments]
