"""On S3, with versioning, nothing of an erased object is left: no earlier version, no marker."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import s3fs
from erasure_room import SUCCESSORS, VERSIONS, erased, found_in, places, traces
from s3_server import CREDENTIALS, serving

import mirrorset
from flows.asked import Asked
from mirrorset.blobs import BlobStore
from mirrorset.commands import git
from mirrorset.dvc import dvc
from mirrorset.dvc_config import configure
from mirrorset.erasure import Removed
from mirrorset.errors import UnavailableError
from mirrorset.objects import opened_objects
from mirrorset.workspace import init, open_workspace

BUCKET = "faces"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server on loopback, whose one bucket keeps versions."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with serving() as server:
        # Its buckets would outlive it.
        requests.post(f"{server.url}/moto-api/reset", timeout=10).raise_for_status()
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        client = server.client()
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        # Connections are kept, with the endpoint of the test before.
        s3fs.S3FileSystem.clear_instance_cache()
        yield client


def kept(client: Any) -> list[str]:
    """The keys of every version and marker that the bucket keeps."""
    pages = client.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    return sorted(
        one["Key"]
        for page in pages
        for kind in ("Versions", "DeleteMarkers")
        for one in page.get(kind, [])
    )


def test_every_version_of_a_blob_goes(s3: Any) -> None:
    store = BlobStore(f"s3://{BUCKET}/originals")
    image_id, other = store.put(b"a picture"), store.put(b"another")
    key = f"originals/{image_id[:2]}/{image_id[2:4]}/{image_id}"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"a picture")
    s3.delete_object(Bucket=BUCKET, Key=key)
    s3.put_object(Bucket=BUCKET, Key=f"{key}0", Body=b"whose name begins alike")
    found = [Removed(place="blob store", name="originals", count=2)]
    assert store.erase([image_id], is_dry_run=True) == found
    assert kept(s3).count(key) == 3
    assert store.erase([image_id]) == found
    assert kept(s3) == sorted([f"{key}0", f"originals/{other[:2]}/{other[2:4]}/{other}"])
    assert store.get(other) == b"another"


def test_objects_of_a_remote_go_and_successors_come(s3: Any, tmp_path: Path) -> None:
    workspace = init(tmp_path / "home", f"s3://{BUCKET}/releases")
    with opened_objects(workspace.home, tmp_path / "scratch") as objects:
        assert objects.unreached == []
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_bytes(b"with the image")
        new.write_bytes(b"without it")
        gone, come = objects.put(old), objects.put(new)
        folder = objects.put_listing({"images/00000.parquet": come})
        key = f"releases/files/md5/{gone[:2]}/{gone[2:]}"
        objects.send([come], in_place_of=[gone])
        assert kept(s3) == [], "a remote that never had it gets nothing"
        for _ in range(2):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"with the image")
        objects.send([come, folder], in_place_of=[gone])
        objects.erase([gone])
        held = [f"releases/files/md5/{one[:2]}/{one[2:]}" for one in (come, folder)]
        assert kept(s3) == sorted(held)
        (objects.cache / come[:2] / come[2:]).unlink()
        fetched = objects.get(come)
        assert fetched is not None
        assert fetched.read_bytes() == b"without it"


def move(root: Path, client: Any) -> None:
    """Bring originals and DVC's remote of root/faces to the bucket, all in two versions."""
    home = root / "faces"
    for folder, prefix in ((home / ".mirrorset/blobs", "originals"), (root / "remote", "releases")):
        for file in [one for one in sorted(folder.rglob("*")) if one.is_file()]:
            key = f"{prefix}/{file.relative_to(folder).as_posix()}"
            for _ in range(2):
                client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
        shutil.rmtree(folder)
    configure(home, f"s3://{BUCKET}/releases", None)
    git(home, "commit", "--quiet", "--all", "--message", "The remote is on S3")


def fetch_all(client: Any, into: Path) -> dict[Path, str]:
    """Every version of every object, as files, each with the object's key."""
    into.mkdir()
    found = {}
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for one in page.get("Versions", []):
            path = into / str(len(found))
            held = client.get_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])
            path.write_bytes(held["Body"].read())
            found[path] = one["Key"]
    return found


def test_no_version_of_any_object_holds_an_erased_image(
    s3: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Originals and releases on S3, as after years: objects written anew, others deleted."""
    sought = traces(open_workspace(root / "faces"), 4)
    move(root, s3)
    monkeypatch.setenv("MIRRORSET_BLOBS_URL", f"s3://{BUCKET}/originals")
    workspace = open_workspace(root / "faces")
    assert workspace.blobs.get(sought.image_id) == sought.content
    before = {version: places(workspace, version) for version in VERSIONS}
    held = fetch_all(s3, tmp_path / "before")
    concerned = {held[path] for path in found_in([tmp_path / "before"], sought)}
    assert any(sought.image_id in key for key in concerned)
    # One shard is hidden by a marker: the bucket keeps it all the same.
    shard = next(
        key for path, key in held.items() if key in concerned and path.read_bytes()[:4] == b"PAR1"
    )
    s3.delete_object(Bucket=BUCKET, Key=shard)

    certificate = erased(workspace, Asked(images=(sought.image_id,)))
    assert certificate.is_complete
    places_of = {one.place for one in certificate.removed}
    assert {"blob store", "DVC remote", "DVC cache"} <= places_of
    fetch_all(s3, tmp_path / "after")
    assert list(found_in([tmp_path / "after"], sought)) == []
    assert concerned.isdisjoint(kept(s3))
    shutil.rmtree(tmp_path / "before")
    assert list(found_in([tmp_path], sought)) == []

    # Whoever comes new gets the successors from the bucket, with every other picture.
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(workspace.home), str(clone))
    for version, successor in zip(VERSIONS, SUCCESSORS, strict=True):
        out = tmp_path / "got" / successor
        dvc(clone, "get", ".", f"data/releases/faces/{successor}", "--rev",
            f"faces-{successor}", "--out", str(out))  # fmt: skip
        mirrorset.load(out).verify()
        found = {one.image_id: (one.group_id, one.split) for one in mirrorset.load(out)}
        del before[version][sought.image_id]
        assert found == {one: place[:2] for one, place in before[version].items()}


def test_a_server_that_is_gone_is_named(s3: Any, tmp_path: Path, monkeypatch: Any) -> None:
    workspace = init(tmp_path / "home", f"s3://{BUCKET}/releases")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with opened_objects(workspace.home, tmp_path / "scratch") as objects:
        (unreached,) = objects.unreached
        assert (unreached.place, unreached.name) == ("DVC remote", "storage")
    with pytest.raises(UnavailableError, match="does not answer"):
        BlobStore(f"s3://{BUCKET}/originals").erase(["ab" * 32])
