"""Removing a file for good: where a store keeps earlier versions of objects, all of them go.

S3 keeps them in buckets with versioning: there, a mere removal adds a marker and keeps the bytes.
"""

from collections.abc import Iterator
from typing import Any


def remove_file(fs: Any, path: str, is_dry_run: bool = False) -> int:
    """Remove `path` of an fsspec filesystem in all its versions; returns how many there were.

    is_dry_run: only count them. Raises what the filesystem raises where it cannot be reached or
    does not let us.
    """
    if is_s3(fs):
        return _remove_from_s3(fs, path, is_dry_run)
    if not fs.exists(path):
        return 0
    if not is_dry_run:
        fs.rm_file(path)
    return 1


def is_s3(fs: Any) -> bool:
    """Whether this filesystem of fsspec speaks to S3."""
    return "s3" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _remove_from_s3(fs: Any, path: str, is_dry_run: bool) -> int:
    bucket, key, _ = fs.split_path(path)
    found = list(_versions(fs, bucket, key))
    if not is_dry_run:
        for version in found:
            # "null" is the version of what was there before, or without, versioning.
            fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=version["VersionId"])
        fs.invalidate_cache(path)
    return sum("Size" in version for version in found)


def _versions(fs: Any, bucket: str, key: str) -> Iterator[dict[str, Any]]:
    """Versions and markers of deletion of one key; only the former have a size."""
    start: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_object_versions", Bucket=bucket, Prefix=key, **start)
        for kind in ("Versions", "DeleteMarkers"):
            yield from (one for one in page.get(kind, ()) if one["Key"] == key)
        if not page.get("IsTruncated"):
            return
        start = {
            "KeyMarker": page["NextKeyMarker"],
            "VersionIdMarker": page.get("NextVersionIdMarker", ""),
        }
