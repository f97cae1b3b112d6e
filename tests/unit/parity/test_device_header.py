"""deploy/device/mirrorset_parity.hpp plays the phone: compiled with every warning an error, run
under AddressSanitizer and UndefinedBehaviorSanitizer, held against Python's reader and writer.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_pack import make_pack

from mirrorset.files import write_text
from parity.compare import compare
from parity.ingest import ingest
from parity.pack import Pack, open_pack, sealed
from parity.records import Gate, PackRecord
from parity.run import open_run, reference_of
from parity.seals import checksums, file_sha256

DEVICE = Path(__file__).resolve().parents[3] / "deploy" / "device"
PROBE = Path(__file__).resolve().parents[2] / "device_probe.cpp"
STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Werror")
SANITIZED = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiled(folder: Path, source: Path) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: the C++ header is not compiled")
    program = folder / source.stem
    command = ["g++", *STRICT, *SANITIZED, f"-I{DEVICE}", "-o", str(program), str(source)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return program


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("phone"), DEVICE / "played_phone.cpp")


@pytest.fixture(scope="module")
def sealed_pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Five pictures of two shards, one of them too dark for a face."""
    folder = tmp_path_factory.mktemp("sealed") / "pack"
    return make_pack(folder, [200, 150, 10, 90, 60], [0, 0, 2, 2, 11])


@pytest.fixture
def pack(tmp_path: Path, sealed_pack: Pack) -> Pack:
    """A copy to spoil."""
    shutil.copytree(sealed_pack.path, tmp_path / "pack")
    return open_pack(tmp_path / "pack")


def called(program: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}
    return subprocess.run(
        [program, *words], capture_output=True, text=True, check=False, env=environment, timeout=120
    )


def resealed(folder: Path, change: Callable[[dict], object] = lambda record: None) -> None:
    """Seal the pack anew as it lies there: its checksums and digest are right."""
    record = PackRecord.model_validate_json((folder / "pack.json").read_text())
    values = record.model_dump(mode="json")
    values["files"] = checksums(folder, besides="pack.json")
    change(values)
    record = sealed(PackRecord.model_validate(values))
    write_text(folder / "pack.json", record.model_dump_json(indent=2) + "\n")


def test_tensors_are_byte_for_byte_those_of_python(tmp_path: Path, phone: Path, pack: Pack) -> None:
    done = called(phone, pack.path, "--tensors", tmp_path / "tensors")
    assert (done.returncode, done.stderr) == (0, "")
    for net in pack.chain.nets:
        expected = b"".join(tensor.tobytes() for tensor in pack.tensors(net))
        assert len(expected) > 0
        assert (tmp_path / "tensors" / f"{net}.bin").read_bytes() == expected


@pytest.mark.parametrize(
    ("layout", "dtype"), [("nchw", "float32"), ("nhwc", "uint8"), ("nchw", "int8")]
)
def test_every_layout_and_dtype_is_read(
    tmp_path: Path, phone: Path, pack: Pack, layout: str, dtype: str
) -> None:
    marker = pack.path / "nets/marker"
    if layout == "nchw":
        for file in (marker / "inputs").iterdir():
            np.save(file, np.ascontiguousarray(np.load(file).transpose(0, 3, 1, 2)))
    table = np.random.default_rng(5).normal(0, 40, (256, 3)).astype(dtype)
    np.save(marker / "values.npy", table)

    def change(record: dict) -> None:
        shape = [3, 32, 32] if layout == "nchw" else [32, 32, 3]
        record["nets"]["marker"].update(input_shape=shape, input_dtype=dtype)
        record["chain"]["stages"]["marker"]["input"].update(layout=layout, dtype=dtype)

    resealed(pack.path, change)
    done = called(phone, pack.path, "--tensors", tmp_path / "tensors")
    assert (done.returncode, done.stderr) == (0, "")
    expected = b"".join(tensor.tobytes() for tensor in open_pack(pack.path).tensors("marker"))
    assert (tmp_path / "tensors/marker.bin").read_bytes() == expected


def test_what_the_phone_writes_is_ingested_and_compared(
    tmp_path: Path, phone: Path, pack: Pack
) -> None:
    done = called(phone, pack.path, tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, "")
    kept = ingest(tmp_path / "run", pack, tmp_path / "runs")
    assert kept.faults == ()
    run = open_run(kept.path)
    for net in pack.chain.nets:
        tensors = list(pack.tensors(net))
        means = [np.frombuffer(each.tobytes(), np.uint8).mean() for each in tensors]
        assert np.array_equal(run.inputs[net], np.concatenate(tensors))
        for output, values in run.outputs[net].items():
            assert values.shape == pack.reference_outputs[net][output].shape
            rows = values.reshape(len(values), -1)
            assert np.array_equal(rows, np.repeat(np.float32(means)[:, None], rows.shape[1], 1))
        key = run.record.nets[net].key
        assert (key.device, key.delegated_share) == ('played "phone"', None)
        latency = run.record.nets[net].latency
        assert latency is not None
        assert 0 < latency.median_ms <= latency.p95_ms
    gate = Gate(metric="tensor_max_abs", output="marker/points", limit=0.001, minimum_count=1)
    assert compare(pack, reference_of(pack), run, [gate]).has_failed


def test_a_run_takes_the_place_of_a_run_and_of_nothing_else(
    tmp_path: Path, phone: Path, pack: Pack
) -> None:
    out = tmp_path / "run"
    assert called(phone, pack.path, out).returncode == 0
    first = file_sha256(out / "nets/marker/points.npy")
    assert called(phone, pack.path, f"{out}/").returncode == 0
    assert file_sha256(out / "nets/marker/points.npy") == first
    (out / "run.json").unlink()
    done = called(phone, pack.path, out)
    assert done.returncode == 1
    assert done.stderr == f"{out} is there and is no run: choose another folder.\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pack", "run"]


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut_and_resealed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-5])
    resealed(folder)


def header_changed(folder: Path, name: str, before: bytes, after: bytes) -> None:
    content = (folder / name).read_bytes()
    assert content.count(before) == 1
    (folder / name).write_bytes(content.replace(before, after))
    resealed(folder)


def _digested(text: str) -> str:
    """The text of a pack.json that Python would not write, with the digest that it needs."""
    values = json.loads(text)
    del values["digest"]
    compact = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(compact.encode()).hexdigest()
    return json.dumps({**values, "digest": digest}, indent=2, ensure_ascii=False)


def _naming(pack: Path, name: str) -> None:
    """Let the pack name a file that Python would not take."""
    text = (pack / "pack.json").read_text()
    files = f'"files": {{"{name}": "{"0" * 64}", '
    write_text(pack / "pack.json", _digested(text.replace('"files": {', files)))


INPUTS = "nets/marker/inputs/00002.npy"


CORRUPTIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit in an array": (
        lambda pack: flipped(pack / INPUTS, -1),
        f"{INPUTS} was changed after sealing",
    ),
    "a bit in a picture": (
        lambda pack: flipped(next(iter((pack / "images").iterdir())), 40),
        "was changed after sealing",
    ),
    "a bit in the items": (
        lambda pack: flipped(pack / "items.jsonl", 30),
        "items.jsonl was changed after sealing",
    ),
    "a bit in pack.json": (
        lambda pack: write_text(
            pack / "pack.json", (pack / "pack.json").read_text().replace('"faces"', '"faces2"')
        ),
        "pack.json was changed after sealing",
    ),
    "a wrong sha": (
        lambda pack: resealed(pack, lambda record: record["files"].update({INPUTS: "0" * 64})),
        f"{INPUTS} was changed after sealing",
    ),
    "a missing array": (lambda pack: (pack / INPUTS).unlink(), f"{INPUTS} is missing"),
    "a missing array, sealed": (
        lambda pack: ((pack / INPUTS).unlink(), resealed(pack)),
        "nets/marker/inputs has 3 rows, not 5",
    ),
    "no pack.json": (lambda pack: (pack / "pack.json").unlink(), "pack.json cannot be read"),
    "a cut array": (
        lambda pack: cut_and_resealed(pack, INPUTS),
        f"{INPUTS} has another size than its header says",
    ),
    "a cut header": (
        lambda pack: ((pack / INPUTS).write_bytes(b"\x93NUMPY\x01\x00\x76\x00{"), resealed(pack)),
        f"{INPUTS} ends inside its header",
    ),
    "no array": (
        lambda pack: ((pack / INPUTS).write_bytes(b"hello"), resealed(pack)),
        f"{INPUTS} is no .npy file",
    ),
    "a wrong shape in the header": (
        lambda pack: header_changed(pack, INPUTS, b"(2, 32, 32, 3)", b"(2, 32, 48, 2)"),
        f"{INPUTS} has the shape (2, 32, 48, 2), whose rows are not (32, 32, 3)",
    ),
    "too many rows in the header": (
        lambda pack: header_changed(pack, INPUTS, b"(2, 32, 32, 3)", b"(9, 32, 32, 3)"),
        f"{INPUTS} has another size than its header says",
    ),
    "rows beyond counting in the header": (
        lambda pack: header_changed(
            pack, INPUTS, b"(2, 32, 32, 3), }             ", b"(999999999999999, 32, 32, 3), }"
        ),
        f"{INPUTS} has another size than its header says",
    ),
    "a wrong dtype": (
        lambda pack: header_changed(pack, INPUTS, b"'|u1'", b"'|i1'"),
        f"{INPUTS} holds '|i1', not uint8",
    ),
    "Fortran order": (
        lambda pack: header_changed(pack, INPUTS, b"False", b"True "),
        f"{INPUTS} is not in C order",
    ),
    "a short table": (
        lambda pack: (
            np.save(pack / "nets/marker/values.npy", np.zeros((255, 3), np.float32)),
            resealed(pack),
        ),
        "nets/marker/values.npy has not 256 rows",
    ),
    "a path with ..": (
        lambda pack: _naming(pack, "../outside"),
        'names "../outside", which is no path inside the pack',
    ),
    "an unknown layout": (
        lambda pack: write_text(
            pack / "pack.json",
            _digested((pack / "pack.json").read_text().replace('"nhwc"', '"nwhc"')),
        ),
        "takes what this version cannot give",
    ),
    "an absolute path": (
        lambda pack: _naming(pack, "/etc/hostname"),
        'names "/etc/hostname", which is no path inside the pack',
    ),
    "an older format": (
        lambda pack: write_text(
            pack / "pack.json",
            (pack / "pack.json").read_text().replace('"format_version": 2', '"format_version": 1'),
        ),
        "pack.json is not of format version 2",
    ),
    "a missing item": (
        lambda pack: (
            write_text(
                pack / "items.jsonl",
                "".join((pack / "items.jsonl").read_text().splitlines(keepends=True)[:-1]),
            ),
            resealed(pack),
        ),
        "items.jsonl has 4 items, not 5",
    ),
    "items in another order": (
        lambda pack: (
            write_text(
                pack / "items.jsonl",
                "".join((pack / "items.jsonl").read_text().splitlines(keepends=True)[::-1]),
            ),
            resealed(pack),
        ),
        "items.jsonl:1 is not the item of its row",
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_pack_is_refused_in_one_sentence(
    tmp_path: Path, phone: Path, pack: Pack, name: str
) -> None:
    corrupt, words = CORRUPTIONS[name]
    corrupt(pack.path)
    done = called(phone, pack.path, tmp_path / "run")
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(".\n")
    assert not (tmp_path / "run").exists()


def test_pack_json_cut_or_changed_anywhere_is_refused(
    tmp_path: Path, phone: Path, pack: Pack
) -> None:
    whole = (pack.path / "pack.json").read_bytes()
    rng = np.random.default_rng(11)
    places = rng.choice(len(whole) - 2, 25, replace=False)
    for place in map(int, places):
        for content in (whole[:place], whole[:place] + b"\x00" + whole[place + 1 :]):
            (pack.path / "pack.json").write_bytes(content)
            done = called(phone, pack.path, tmp_path / "run")
            assert done.returncode == 1, content[max(0, place - 30) : place]
            assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ('"a\\u00e9\\ud83d\\ude00\\n"', True),
        ('{"a": [1, -2.5e+3, true, null, {}], "b": ""}', True),
        ("[" * 60 + "]" * 60, True),
        ("[" * 5000, False),
        ('"\\ud83d"', False),
        ('"\\ud83d\\u0041"', False),
        ('"\\udc00"', False),
        ('"\\x"', False),
        ('"a', False),
        ('"a\n"', False),
        ('{"a": 1, "a": 2}', False),
        ('{"a": 1,}', False),
        ("[1,]", False),
        ("01", False),
        ("1.", False),
        ("-", False),
        ("1e", False),
        ("nul", False),
        ("NaN", False),
        ("[] x", False),
        ("", False),
    ],
)
def test_json_is_read_as_rfc_8259_has_it(
    tmp_path: Path, probe: Path, text: str, is_valid: bool
) -> None:
    (tmp_path / "text.json").write_text(text)
    done = called(probe, tmp_path / "text.json")
    assert done.returncode == (0 if is_valid else 1), done.stderr
    if is_valid and text.startswith('"'):
        assert done.stdout == json.loads(text)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("probe"), PROBE)


def test_a_run_of_some_items_and_nets_says_so(tmp_path: Path, probe: Path, pack: Pack) -> None:
    done = called(probe, "well", pack.path, tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, "")
    kept = ingest(tmp_path / "run", pack, tmp_path / "runs")
    assert [(fault.kind, fault.count) for fault in kept.faults] == [("missing_images", 3)]
    run = open_run(kept.path)
    assert run.record.image_ids == (pack.items[3].image_id, pack.items[2].image_id)
    key = run.record.nets["marker"].key
    # The line break of the name is gone, with whatever else steers a terminal.
    assert (key.device, key.delegated_share) == ('café "x\\', 0.25)
    assert run.record.not_runnable["finder"].reason == "no such operation"
    assert run.record.fed == "images"
    assert run.transforms["marker"][1].tolist() == [[1, 0, 0.1], [0, 1, -3]]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("unknown net", "has no net other"),
        ("lacks an output", "lacks nets/marker/presence.npy"),
        ("item twice", "comes a second time"),
        ("wrong size", "takes (136,) float32, not 7 values"),
        ("output twice", "has two values of marker/points"),
        ("late net", "A net is added before the first item"),
        ("no time", "no number cannot be written"),
        ("no item", ""),
        ("not finished", ""),
    ],
)
def test_a_run_that_is_not_whole_is_absent(
    tmp_path: Path, probe: Path, pack: Pack, how: str, words: str
) -> None:
    done = called(probe, how, pack.path, tmp_path / "run")
    assert done.returncode == (0 if how == "not finished" else 1)
    assert words in done.stderr
    assert "Sanitizer" not in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["pack"]
