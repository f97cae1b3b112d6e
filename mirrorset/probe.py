"""Whether stores answer and take our credentials: asked for as little as shows it, in haste."""

import os
from pathlib import Path
from typing import Any

import fsspec

from mirrorset.dvc_config import remote_url, require_packages
from mirrorset.remotes import told
from mirrorset.versions import is_s3

_IN_HASTE = {"connect_timeout": 3, "read_timeout": 4, "retries": {"max_attempts": 0}}
_REMEDY = "make it, or name one that is there"


def probe_store(url: str) -> None:
    """Ask the store at an address of fsspec. Raises as `mirrorset.remotes.Remote.fetch` does."""
    with told(url, _REMEDY):
        options = {"config_kwargs": _IN_HASTE} if url.startswith("s3://") else {}
        _ask(*fsspec.core.url_to_fs(url, **options))


def probe_remote(home: Path) -> None:
    """Ask the DVC remote that releases are pushed to, as DVC would. Raises as `probe_store`."""
    url = remote_url(home)
    require_packages(url)
    # DVC takes a second to import.
    from dvc.repo import Repo  # noqa: PLC0415

    with told(f"The remote {url}", _REMEDY), Repo(os.fspath(home)) as repo:
        remote = repo.cloud.get_remote()
        filesystem = remote.fs.fs
        if is_s3(filesystem):
            own = {**remote.fs.fs_args, "config_kwargs": _IN_HASTE, "skip_instance_cache": True}
            filesystem = type(filesystem)(**own)
        _ask(filesystem, remote.path)


def _ask(filesystem: Any, path: str) -> None:
    if not is_s3(filesystem):
        filesystem.ls(path)
        return
    filesystem.retries = 1
    bucket, key, _ = filesystem.split_path(path)
    filesystem.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
