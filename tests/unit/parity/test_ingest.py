"""Runs that devices gave back: what is kept, what is told, and what makes one unusable."""

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pack import CHAIN, engine, key, make_pack

from faces.lending import Lending
from mirrorset.errors import InputError
from parity.compare import compare
from parity.engine import Given, look_at_all
from parity.ingest import UnusableRunError, ingest, read_ingest
from parity.pack import Pack
from parity.recording import run_rows
from parity.records import Gate, RunNet, RunRecord
from parity.run import open_run, reference_of
from parity.seals import checksums, file_sha256
from parity.tar import write_tar

GATES = (Gate(metric="tensor_max_abs", output="marker/points", limit=0.001),)
LIGHTS = (200, 180, 160, 140, 120, 100, 90, 80, 70, 60, 50, 40)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return make_pack(tmp_path_factory.mktemp("device") / "pack", LIGHTS)


@dataclass
class Device:
    """A run in a folder, as a phone writes it, that tests spoil."""

    folder: Path
    record: dict[str, Any]

    def array(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def change(self, name: str, changed: Callable[[np.ndarray], np.ndarray]) -> None:
        values = np.load(self.array(name))
        np.save(self.array(name), changed(values))

    def write(self, *, is_resealed: bool = True) -> Path:
        if is_resealed:
            self.record["files"] = checksums(self.folder, besides="run.json")
        (self.folder / "run.json").write_text(json.dumps(self.record))
        return self.folder


@pytest.fixture
def device(tmp_path: Path, pack: Pack) -> Device:
    """What a phone that computes as the reference does wrote of all images."""
    folder = tmp_path / "run"
    rows = list(
        look_at_all(
            Lending(engine),
            (Given(picture, fed) for picture, fed in zip(pack.pictures(), pack.fed(), strict=True)),
            best=Given(pack.picture(pack.items[0]), next(iter(pack.fed()))),
        )
    )
    arrays: dict[str, list[Any]] = {}
    for stages in rows:
        for name, value in run_rows(stages, False, False):
            if name.startswith("nets/"):
                arrays.setdefault(name, []).append(value)
    for name, values in arrays.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", np.stack(values))
    record = RunRecord(
        pack_digest=pack.record.digest,
        release="faces",
        version="1.0.0",
        review_state="reviewed",
        fed="tensors",
        image_ids=tuple(item.image_id for item in pack.items),
        nets={
            name: RunNet(key=key("gpu").model_copy(update={"device": "Pixel 8"}), model_file="x")
            for name in CHAIN.nets
        },
        files={},
    )
    made = Device(folder, record.model_dump(mode="json"))
    made.write()
    return made


def test_a_clean_run_is_kept_with_its_keys_and_compares_to_nothing(
    tmp_path: Path, pack: Pack, device: Device
) -> None:
    kept = ingest(device.write(), pack, tmp_path / "runs")
    assert kept.is_new
    assert kept.faults == ()
    assert kept.path.name.startswith("pixel-8-gpu-none-")
    run = open_run(kept.path)
    assert run.record.nets["marker"].key.device == "Pixel 8"
    comparison = compare(pack, reference_of(pack), run, GATES)
    assert [
        each.estimate and each.estimate.value
        for each in comparison.figures
        if each.metric == "tensor_max_abs" and each.slice == "all"
    ] == [0, 0, 0, 0]
    told = read_ingest(kept.path)
    assert told is not None
    assert (told.source, told.faults) == ("run", ())


def test_a_run_is_kept_once(tmp_path: Path, pack: Pack, device: Device) -> None:
    first = ingest(device.write(), pack, tmp_path / "runs")
    stamp = (first.path / "run.json").stat().st_mtime_ns
    again = ingest(device.folder, pack, tmp_path / "runs")
    assert (again.path, again.is_new) == (first.path, False)
    assert (first.path / "run.json").stat().st_mtime_ns == stamp
    assert len(list((tmp_path / "runs").iterdir())) == 1


def as_tar(device: Device, folder: Path) -> Path:
    write_tar(device.folder, folder / "run.tar")
    return folder / "run.tar"


def as_tar_gz(device: Device, folder: Path) -> Path:
    with tarfile.open(folder / "run.tgz", "w:gz") as archive:
        archive.add(device.folder, arcname=".")
    return folder / "run.tgz"


def as_npz(device: Device, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "run.npz", "w") as archive:
        for file in device.folder.rglob("*"):
            archive.write(file, file.relative_to(device.folder).as_posix())
    return folder / "run.npz"


def as_folder_with_npz(device: Device, folder: Path) -> Path:
    arrays = {
        file.relative_to(device.folder).with_suffix("").as_posix(): np.load(file)
        for file in device.folder.rglob("*.npy")
    }
    shutil.rmtree(device.folder / "nets")
    np.savez(device.folder / "run.npz", **arrays)
    return device.write()


@pytest.mark.parametrize("form", [as_tar, as_tar_gz, as_npz, as_folder_with_npz])
def test_every_form_of_a_run_is_the_same_run(
    tmp_path: Path, pack: Pack, device: Device, form: Callable[[Device, Path], Path]
) -> None:
    plain = ingest(device.folder, pack, tmp_path / "runs")
    again = ingest(form(device, tmp_path), pack, tmp_path / "runs")
    assert (again.path, again.is_new, again.faults) == (plain.path, False, ())


def test_images_in_another_order_are_no_fault(tmp_path: Path, pack: Pack, device: Device) -> None:
    order = np.random.default_rng(3).permutation(len(LIGHTS))
    for net, output in pack.chain.outputs:
        device.change(f"nets/{net}/{output}", lambda values: values[order])
    device.record["image_ids"] = [device.record["image_ids"][row] for row in order]
    kept = ingest(device.write(), pack, tmp_path / "runs")
    assert kept.faults == ()
    comparison = compare(pack, reference_of(pack), open_run(kept.path), GATES)
    assert [
        each.estimate and each.estimate.value
        for each in comparison.figures
        if each.metric == "tensor_max_abs" and each.slice == "all"
    ] == [0, 0, 0, 0]


def test_what_a_comparison_judges_is_kept_and_counted(
    tmp_path: Path, pack: Pack, device: Device
) -> None:
    def spoiled(values: np.ndarray) -> np.ndarray:
        values[4, 7] = np.nan
        return values[:-2]

    device.change("nets/marker/points", spoiled)
    device.change("nets/marker/presence", lambda values: values[:-2])
    shutil.rmtree(device.folder / "nets/finder")
    del device.record["nets"]["finder"]
    lost = device.record["image_ids"][-2:]
    device.record["image_ids"] = device.record["image_ids"][:-2]
    kept = ingest(device.write(), pack, tmp_path / "runs")
    assert [(fault.kind, fault.count) for fault in kept.faults] == [
        ("missing_images", 2),
        ("missing_nets", 1),
        ("not_finite", 1),
    ]
    assert lost[0][:40] in kept.faults[0].detail
    assert kept.faults[2].detail == (
        f"marker/points is no number on 1 of 10 images ({device.record['image_ids'][4][:40]})"
    )
    comparison = compare(pack, reference_of(pack), open_run(kept.path), GATES)
    assert comparison.count == 10
    assert comparison.has_failed


def test_nan_is_an_answer_where_there_was_nothing_to_see(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", [200, 10, 150])
    assert not np.isfinite(pack.transforms["marker"][1]).any()
    folder = tmp_path / "run"
    for net, output in pack.chain.outputs:
        (folder / "nets" / net).mkdir(parents=True, exist_ok=True)
        np.save(folder / f"nets/{net}/{output}.npy", pack.reference_outputs[net][output])
    record = reference_of(pack).record.model_dump(mode="json")
    device = Device(folder, {**record, "fed": "tensors"})
    assert ingest(device.write(), pack, tmp_path / "runs").faults == ()
    device.change("nets/marker/points", lambda values: np.full_like(values, np.nan))
    (fault,) = ingest(device.write(), pack, tmp_path / "runs").faults
    assert (fault.kind, fault.count) == ("not_finite", 2)


def transposed(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), 2, -1)


SPOILS: dict[str, tuple[Callable[[Device], object], list[str]]] = {
    "wrong pack": (lambda run: run.record.update(pack_digest="0" * 64), ["wrong_pack"]),
    "duplicate id": (
        lambda run: run.record["image_ids"].__setitem__(1, run.record["image_ids"][0]),
        ["duplicate_ids"],
    ),
    "unknown id": (
        lambda run: run.record["image_ids"].__setitem__(1, "9" * 64),
        ["unknown_ids"],
    ),
    "transposed": (lambda run: run.change("nets/marker/points", transposed), ["shape"]),
    "one row too few": (lambda run: run.change("nets/marker/points", lambda v: v[1:]), ["shape"]),
    "halves": (
        lambda run: run.change("nets/finder/scores", lambda v: v.astype(np.float16)),
        ["dtype"],
    ),
    "objects": (
        lambda run: np.save(run.array("nets/marker/points"), np.array([{}], object)),
        ["unreadable"],
    ),
    "no .npy": (
        lambda run: run.array("nets/marker/points").write_bytes(b"points"),
        ["unreadable"],
    ),
    "cut": (
        lambda run: run.array("nets/marker/points").write_bytes(
            run.array("nets/marker/points").read_bytes()[:-9]
        ),
        ["unreadable"],
    ),
    "output missing": (lambda run: run.array("nets/marker/points").unlink(), ["missing_output"]),
    "unknown net": (
        lambda run: run.record["nets"].update(other=run.record["nets"]["marker"]),
        ["unknown_net"],
    ),
    "unknown file": (lambda run: np.save(run.array("nets/marker/more"), 1.0), ["unknown_file"]),
    "several": (
        lambda run: (
            run.record.update(pack_digest="0" * 64),
            run.change("nets/marker/points", transposed),
            run.change("nets/finder/scores", lambda values: values[1:]),
        ),
        ["wrong_pack", "shape", "shape"],
    ),
}


@pytest.mark.parametrize("name", SPOILS)
def test_a_run_with_fatal_faults_is_refused_with_all_of_them(
    tmp_path: Path, pack: Pack, device: Device, name: str
) -> None:
    spoil, kinds = SPOILS[name]
    spoil(device)
    with pytest.raises(UnusableRunError) as error:
        ingest(device.write(), pack, tmp_path / "runs")
    fatal = [fault for fault in error.value.faults if fault.is_fatal]
    assert [fault.kind for fault in fatal] == kinds
    count = "one fault" if len(kinds) == 1 else f"{len(kinds)} faults"
    assert f"cannot be used for {count}: " in str(error.value)
    assert all(fault.detail in str(error.value) for fault in fatal)
    assert not (tmp_path / "runs").exists()


def test_a_changed_or_missing_file_is_refused(tmp_path: Path, pack: Pack, device: Device) -> None:
    points = device.array("nets/marker/points")
    content = bytearray(points.read_bytes())
    content[-1] ^= 1
    points.write_bytes(content)
    device.array("nets/finder/scores").unlink()
    device.record["files"]["../../etc/hostname"] = "0" * 64
    with pytest.raises(UnusableRunError, match="2 files are missing") as error:
        ingest(device.write(is_resealed=False), pack, tmp_path / "runs")
    assert "1 files have other checksums (nets/marker/points.npy)" in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "Invalid JSON"),
        ("{}", "pack_digest: Field required; release: Field required"),
        ('{"format_version": 1}', "format_version: Input should be 2"),
        ('{"nets": {"marker": {"key": {"device": " , "}}}}', "name the device, as in"),
        ('{"nets": {"marker": {"key": {"threads": -1}}}}', "key.threads: Input should be greater"),
        (
            '{"nets": {"marker": {"key": {"delegated_share": 7}}}}',
            "delegated_share: Input should be",
        ),
    ],
)
def test_a_run_json_that_is_none_is_said_field_by_field(
    tmp_path: Path, pack: Pack, content: str, words: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=words):
        ingest(tmp_path, pack, tmp_path / "runs")


def evil_tar(path: Path, entry: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return path


def test_archives_that_reach_outside_are_refused(tmp_path: Path, pack: Pack) -> None:
    outside = tarfile.TarInfo("../outside.txt")
    outside.size = 1
    link = tarfile.TarInfo("run.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    with pytest.raises(InputError, match="lies outside"):
        ingest(evil_tar(tmp_path / "a.tar", outside), pack, tmp_path / "runs")
    with pytest.raises(InputError, match="links or devices"):
        ingest(evil_tar(tmp_path / "b.tar", link), pack, tmp_path / "runs")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("/absolute.npy", b"x")
    with pytest.raises(InputError, match="lies outside"):
        ingest(tmp_path / "c.npz", pack, tmp_path / "runs")
    assert not (tmp_path.parent / "outside.txt").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x1f\x8b\x08"])
def test_what_is_no_run_is_said(tmp_path: Path, pack: Pack, content: bytes) -> None:
    path = tmp_path / "run.bin"
    path.write_bytes(content)
    for each in (path, tmp_path / "absent"):
        with pytest.raises(InputError, match="is no folder, tar or"):
            ingest(each, pack, tmp_path / "runs")


def test_archives_cut_anywhere_are_refused_or_found_lacking(
    tmp_path: Path, pack: Pack, device: Device
) -> None:
    for path in (as_tar(device, tmp_path), as_tar_gz(device, tmp_path), as_npz(device, tmp_path)):
        whole = path.read_bytes()
        for share in (0.1, 0.5):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(InputError):
                ingest(path, pack, tmp_path / "runs")


def test_the_pack_says_how_far_labels_were_reviewed(
    tmp_path: Path, pack: Pack, device: Device
) -> None:
    device.record.update(review_state="unreviewed", release="other", version="9")
    kept = ingest(device.write(), pack, tmp_path / "runs")
    stored = open_run(kept.path).record
    assert (stored.release, stored.version, stored.review_state) == ("faces", "1.0.0", "reviewed")
    assert stored.files == {name: file_sha256(kept.path / name) for name in stored.files}
