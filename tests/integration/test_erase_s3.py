"""On S3, with versioning, nothing of an erased object is left: no earlier version, no marker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from s3_server import CREDENTIALS, serving

from mirrorset.blobs import BlobStore
from mirrorset.erasure import Removed
from mirrorset.errors import UnavailableError
from mirrorset.objects import opened_objects
from mirrorset.workspace import init

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
        yield client


def kept(client: Any) -> list[str]:
    """The keys of every version and marker that the bucket keeps."""
    page = client.list_object_versions(Bucket=BUCKET)
    return sorted(one["Key"] for one in page.get("Versions", []) + page.get("DeleteMarkers", []))


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


def test_a_server_that_is_gone_is_named(s3: Any, tmp_path: Path, monkeypatch: Any) -> None:
    workspace = init(tmp_path / "home", f"s3://{BUCKET}/releases")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with opened_objects(workspace.home, tmp_path / "scratch") as objects:
        (unreached,) = objects.unreached
        assert (unreached.place, unreached.name) == ("DVC remote", "storage")
    with pytest.raises(UnavailableError, match="does not answer"):
        BlobStore(f"s3://{BUCKET}/originals").erase(["ab" * 32])
