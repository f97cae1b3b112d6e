"""Releases through DVC and S3: pushed to a server on loopback, and loaded from there."""

import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import requests
import s3fs
from forked import forked_clean
from made_images import build_release
from s3_server import CREDENTIALS, S3Server, serving
from typer.testing import CliRunner

import mirrorset
from flows.cli import app
from mirrorset.commands import git
from mirrorset.dvc import dvc
from mirrorset.dvc_config import require_packages
from mirrorset.errors import (
    InputError,
    IntegrityError,
    MirrorsetError,
    SettingsError,
    UnavailableError,
)
from mirrorset.load import Release, open_release
from mirrorset.workspace import init, open_workspace

_STAGE = """\
stages:
  build:
    cmd: "true"
    outs:
      - data/releases/selfie/{}
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with serving() as server:
        server.client().create_bucket(Bucket="faces")
        yield server


@pytest.fixture(scope="module")
def released(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with selfie 1.2.0 and 1.3.0, of the same images, tagged and pushed to S3."""
    home = tmp_path_factory.mktemp("released") / "wörk space"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        init(home, "s3://faces/store", s3.url)
        for version in ("1.2.0", "1.3.0"):
            build_release(home / "data/releases/selfie" / version, range(10))
            (home / "dvc.yaml").write_text(_STAGE.format(version))
            dvc(home, "commit", "--force", "--quiet", "build")
            git(home, "add", "dvc.yaml", "dvc.lock")
            git(home, "commit", "--quiet", "--message", f"Release selfie-{version}")
            git(home, "tag", "--annotate", f"selfie-{version}", "--message", "released")
            dvc(home, "push", "--quiet")
        for tag in ("not-a-release", "v1.2.0", "1.2.0"):
            git(home, "tag", tag)
    return home


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment alone, and a cache of the test's own."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MIRRORSET_CACHE", str(tmp_path / "cache"))
    # Connections are kept, with the credentials and the endpoint of the test before.
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def clone(released: Path, tmp_path: Path) -> Path:
    """What a colleague has: the repository without its data."""
    git(tmp_path, "clone", "--quiet", str(released), "clone")
    return tmp_path / "clone"


@pytest.fixture
def plain(s3: S3Server, released: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder selfie/1.2.0 as it is, in a bucket of its own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    client = s3.client()
    client.create_bucket(Bucket="plain")
    folder = released / "data/releases/selfie/1.2.0"
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "plain", f"selfie/1.2.0/{path.relative_to(folder)}")
    return "s3://plain/selfie"


def address(repository: Path) -> str:
    return repository.as_uri()


def told(release: Release) -> list[object]:
    """All that a release says, picture bytes included."""
    return [
        (item.image_id, item.split, item.annotation, item.author, item.content())
        for item in release
    ]


def fetched(release: Release) -> set[str]:
    return {
        path.relative_to(release.folder).as_posix()
        for path in release.folder.rglob("*")
        if path.is_file()
    }


def refused(kind: type[MirrorsetError], *named: str, **keywords: object) -> str:
    """The one sentence that says why nothing was loaded."""
    with pytest.raises(kind) as refusal:
        told(mirrorset.load(*named, **keywords))
    sentence = str(refusal.value)
    assert type(refusal.value) is kind
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 600
    return sentence


def test_a_repository_and_a_tag(released: Path) -> None:
    expected = open_release(released / "data/releases/selfie/1.2.0", "train")
    for version in ("v1.2.0", "1.2.0", "selfie-1.2.0"):
        release = mirrorset.load(address(released), version, split="train")
        assert release.folder != expected.folder
        assert told(release) == told(expected)
    release.verify()


def test_a_repository_on_this_machine(clone: Path, released: Path) -> None:
    release = mirrorset.load(clone, "v1.2.0")
    assert release.folder.is_relative_to(os.environ["MIRRORSET_CACHE"])
    assert told(release) == told(open_release(released / "data/releases/selfie/1.2.0"))


def test_a_name_in_a_workspace(
    clone: Path, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(open_release(released / "data/releases/selfie/1.2.0"))
    here = mirrorset.load("selfie", "v1.2.0", home=released)
    assert here.folder == released / "data/releases/selfie/1.2.0"
    assert told(here) == expected
    monkeypatch.chdir(clone)
    from_remote = mirrorset.load("selfie", "v1.2.0", split="train")
    assert not from_remote.folder.is_relative_to(clone)
    assert len(told(from_remote)) == from_remote.card.splits["train"]


def test_versions_that_a_clone_has_not_are_held_against_each_other(
    clone: Path, released: Path, tmp_path: Path
) -> None:
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("name: faces", "name: selfie"))
    diff = ["release", "diff", "1.2.0", "1.3.0", "--home", str(clone), "--json"]
    told = CliRunner().invoke(app, diff)
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["before"]["version"], found["after"]["version"]) == ("1.2.0", "1.3.0")
    assert found["before"]["images"] == 10
    # Labels are enough for that: no picture was fetched.
    assert not list((tmp_path / "cache").rglob("images/*"))
    convert = ["release", "convert", "1.2.0", str(tmp_path / "pts"), "--to", "pts"]
    assert CliRunner().invoke(app, [*convert, "--home", str(clone)]).exit_code == 0
    assert len(list((tmp_path / "pts").rglob("*.pts"))) == sum(
        len(item.faces) > 0 for item in open_release(released / "data/releases/selfie/1.2.0")
    )


def test_an_address_of_a_bucket(plain: str, released: Path) -> None:
    expected = told(open_release(released / "data/releases/selfie/1.2.0"))
    assert told(mirrorset.load(plain, "v1.2.0")) == expected
    assert told(mirrorset.load(f"{plain}/1.2.0/")) == expected


def test_a_folder_of_versions(released: Path) -> None:
    folder = released / "data/releases/selfie"
    assert mirrorset.load(folder, "1.3.0").card.version == "1.3.0"


def test_files_are_fetched_when_they_are_asked_for(released: Path) -> None:
    release = mirrorset.load(address(released), "1.2.0", split="train")
    assert fetched(release) == {"release.json"}
    items = list(release)
    labels = {name for name in release.card.files if name.startswith("labels/train")}
    assert fetched(release) == {"release.json"} | labels
    items[0].content()
    assert len([name for name in fetched(release) if name.startswith("images/")]) == 1


def test_versions_share_what_they_have_in_common(released: Path, tmp_path: Path) -> None:
    for version in ("1.2.0", "1.3.0"):
        told(mirrorset.load(address(released), version))
    first, second = (
        mirrorset.load(address(released), version).folder for version in ("1.2.0", "1.3.0")
    )
    assert first != second
    for path in first.glob("images/*.parquet"):
        assert path.samefile(second / "images" / path.name)


def in_worker(release: Release, worker: int) -> list[tuple[str, int]]:
    samples = release.samples("ibug68")
    return [
        (one["image_id"], int(one["image"].sum())) for one in samples.stream(part=worker, parts=3)
    ]


def spawned(release: Release, out: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        for worker, part in enumerate(pool.map(partial(in_worker, release), range(3))):
            (out / f"{worker}.json").write_text(json.dumps(part))


def forked(release: Release, out: Path) -> None:
    """From a process without threads: those of other tests are in this one."""
    child = forked_clean(partial(_fork, release, out))
    child.join()
    assert child.exitcode == 0


def _fork(release: Release, out: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_part, args=(release, out, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _write_part(release: Release, out: Path, worker: int) -> None:
    (out / f"{worker}.json").write_text(json.dumps(in_worker(release, worker)))


@pytest.mark.parametrize("by", [spawned, forked])
def test_workers_fetch_together(
    released: Path, tmp_path: Path, by: Callable[[Release, Path], None]
) -> None:
    release = mirrorset.load(address(released), "1.2.0")
    by(release, tmp_path)
    parts = [json.loads((tmp_path / f"{worker}.json").read_text()) for worker in range(3)]
    found = dict(pair for part in parts for pair in part)
    expected = open_release(released / "data/releases/selfie/1.2.0")
    assert found == {item.image_id: int(item.rgb().sum(dtype=np.int64)) for item in expected}
    assert not list(Path(os.environ["MIRRORSET_CACHE"]).rglob("*.part"))


def test_a_version_that_was_never_released(released: Path) -> None:
    sentence = refused(InputError, address(released), "9.9.9")
    assert "no release 9.9.9" in sentence
    assert "selfie-1.2.0, selfie-1.3.0" in sentence
    assert "not-a-release" not in sentence
    assert "selfie 9.9.9" in refused(InputError, "selfie", "9.9.9", home=released)


def test_a_wrong_tag(released: Path) -> None:
    assert "no release mirror 1.2.0" in refused(InputError, address(released), "mirror-1.2.0")
    for version in ("train", "1.2", "latest", "selfie", ""):
        assert "1.2.0, v1.2.0 or the tag" in refused(SettingsError, address(released), version)


def test_a_repository_that_nobody_finds(tmp_path: Path) -> None:
    gone = address(tmp_path / "gone")
    assert f"{gone} cannot be read as a git repository" in refused(UnavailableError, gone, "1.0.0")
    nobody = "http://127.0.0.1:9/selfie.git"
    assert nobody in refused(UnavailableError, nobody, "1.0.0")
    assert "no workspace" in refused(SettingsError, "selfie", "1.0.0", home=tmp_path)


def test_storage_that_does_not_answer(
    clone: Path, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc(clone, "remote", "modify", "storage", "endpointurl", "http://127.0.0.1:9")
    sentence = refused(UnavailableError, "selfie", "1.2.0", home=clone)
    assert "cannot be reached" in sentence
    assert str(clone) in sentence
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "s3://faces/selfie/1.2.0" in refused(UnavailableError, "s3://faces/selfie", "1.2.0")


def test_no_credentials(released: Path, plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for named in ((address(released), "1.2.0"), (plain, "1.2.0")):
        assert "AWS_ACCESS_KEY_ID" in refused(SettingsError, *named)


def test_credentials_that_are_refused(s3: S3Server, released: Path, plain: str) -> None:
    # From now on moto asks who calls, and knows nobody.
    requests.post(f"{s3.url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    try:
        for named in ((address(released), "1.2.0"), (plain, "1.2.0")):
            assert "credentials that its storage accepts" in refused(SettingsError, *named)
    finally:
        requests.post(f"{s3.url}/moto-api/reset-auth", data="inf", timeout=10).raise_for_status()


def test_what_is_not_there(plain: str, clone: Path, s3: S3Server) -> None:
    assert "release.json" in refused(InputError, "s3://plain/nothing", "1.2.0")
    assert "release.json" in refused(InputError, "s3://no-such-bucket/selfie/1.2.0")
    dvc(clone, "remote", "modify", "storage", "url", "s3://faces/empty")
    sentence = refused(InputError, "selfie", "1.2.0", home=clone)
    assert "`git fetch --tags`" in sentence


def test_bytes_that_were_changed(plain: str, s3: S3Server) -> None:
    release = mirrorset.load(plain, "1.2.0")
    s3.client().put_object(Bucket="plain", Key="selfie/1.2.0/images/00000.parquet", Body=b"other")
    with pytest.raises(IntegrityError, match=r"other bytes than release\.json names"):
        told(release)
    assert not (release.folder / "images").exists()


def test_a_damaged_copy_in_the_cache_is_fetched_again(released: Path) -> None:
    release = mirrorset.load(address(released), "1.2.0")
    expected = told(release)
    shard = release.folder / "images/00000.parquet"
    shard.write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="remove it from a cache"):
        release.verify()
    shard.unlink()
    release.verify()
    assert told(mirrorset.load(address(released), "1.2.0")) == expected


def test_packages_that_are_not_installed(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "s3fs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    # fsspec gives its proxy the module's own name.
    loaded = importlib.import_module("fsspec.registry")._registry
    monkeypatch.delitem(loaded, "s3", raising=False)
    assert "requirements-s3.lock" in refused(SettingsError, plain, "1.2.0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"requirements-s3\.lock"):
        require_packages("s3://faces/store")
    require_packages("/local/folder")


def objects_of(repository: Path) -> bytes:
    """Every byte that git keeps, in any commit, and what it would add next."""
    names = git(repository, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    kept = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=repository,
        input=names.encode(),
        capture_output=True,
        check=True,
    ).stdout
    listed = git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    now = [(repository / name).read_bytes() for name in listed.split("\0") if name]
    return b"".join([kept, *now])


def test_no_credential_is_where_git_sees_it(
    clone: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Server
) -> None:
    secret = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    shutil.rmtree(clone / ".dvc/tmp", ignore_errors=True)
    init(clone, "s3://faces/store", s3.url)
    assert s3.url.encode() in objects_of(clone)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for option, name in (
        ("access_key_id", "AWS_ACCESS_KEY_ID"),
        ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ):
        dvc(clone, "remote", "modify", "--local", "storage", option, CREDENTIALS[name])
    # What only .dvc/config.local holds is enough to load, and git does not see it.
    assert len(told(mirrorset.load("selfie", "1.2.0", home=clone))) == 10
    init(clone)
    assert secret in (clone / ".dvc/config.local").read_text()
    assert secret.encode() not in objects_of(clone)
    assert CREDENTIALS["AWS_ACCESS_KEY_ID"].encode() not in objects_of(clone)


def test_a_credential_in_the_tracked_file_is_refused(clone: Path) -> None:
    dvc(clone, "remote", "modify", "storage", "secret_access_key", "x-secret")
    for attempt in (init, open_workspace):
        with pytest.raises(SettingsError, match="--local storage secret_access_key") as refusal:
            attempt(clone)
        assert "x-secret" not in str(refusal.value)
    assert b"x-secret" not in objects_of(clone).partition(b"x-secret")[0]
    assert "x-secret" not in git(clone, "log", "-p")


@pytest.mark.parametrize(
    "options",
    [
        ["--remote", "s3://key:x-secret@faces/store"],
        ["--remote", "s3://faces/store", "--endpoint-url", "http://me:x-secret@127.0.0.1:9"],
        ["--remote", "ssh://me:x-secret@example.org/store"],
    ],
)
def test_an_address_with_a_password_is_refused(tmp_path: Path, options: list[str]) -> None:
    home = tmp_path / "new"
    result = CliRunner().invoke(app, ["init", str(home), *options])
    assert isinstance(result.exception, SettingsError)
    assert "x-secret" not in str(result.exception)
    assert not any(b"x-secret" in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_init_writes_the_endpoint(tmp_path: Path) -> None:
    home = tmp_path / "new"
    url = "http://127.0.0.1:9000"
    options = ["--remote", "s3://faces/store", "--endpoint-url", url]
    assert CliRunner().invoke(app, ["init", str(home), *options]).exit_code == 0
    assert dvc(home, "config", "remote.storage.endpointurl") == url
    assert open_workspace(home).remote == "s3://faces/store"
    refusal = CliRunner().invoke(app, ["init", str(home), "--endpoint-url", url]).exception
    assert "give --remote s3://" in str(refusal)
