"""Names that strangers give, through every door they come in by: none leads out, none crashes."""

import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from small_pack import make_pack

from annotation.archive import erase_from_archive, read_archive
from annotation.folder import BATCH, read_batch
from crawlers.source import Answer
from crawlers.sources.folder import Folder, FolderStart
from crawlers.terms import Terms
from mirrorset.errors import MirrorsetError
from mirrorset.load import open_release
from mirrorset.paths_within import is_within, named_twice
from mirrorset.records import Batch, Rejected
from mirrorset.remotes import FolderRemote
from mirrorset.withdrawn import FILE, read_withdrawn
from parity import unpacked as unpacking
from parity.pack import open_pack
from parity.unpacked import unpacked

_OUTSIDE = "outside.npy"
_NAMES = {
    "up": f"../{_OUTSIDE}",
    "down and up": f"a/../../{_OUTSIDE}",
    "up at the end": "a/..",
    "absolute": f"/{_OUTSIDE}",
    "backslashes": f"..\\{_OUTSIDE}",
    "a drive": f"C:\\{_OUTSIDE}",
    "a drive's own folder": f"C:{_OUTSIDE}",
    "a share": f"\\\\host\\{_OUTSIDE}",
    "NUL": f"a\0/../../{_OUTSIDE}",
    "a terminal's words": "\x1b[2J.npy",
    "half a character": "\udcff.npy",
    "too long": f"{'n' * 300}.npy",
    "nothing between": f"a//{_OUTSIDE}",
}
_ANNOTATIONS = b"""<?xml version="1.0"?><annotations><version>1.1</version><meta>
<dumped>2026-01-01 00:00:00+00:00</dumped></meta></annotations>"""

Door = Callable[[Path, str], None]


def _zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def _tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def returned_archive(root: Path, name: str) -> None:
    read_archive(_zip(root / "t.zip", ("annotations.xml", _ANNOTATIONS), (name, b"x")))


def archive_of_an_erased_image(root: Path, name: str) -> None:
    path = _zip(root / "t.zip", ("annotations.xml", _ANNOTATIONS), (name, b"x"))
    erase_from_archive(path, {"ab" * 8})


def run_in_a_tar(root: Path, name: str) -> None:
    with unpacked(_tar(root / "run.tar", ("run.json", b"{}"), (name, b"x"))):
        pass


def run_in_a_zip(root: Path, name: str) -> None:
    with unpacked(_zip(root / "run.npz", ("run.json", b"{}"), (name, b"x"))):
        pass


def card_of_a_release(root: Path, name: str) -> None:
    _card(root, files={name: "0" * 64})
    release = open_release(root, remote=FolderRemote(str(root / "remote")))
    release.verify()


def name_of_a_release(root: Path, name: str) -> None:
    _card(root, name=name)
    open_release(root)


def version_of_a_release(root: Path, name: str) -> None:
    _card(root, version=name)
    open_release(root)


def _card(root: Path, **changed: object) -> None:
    card = {
        "name": "faces", "version": "1.0.0", "digest": "d" * 64, "intended_use": "research",
        "images": 0, "groups": 0, "splits": {"train": 0, "val": 0, "test": 0}, "unreviewed": 0,
        "files": {},
    }  # fmt: skip
    (root / "release.json").write_text(json.dumps(card | changed))


def files_of_a_pack(root: Path, name: str) -> None:
    _spoilt_pack(root, "pack.json", lambda told: told["files"].update({name: "0" * 64}))


def release_of_a_pack(root: Path, name: str) -> None:
    _spoilt_pack(root, "pack.json", lambda told: told.update(release=name))


def picture_of_a_pack(root: Path, name: str) -> None:
    _spoilt_pack(root, "items.jsonl", lambda told: told.update(file=name))


def _spoilt_pack(root: Path, file: str, spoil: Callable[[dict], None]) -> None:
    path = root / "pack" / file
    first, *rest = [path.read_text()] if file == "pack.json" else path.read_text().splitlines()
    told = json.loads(first)
    spoil(told)
    path.write_text("\n".join([json.dumps(told), *rest]) + "\n")
    open_pack(root / "pack")


def batch_in_the_outbox(root: Path, name: str) -> None:
    batch = Batch(
        batch_id="b", image_ids=(), schema_version="1", server="", project="", task="",
        state="pushed",
    )  # fmt: skip
    told = batch.model_dump(mode="json") | {"batch_id": name}
    (root / BATCH).write_text(json.dumps(told) + "\n")
    read_batch(root)


def successor_of_a_withdrawn_version(root: Path, name: str) -> None:
    told = {"name": "faces", "version": "1.0.0", "withdrawn_at": "2026-01-01T00:00:00Z"}
    (root / FILE).write_text(json.dumps([told | {"successor": name}]))
    read_withdrawn(root)


def consent_of_a_capture(root: Path, name: str) -> None:
    folder = root / "captures"
    folder.mkdir()
    (folder / "consent.csv").write_text(f'file,consent_id,licence\n"{name}",C-1,CC0\n')
    source = Folder(FolderStart(path=str(folder)), Terms())
    for found in source.read(next(iter(source.begin())), Answer(url="", body=b"")):
        assert isinstance(found, Rejected)
        raise MirrorsetError(found.detail)


_PACKED = (returned_archive, archive_of_an_erased_image, run_in_a_zip, run_in_a_tar)
_DOORS: tuple[Door, ...] = (
    *_PACKED, card_of_a_release, name_of_a_release, version_of_a_release,
    files_of_a_pack, release_of_a_pack, picture_of_a_pack, batch_in_the_outbox,
    successor_of_a_withdrawn_version, consent_of_a_capture,
)  # fmt: skip


def _can_be_said(door: Door, kind: str) -> bool:
    if door in _PACKED:
        # Names in archives end at a NUL; those in zips are whole characters.
        return kind != "NUL" and (kind != "half a character" or door is run_in_a_tar)
    # What looks like another system's path may be the name of a picture.
    is_up = kind in ("up", "down and up", "up at the end", "absolute")
    return door is not consent_of_a_capture or is_up


_SAID = [(door, kind) for door in _DOORS for kind in _NAMES if _can_be_said(door, kind)]


@pytest.fixture(scope="module")
def whole_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "pack"
    make_pack(folder, (200, 100))
    return folder


@pytest.mark.parametrize(
    ("door", "kind"), _SAID, ids=[f"{door.__name__}, {kind}" for door, kind in _SAID]
)
def test_a_hostile_name_is_refused_in_one_sentence(
    tmp_path: Path, whole_pack: Path, door: Door, kind: str
) -> None:
    name = _NAMES[kind]
    root = tmp_path / "far" / "down"
    shutil.copytree(whole_pack, root / "pack")
    (tmp_path / "far" / _OUTSIDE).write_bytes(b"not yours")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MirrorsetError) as told:
        door(root, name)
    assert "\x1b" not in str(told.value)
    assert len(str(told.value)) < 1000
    made = [one for one in sorted(tmp_path.rglob("*")) if one not in before]
    assert not [one for one in made if not one.is_relative_to(root)]
    assert (tmp_path / "far" / _OUTSIDE).read_bytes() == b"not yours"
    assert not Path(f"/{_OUTSIDE}").exists()


@pytest.mark.parametrize("door", _DOORS, ids=lambda door: door.__name__)
def test_a_name_as_it_should_be_is_not(tmp_path: Path, whole_pack: Path, door: Door) -> None:
    """Else nothing above would show anything."""
    shutil.copytree(whole_pack, tmp_path / "pack")
    good = {
        name_of_a_release: "faces",
        release_of_a_pack: "other",
        version_of_a_release: "1.0.0",
        successor_of_a_withdrawn_version: "1.0.1",
        batch_in_the_outbox: "0123abcd",
    }
    # Of a good name, that the file is not there or is not the sealed one.
    lacking = (card_of_a_release, files_of_a_pack, release_of_a_pack, picture_of_a_pack)
    refused = pytest.raises(MirrorsetError, match=r"(is not there|was changed)")
    with refused if door in lacking else nullcontext():
        door(tmp_path, good.get(door, "nets/a/b.npy"))


@pytest.mark.parametrize(
    "twice", [("a.npy", "a.npy"), ("a.npy", "A.NPY"), ("\u00e9.npy", "e\u0301.npy")]
)
def test_one_name_for_two_files_is_refused(tmp_path: Path, twice: tuple[str, str]) -> None:
    members = [(name, b"x") for name in twice]
    with (
        pytest.raises(MirrorsetError, match="twice"),
        unpacked(_tar(tmp_path / "run.tar", ("run.json", b"{}"), *members)),
    ):
        pass
    with (
        pytest.warns(UserWarning, match="Duplicate name") if twice[0] == twice[1] else nullcontext()
    ):
        archive = _zip(tmp_path / "t.zip", ("annotations.xml", _ANNOTATIONS), *members)
    with pytest.raises(MirrorsetError, match="twice"):
        read_archive(archive)
    with pytest.raises(MirrorsetError, match="twice"), unpacked(archive):
        pass
    _card(tmp_path, files=dict.fromkeys(twice, "0" * 64))
    if twice[0] != twice[1]:
        with pytest.raises(MirrorsetError, match="twice"):
            open_release(tmp_path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("run.json")
    member.type, member.linkname = kind, "/etc/hostname"
    with tarfile.open(tmp_path / "run.tar", "w") as archive:
        archive.addfile(member)
    with pytest.raises(MirrorsetError, match="links or devices"), unpacked(tmp_path / "run.tar"):
        pass


@pytest.mark.parametrize("kind", ["file", "folder", "run.json", "pipe"])
def test_links_and_devices_in_a_folder_are_refused(tmp_path: Path, kind: str) -> None:
    run = tmp_path / "run"
    (run / "nets").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.npy").write_bytes(b"x")
    if kind != "run.json":
        (run / "run.json").write_text("{}")
    if kind == "pipe":
        os.mkfifo(run / "nets/a.npy")
    elif kind == "run.json":
        (run / "run.json").symlink_to("/etc/hostname")
    else:
        (run / "nets/a").symlink_to(tmp_path / ("secret" if kind == "folder" else "secret/a.npy"))
    with pytest.raises(MirrorsetError, match="links or devices"), unpacked(run):
        pass


def test_what_unpacks_to_more_than_any_run_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_LARGEST_BYTES", 1000)
    bomb = tmp_path / "run.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.json", bytes(2000))
    assert bomb.stat().st_size < 1000
    with pytest.raises(MirrorsetError, match="more than any run has"), unpacked(bomb):
        pass


def test_names_are_told_apart() -> None:
    assert all(map(is_within, ("a", "a/b.npy", "StatefulPartitionedCall:0.npy", "ä/…", "..a/b..")))
    assert not any(is_within(name) for name in _NAMES.values())
    assert named_twice(["a", "b", "a/b"]) is None
