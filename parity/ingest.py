"""A run that a device gave back is looked at as a whole, and kept where it can be compared.

What makes it unusable (another pack, a changed file, a wrong shape, an id twice) is told apart from
what a comparison is to judge (images that are missing, values that are no numbers), which is kept.
"""

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mirrorset.errors import InputError
from mirrorset.files import folder_written_aside, write_text
from mirrorset.paths_within import is_within
from mirrorset.records import Record
from parity.pack import Pack
from parity.records import RunRecord
from parity.seals import checksums, file_sha256
from parity.unpacked import ARRAYS_FILE, RUN_FILE, unpacked

FaultKind = Literal[
    "wrong_pack",
    "checksum",
    "unknown_file",
    "unknown_net",
    "missing_output",
    "unreadable",
    "dtype",
    "shape",
    "no_images",
    "duplicate_ids",
    "unknown_ids",
    "missing_images",
    "missing_nets",
    "not_finite",
]
_KEPT: tuple[FaultKind, ...] = ("missing_images", "missing_nets", "not_finite")
_NAMED = 3  # of many faulty images or files, as many are named


class Fault(Record):
    """Something about a run. count: images, files or nets that it is about. detail: a clause."""

    kind: FaultKind
    count: int
    detail: str

    @property
    def is_fatal(self) -> bool:
        """Whether the run cannot be used; another fault is kept, for comparisons to judge."""
        return self.kind not in _KEPT


class Ingest(Record):
    """ingest.json beside run.json: where the run came from, and what was said of it."""

    source: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Ingested:
    """A run as it is kept now; whether it was there before; its faults that are not fatal."""

    path: Path
    record: RunRecord
    is_new: bool
    faults: tuple[Fault, ...]


class UnusableRunError(InputError):
    """A run with fatal faults, all of which it lists."""

    def __init__(self, path: Path, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        fatal = [fault for fault in faults if fault.is_fatal]
        count = "one fault" if len(fatal) == 1 else f"{len(fatal)} faults"
        listed = "; ".join(fault.detail for fault in fatal)
        super().__init__(f"{path} cannot be used for {count}: {listed}.")


def ingest(path: Path, pack: Pack, runs: Path) -> Ingested:
    """Keep the run at `path` (folder, tar or .npz) in the folder `runs`, named by its keys.

    The same run comes to the same place. Release and review state are the pack's, whatever the run
    says. Raises InputError where it is no run, UnusableRunError with all faults where it cannot be
    used.
    """
    with unpacked(path) as folder:
        record = _record(path, folder)
        faults = tuple(_faults(record, folder, pack))
        if any(fault.is_fatal for fault in faults):
            raise UnusableRunError(path, faults)
        arrays = [name for name in _arrays(record, folder) if (folder / name).is_file()]
        kept = record.model_copy(
            update={
                "release": pack.record.release,
                "version": pack.record.version,
                "review_state": pack.record.review_state,
                "files": {name: file_sha256(folder / name) for name in sorted(arrays)},
            }
        )
        out = runs / _name(kept)
        is_new = not (out / RUN_FILE).is_file()
        if is_new:
            _keep(kept, folder, out, Ingest(source=path.name, faults=faults))
    return Ingested(out, kept, is_new, faults)


def read_ingest(path: Path) -> Ingest | None:
    """What was said of the run kept at `path`; None where it was made here."""
    try:
        return Ingest.model_validate_json((path / "ingest.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _record(path: Path, folder: Path) -> RunRecord:
    try:
        return RunRecord.model_validate_json((folder / RUN_FILE).read_bytes())
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        listed = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in wrong
        )
        raise InputError(
            f"{RUN_FILE} of {path} is not as docs/device-protocol.md has it: {listed}."
        ) from None


def _keep(record: RunRecord, folder: Path, out: Path, said: Ingest) -> None:
    with folder_written_aside(out) as aside:
        for name in record.files:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, aside / name)
        if checksums(aside, besides=RUN_FILE) != record.files:
            raise InputError(f"{out} could not be written as it was read: ingest the run again.")
        write_text(aside / "ingest.json", said.model_dump_json(indent=2) + "\n")
        write_text(aside / RUN_FILE, record.model_dump_json(indent=2) + "\n")


def _name(record: RunRecord) -> str:
    """What ran and where, for people, and eight digits of what it said, for programs."""
    keys = list(record.tried.values())
    words = [
        ",".join(dict.fromkeys(getattr(key, field) for key in keys))
        for field in ("device", "kernel", "delegate")
    ]
    slug = "-".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:40] for word in words)
    digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
    return f"{slug}-{digest[:8]}"


def _arrays(record: RunRecord, folder: Path) -> list[str]:
    """The arrays of the run by their paths: those listed, or those that run.npz held."""
    if ARRAYS_FILE not in record.files:
        return list(record.files)
    names = (each.relative_to(folder).as_posix() for each in folder.rglob("*.npy"))
    return sorted({*names, *record.files} - {ARRAYS_FILE})


def _faults(record: RunRecord, folder: Path, pack: Pack) -> Iterator[Fault]:
    if record.pack_digest != pack.record.digest:
        yield Fault(
            kind="wrong_pack",
            count=1,
            detail=f"it is of the pack {record.pack_digest[:12]}, not of {pack.path} "
            f"({pack.record.digest[:12]})",
        )
    yield from _file_faults(record, folder)
    yield from _id_faults(record, pack)
    yield from _net_faults(record, pack)
    yield from _array_faults(record, folder, pack)


def _file_faults(record: RunRecord, folder: Path) -> Iterator[Fault]:
    lost = [name for name in record.files if not _is_file_of(folder, name)]
    changed = [
        name
        for name, sha256 in record.files.items()
        if name not in lost and file_sha256(folder / name) != sha256
    ]
    yield from _fault("checksum", lost, "{count} files are missing ({named})")
    yield from _fault("checksum", changed, "{count} files have other checksums ({named})")


def _id_faults(record: RunRecord, pack: Pack) -> Iterator[Fault]:
    if not record.image_ids:
        yield Fault(kind="no_images", count=0, detail="it has no images")
    known = {item.image_id for item in pack.items}
    twice = [image_id for image_id, times in Counter(record.image_ids).items() if times > 1]
    unknown = [image_id for image_id in dict.fromkeys(record.image_ids) if image_id not in known]
    missing = sorted(known.difference(record.image_ids))
    yield from _fault("duplicate_ids", twice, "{count} image ids come twice ({named})")
    yield from _fault("unknown_ids", unknown, "{count} images are not in the pack ({named})")
    yield from _fault(
        "missing_images", missing, f"{{count}} of {len(known)} images are missing ({{named}})"
    )


def _net_faults(record: RunRecord, pack: Pack) -> Iterator[Fault]:
    unknown = [net for net in record.tried if net not in pack.chain.nets]
    missing = [net for net in pack.chain.nets if net not in record.tried]
    yield from _fault("unknown_net", unknown, "{count} nets are not in the pack's chain ({named})")
    yield from _fault("missing_nets", missing, "{count} nets of the chain did not run ({named})")
    if not record.tried:
        yield Fault(kind="unknown_net", count=0, detail="it has no nets")


def _told(dtype: "np.dtype[Any]") -> str:
    return dtype.name if dtype.isnative else f"{dtype.name} with its bytes swapped"


def _array_faults(record: RunRecord, folder: Path, pack: Pack) -> Iterator[Fault]:
    wanted = _wanted(record, pack)
    names = _arrays(record, folder)
    unknown = [name for name in names if name not in wanted]
    yield from _fault("unknown_file", unknown, "{count} files are none of a run ({named})")
    lacking = [
        f"{net}/{output}"
        for net, output in pack.chain.outputs
        if net in record.nets and f"nets/{net}/{output}.npy" not in names
    ]
    yield from _fault("missing_output", lacking, "{count} outputs are missing ({named})")
    for name in names:
        if name not in wanted or not _is_file_of(folder, name):
            continue
        try:
            values = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, SyntaxError, OverflowError):
            yield Fault(kind="unreadable", count=1, detail=f"{name} cannot be read as .npy")
            continue
        dtype, shape = wanted[name]
        if values.dtype != np.dtype(dtype):
            detail = f"{name} holds {_told(values.dtype)}, not {dtype}"
            yield Fault(kind="dtype", count=1, detail=detail)
        elif values.shape != (len(record.image_ids), *shape):
            expected = (len(record.image_ids), *shape)
            detail = f"{name} has the shape {values.shape}, not {expected}"
            yield Fault(kind="shape", count=1, detail=detail)
        elif dtype == "float32" and not name.endswith("/input.npy"):
            yield from _value_faults(record, folder, pack, name, values)


def _value_faults(
    record: RunRecord, folder: Path, pack: Pack, name: str, values: NDArray[Any]
) -> Iterator[Fault]:
    """NaN is an answer where the net had nothing to look at, and a fault where it had."""
    _, net, file = PurePosixPath(name).parts
    rows = {item.image_id: item.index for item in pack.items}
    if any(image_id not in rows for image_id in record.image_ids):
        return
    is_finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    transforms = folder / "nets" / net / "transforms.npy"
    if record.fed == "images" and _is_transforms(transforms, len(values)):
        has_seen = np.isfinite(np.load(transforms)).all(axis=(1, 2))
    else:
        seen = pack.transforms[net][[rows[image_id] for image_id in record.image_ids]]
        has_seen = np.isfinite(seen).all(axis=(1, 2))
    faulty = np.flatnonzero(~is_finite & has_seen)
    yield from _fault(
        "not_finite",
        [record.image_ids[row] for row in faulty],
        f"{net}/{file.removesuffix('.npy')} is no number on {{count}} of {len(values)} images "
        "({named})",
    )


def _is_transforms(path: Path, count: int) -> bool:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, OverflowError):
        return False
    return bool(found.shape == (count, 2, 3) and found.dtype == np.float64)


def _wanted(record: RunRecord, pack: Pack) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and an item's shape of every array that a run of these nets may hold, by path."""
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, net in pack.record.nets.items():
        if name in record.nets:
            wanted[f"nets/{name}/input.npy"] = (net.input_dtype, net.input_shape)
            wanted[f"nets/{name}/transforms.npy"] = ("float64", (2, 3))
            for output, shape in net.outputs.items():
                wanted[f"nets/{name}/{output}.npy"] = ("float32", shape)
    for name, rule in pack.record.rules.items():
        wanted[f"rules/{name}.npy"] = (rule.dtype, rule.shape)
    return wanted


def _is_file_of(folder: Path, name: str) -> bool:
    """Whether `name` is a plain file inside `folder`."""
    return is_within(name) and (folder / name).is_file() and not (folder / name).is_symlink()


def _fault(kind: FaultKind, what: list[str], detail: str) -> Iterator[Fault]:
    """One fault about all of `what`, or none; detail: with {count} and {named}."""
    if what:
        named = ", ".join(each[:40] for each in what[:_NAMED])
        named += ", …" if len(what) > _NAMED else ""
        worded = detail.replace("{count}", str(len(what))).replace("{named}", named)
        yield Fault(kind=kind, count=len(what), detail=worded)
