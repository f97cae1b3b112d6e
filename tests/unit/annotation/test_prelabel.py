"""One odd picture costs that picture, whatever is raised over it."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.prelabel import PrelabelParams, label_folder, prelabel, prelabel_shard
from faces.profiles import Measures
from mirrorset.blobs import BlobStore
from mirrorset.decisions import NOT_STOPPED
from mirrorset.errors import InputError
from mirrorset.files import read_records
from mirrorset.records import Annotation, Face, Reason, Rejected, Verdict

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Clumsy:
    """A profile that fails in OpenCV, with its real words, as real ones do on 5000×2 px."""

    name = "research"
    models = ()

    def measure_batch(self, images: list[np.ndarray]) -> list[Measures]:
        cv2.resize(images[0], (0, 0))
        raise AssertionError


@pytest.fixture
def folder(tmp_path: Path, pictures) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in zip("abc", pictures.values(), strict=True):
        (folder / f"{name}.png").write_bytes(content)
    return folder


def rejected_in(folder: Path) -> list[Rejected]:
    out = folder.parent / "labels.jsonl"
    label_folder(folder, out, Clumsy(), PrelabelParams(), lambda _: None, at=AT)
    return list(read_records(out.with_suffix(".rejected.jsonl"), Rejected))


def test_every_broken_file_has_a_reason_of_its_own(folder: Path) -> None:
    for name in ("d.jpg", "e.jpg"):
        (folder / name).write_bytes(b"")
    (folder / "f.jpg").symlink_to("nowhere")
    rejected = {one.item_id: one for one in rejected_in(folder)}
    for name in ("d.jpg", "e.jpg"):
        assert rejected[name].reason is Reason.NOT_AN_IMAGE
        assert rejected[name].detail.startswith("The file is empty")
    assert rejected["f.jpg"].detail == "The file cannot be read: No such file or directory."


def test_an_out_that_is_a_folder_is_refused_before_anything_is_labelled(folder: Path) -> None:
    with pytest.raises(InputError, match="is a folder: name the file"):
        label_folder(folder, folder, Clumsy(), PrelabelParams(), lambda _: None, at=AT)


def test_a_failed_model_is_one_line(folder: Path) -> None:
    rejected = rejected_in(folder)
    assert [one.reason for one in rejected] == [Reason.MODEL_FAILED] * 3
    for one in rejected:
        assert one.detail.startswith("research failed on this picture of 640×480 px: ")
        assert "\n" not in one.detail
        assert ".cpp" not in one.detail


def test_any_error_in_decoding_rejects_that_file(folder: Path, monkeypatch) -> None:
    def fail(content: bytes) -> np.ndarray:
        raise ZeroDivisionError("a tag with\na denominator of 0")

    monkeypatch.setattr("annotation.prelabel.decode", fail)
    rejected = rejected_in(folder)
    assert [one.item_id for one in rejected] == ["a.png", "b.png", "c.png"]
    assert {(one.reason, one.detail) for one in rejected} == {
        (
            Reason.NOT_AN_IMAGE,
            "The picture cannot be decoded: a tag with a denominator of 0.",
        )
    }


class Sees:
    """A profile that finds a face which it holds for a child's, and nudity or not."""

    name = "research"
    models = ()

    def __init__(self, face: Face, is_intimate: bool) -> None:
        self._seen = Measures(
            faces=(face,),
            unconfirmed=0,
            masks=(),
            minor_probability=(0.987654321,),
            is_intimate=is_intimate,
        )

    def measure_batch(self, images: list[np.ndarray]) -> list[Measures]:
        return [self._seen for _ in images]


def test_of_an_intimate_picture_nothing_is_kept_but_the_reason(
    folder: Path, make_face: Callable[..., Face]
) -> None:
    content = (folder / "a.png").read_bytes()
    image_id = sha256(content).hexdigest()
    profile = Sees(make_face(), is_intimate=True)
    assert prelabel(image_id, content, profile, PrelabelParams(), AT) == [
        Rejected(item_id=image_id, step="prelabel", reason=Reason.INTIMATE),
        Verdict(image_id=image_id, check="intimate", passed=False),
    ]
    out = folder.parent / "labels.jsonl"
    summary = label_folder(folder, out, profile, PrelabelParams(), lambda _: None, at=AT)
    assert (summary.rejected, summary.labelled) == ({"intimate": 3}, 0)
    assert out.read_text() == ""
    # Of which file it is said, nobody reads.
    assert out.with_suffix(".rejected.jsonl").read_text() == ""


def test_lost_and_changed_bytes_keep_no_other_picture_back(
    folder: Path, make_face: Callable[..., Face], tmp_path: Path
) -> None:
    store = BlobStore(str(tmp_path / "blobs"))
    whole, lost, changed = (store.put(path.read_bytes()) for path in sorted(folder.iterdir()))
    store.remove(lost)
    (tmp_path / "blobs" / changed[:2] / changed[2:4] / changed).write_bytes(b"")
    profile = Sees(make_face(), is_intimate=False)
    shard = prelabel_shard([lost, whole, changed], store, profile, PrelabelParams(), AT)
    assert [one.image_id for one in shard if isinstance(one, Annotation)] == [whole]
    rejected = [one for one in shard if isinstance(one, Rejected)]
    assert [one.item_id for one in rejected] == [lost, changed]
    for one in rejected:
        assert (one.reason, one.is_retryable) == (Reason.LOST, True)
        assert one.detail.endswith("restore it from a backup.")


def test_doubt_is_a_verdict_without_its_figure(
    folder: Path, make_face: Callable[..., Face]
) -> None:
    content = (folder / "a.png").read_bytes()
    profile = Sees(make_face(), is_intimate=False)
    records = prelabel(sha256(content).hexdigest(), content, profile, PrelabelParams(), AT)
    adult = [one for one in records if isinstance(one, Verdict) and one.check == "adult"]
    assert [(one.passed, one.measured, one.threshold) for one in adult] == [(False, None, None)]
    assert "0.98" not in "".join(one.model_dump_json() for one in records)
    # Whether somebody stopped it is no model's to say.
    assert not [one for one in records if isinstance(one, Verdict) and one.check == NOT_STOPPED]


def test_of_a_folder_doubted_pictures_are_left_out_and_named(
    folder: Path, make_face: Callable[..., Face]
) -> None:
    out = folder.parent / "labels.jsonl"
    profile = Sees(make_face(), is_intimate=False)
    summary = label_folder(folder, out, profile, PrelabelParams(), lambda _: None, at=AT)
    assert (summary.labelled, summary.rejected) == (0, {"minor_doubt": 3})
    assert out.read_text() == ""
    rejected = list(read_records(out.with_suffix(".rejected.jsonl"), Rejected))
    assert [one.item_id for one in rejected] == ["a.png", "b.png", "c.png"]
    assert {one.reason for one in rejected} == {Reason.MINOR_DOUBT}
    assert "0.98" not in out.with_suffix(".rejected.jsonl").read_text()
