"""What was erased is known again by its keyed hash, and by nothing else."""

import stat
from pathlib import Path

import pytest

from mirrorset.errors import IntegrityError
from mirrorset.tombstones import Tombstones, key_file, make_key, read_key


def test_an_address_is_known_again_whatever_its_scheme_and_port(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    grave = Tombstones(key).hash_of("address", "http://example.org:8080/p/1.html")
    standing = Tombstones(key, frozenset({grave}))
    assert standing.standing([("address", "https://example.org/p/1.html")]) == grave
    assert standing.standing([("address", "https://example.org/p/2.html"), ("item", "")]) is None
    assert standing.standing([("item", "http://example.org:8080/p/1.html")]) is None
    other = Tombstones("ab" * 32, frozenset({grave}))
    assert other.standing([("address", "http://example.org:8080/p/1.html")]) is None


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    assert read_key(tmp_path) == ""
    key = make_key(tmp_path)
    assert make_key(tmp_path) == read_key(tmp_path) == key
    assert stat.S_IMODE(key_file(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "no key", "ab" * 31])
def test_a_damaged_key_is_said(tmp_path: Path, text: str) -> None:
    key_file(tmp_path).write_text(text)
    with pytest.raises(IntegrityError, match="restore it from a backup"):
        read_key(tmp_path)
