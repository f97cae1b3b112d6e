"""Versions: unchanged content keeps its own, changed content gets the next free one."""

import pytest

from flows.release import next_minor, release
from mirrorset.errors import SettingsError


@pytest.mark.parametrize(
    ("version", "taken", "following"),
    [
        ("0.1.0", set(), "0.2.0"),
        ("0.1.3", {"0.1.3"}, "0.2.0"),
        ("0.1.0", {"0.1.0", "0.2.0", "0.3.0"}, "0.4.0"),
        ("1.9.0", {"1.9.0"}, "1.10.0"),
    ],
)
def test_the_next_minor_version_is_free(version: str, taken: set[str], following: str) -> None:
    assert next_minor(version, taken) == following


@pytest.mark.parametrize("version", ["1", "1.2", "v1.2.3", "1.2.3-rc1", "", "a.b.c"])
def test_a_malformed_version_is_refused_before_any_work(version: str) -> None:
    with pytest.raises(SettingsError, match="three numbers"):
        release.fn("nowhere", version)
