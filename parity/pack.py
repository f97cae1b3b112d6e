"""A pack: a sealed test set that a laptop, a phone or a C++ program can run.

docs/parity.md describes the folder. Its arrays are in files of their own for each image shard
(`parity.arrays`).
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain as one_after_another
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from faces.engine import processors
from faces.lending import Lending
from mirrorset.errors import InputError, IntegrityError, SettingsError
from mirrorset.files import (
    folder_written_aside,
    read_records,
    write_bytes,
    write_records,
    write_text,
)
from mirrorset.load import open_release
from mirrorset.records import Licence, ParityKey, Record, Sha256, Split
from mirrorset.spreadsheets import write_rows
from parity.arrays import RowWriter, array_file, array_files, read_array
from parity.chain import DEFAULT_CHAIN, Chain, chain_file, load_chain
from parity.engine import Engine, Fed, Given, Picture, look_at_all
from parity.host import open_engine
from parity.kernels import Kernel
from parity.models import model_files, net_ref
from parity.preprocess import tensor, value_table
from parity.recording import pack_rows
from parity.records import PackItem, PackNet, PackRecord, PackRule, ReviewState
from parity.rules.rule import Stages, answer_of, value_of
from parity.seals import checksums, compare_checksums
from parity.slices import SliceParams
from parity.subjects import Subject, best_photo, limited, subjects_of

_REFERENCE: Kernel = "reference"
_ATTRIBUTION = "ATTRIBUTION.csv"


class PackParams(Record):
    """What to seal.

    split: of the release; a pack of "train" calibrates and does not judge. min_interocular_px:
    faces whose labelled outer eye corners lie closer are left out, since errors are shares of that
    distance. limit: items at most, None for all. is_unreviewed: labels that no person has looked at
    may judge. chain: the name of one that ships here, or a YAML file. models: files that take the
    place of the chain's, by net. best: image_id of the best photo, None for one that looks straight
    ahead in light from the front.
    """

    split: Split = "test"
    min_interocular_px: Annotated[float, Field(gt=0)] = 10.0
    slices: SliceParams = SliceParams()
    limit: Annotated[int | None, Field(ge=1)] = None
    is_unreviewed: bool = False
    chain: str = DEFAULT_CHAIN
    models: dict[str, Path] = Field(default_factory=dict)
    best: Sha256 | None = None


@dataclass(frozen=True)
class Pack:
    """An opened pack, whose files have the sealed checksums."""

    path: Path
    record: PackRecord
    items: tuple[PackItem, ...]

    @property
    def chain(self) -> Chain:
        """What runs on it."""
        return self.record.chain

    @cached_property
    def pixels(self) -> dict[str, list[NDArray[np.uint8]]]:
        """By net and image shard (n, …), what it sees before the table; read as needed."""
        return {
            net: [np.asarray(np.load(file, mmap_mode="r")) for file in self._files(net, "inputs")]
            for net in self.chain.nets
        }

    @cached_property
    def values(self) -> dict[str, NDArray[np.generic]]:
        """By net (256, 3): what byte b in channel c becomes."""
        return {net: np.load(self.path / "nets" / net / "values.npy") for net in self.chain.nets}

    @cached_property
    def transforms(self) -> dict[str, NDArray[np.float64]]:
        """By net (N, 2, 3): xy px of the picture → xy px of the input; NaN where it saw nothing."""
        return {net: read_array(self.path / "nets" / net / "transforms") for net in self.chain.nets}

    @cached_property
    def reference_outputs(self) -> dict[str, dict[str, NDArray[np.float32]]]:
        """By net and output (N, …), as the reference kernels gave them when sealed."""
        return {
            name: {
                output: read_array(self.path / "nets" / name / "reference" / output)
                for output in net.outputs
            }
            for name, net in self.chain.nets.items()
        }

    @cached_property
    def rule_values(self) -> dict[str, NDArray[Any]]:
        """By rule (N, …), as they followed from the reference's outputs."""
        return {rule: read_array(self.path / "rules" / rule) for rule in self.chain.rules}

    @cached_property
    def credits(self) -> dict[str, tuple[str, Licence]]:
        """By image_id whom to name with the picture and under which licence."""
        with (self.path / _ATTRIBUTION).open(encoding="utf-8", newline="") as lines:
            return {
                row["image_id"]: (row["author"], _licence(row)) for row in csv.DictReader(lines)
            }

    def tensors(self, net: str) -> Iterator[NDArray[np.generic]]:
        """The net's input (1, …) of each item, in order."""
        layout = self.chain.nets[net].input.layout
        for row in one_after_another.from_iterable(self.pixels[net]):
            yield tensor(np.asarray(row), self.values[net], layout)

    def pictures(self) -> Iterator[Picture]:
        """The items with their pictures, in order."""
        for item in self.items:
            yield self.picture(item)

    def picture(self, item: PackItem) -> Picture:
        """One item with its picture."""
        return Picture(item, (self.path / item.file).read_bytes)

    def fed(self) -> Iterator[Mapping[str, Fed]]:
        """What each net is to see of each item, in order."""
        nets = list(self.pixels)
        rows = [
            zip(
                one_after_another.from_iterable(self.pixels[net]), self.transforms[net], strict=True
            )
            for net in nets
        ]
        for each in zip(*rows, strict=True):
            yield {
                net: Fed(np.asarray(seen), where)
                for net, (seen, where) in zip(nets, each, strict=True)
            }

    def require_items(self) -> None:
        """Raise InputError where there is nothing to run on: the split had no usable face."""
        if not self.items:
            raise InputError(
                f"The pack {self.path} holds no face: label more images of the split "
                f"{self.record.split} (left_out.jsonl says what each lacks), or pack another split."
            )

    def require_purpose(self, purpose: str) -> None:
        """Raise InputError where it is another: what calibrates does not judge, and the reverse."""
        if self.record.purpose != purpose:
            wanted = "train" if purpose == "calibration" else "test"
            raise InputError(
                f"{self.path} is a {self.record.purpose} pack, of the split {self.record.split}: "
                f"for {purpose} seal one with --split {wanted}."
            )

    def _files(self, net: str, array: str) -> list[Path]:
        return array_files(self.path / "nets" / net / array)


def seal(
    release: Path,
    out: Path,
    params: PackParams,
    cache: Path,
    on_item: Callable[[], None] = lambda: None,
) -> Path:
    """Seal a split of the release folder `release` as the pack folder `out`; returns `out`.

    The largest face of each image is the one tested. `cache` holds the model weights; `on_item` is
    called once per item when its reference outputs are there. The same release, params and machine
    give the same bytes. A split without a usable face gives a pack that holds none. Raises
    InputError where `out` is a folder that is no pack, or where labels are unreviewed and may not
    be; SettingsError and UnavailableError where chain or models cannot be had.
    """
    if out.exists() and not (out / "pack.json").is_file():
        raise InputError(f"{out} exists and is no pack: choose another folder for the pack.")
    described = chain_file(params.chain)
    chain = load_chain(described)
    files = model_files(chain, cache, params.models, described.parent)
    source = open_release(release, split=params.split)
    source.verify()
    usable, left_out = subjects_of(source, chain, params.slices, params.min_interocular_px)
    subjects = usable if params.limit is None else limited(usable, params.limit)
    _require_review(subjects, params)
    best = _best(subjects, chain, params.best)
    engine, keys = open_engine(chain, files, _REFERENCE, threads=1)
    nothing = engine.nothing()
    with folder_written_aside(out) as aside:
        for subject in subjects:
            write_bytes(aside / subject.item.file, subject.source.content())
        for name, net in chain.nets.items():
            (aside / "nets" / name).mkdir(parents=True)
            np.save(aside / "nets" / name / "values.npy", value_table(net.input))
        _write_attribution(subjects, aside / _ATTRIBUTION)
        items = [subject.item for subject in subjects]
        write_records(aside / "items.jsonl", items)
        write_slices(aside / "slices.csv", items)
        write_records(aside / "left_out.jsonl", left_out)

        def picture(item: PackItem) -> Picture:
            return Picture(item, (aside / item.file).read_bytes)

        looks = look_at_all(
            Lending(lambda: open_engine(chain, files, _REFERENCE, threads=1)[0], engine),
            (Given(picture(item)) for item in items),
            best=Given(picture(best)) if best else None,
            at_once=processors(),
        )
        _write_arrays(aside, subjects, looks, nothing, on_item)
        record = PackRecord(
            release=source.card.name,
            version=source.card.version,
            release_digest=source.card.digest,
            split=params.split,
            purpose="calibration" if params.split == "train" else "test",
            review_state=_review_state(subjects),
            limit=params.limit,
            item_count=len(items),
            left_out_count=len(left_out),
            best_image_id=best.image_id if best else None,
            chain=chain,
            nets=_nets(engine, files, keys, nothing),
            rules=_rules(chain, nothing),
            files=checksums(aside, besides="pack.json"),
            digest="",
        )
        write_text(aside / "pack.json", sealed(record).model_dump_json(indent=2) + "\n")
    return out


def sealed(record: PackRecord) -> PackRecord:
    """The record with the digest of all else that it says."""
    return record.model_copy(update={"digest": _digest(record)})


def open_pack(path: Path) -> Pack:
    """The pack at `path`, every byte of it verified.

    Raises InputError where it is no pack, IntegrityError naming the file that has changed.
    """
    record = read_record(path)
    if record.digest != _digest(record):
        raise IntegrityError(
            f"{path / 'pack.json'} was changed after sealing: seal the pack again."
        )
    compare_checksums(path, record.files, "copy or seal the pack again")
    return Pack(path, record, tuple(read_records(path / "items.jsonl", PackItem)))


def read_record(path: Path) -> PackRecord:
    """What the pack at `path` says of itself, unverified. Raises InputError where it is no pack."""
    try:
        return PackRecord.model_validate_json((path / "pack.json").read_bytes())
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no pack of this version: make one with `mirrorset parity pack`."
        ) from None


def write_slices(path: Path, items: Sequence[PackItem]) -> None:
    """Write slices.csv: a line for every item and axis."""
    text = io.StringIO()
    write_rows(text, [["index", "image_id", "axis", "cell"]])
    for item in items:
        write_rows(text, ((item.index, item.image_id, *cell) for cell in item.slices.items()))
    write_text(path, text.getvalue())


def _write_arrays(
    folder: Path,
    subjects: Sequence[Subject],
    looks: Iterator[Stages],
    nothing: Stages,
    on_item: Callable[[], None],
) -> None:
    """Write what the reference saw and said, one item in memory at a time."""
    for shard, own in groupby(subjects, lambda subject: subject.source.image_shard):
        count = len(list(own))
        with RowWriter(partial(_file_of, folder, shard), count) as writer:
            for stages in islice(looks, count):
                for array, value in pack_rows(stages):
                    writer.put(array, value)
                on_item()
    if not subjects:
        with RowWriter(partial(_file_of, folder, 0), 0) as writer:
            for array, value in pack_rows(nothing):
                writer.put_none(array, like=value)


def _file_of(folder: Path, shard: int, array: str) -> Path:
    return array_file(folder / array, shard)


def _write_attribution(subjects: list[Subject], path: Path) -> None:
    """The receipt that every licence asks to travel with the picture."""
    text = io.StringIO()
    head = ["image_id", "author", "licence", "licence_url", "source", "page_url"]
    write_rows(text, [head])
    for subject in subjects:
        image = subject.source
        licence = f"{image.licence.code} {image.licence.version}".rstrip()
        fields = [image.image_id, image.author, licence, image.licence.url]
        fields += [image.source, image.page_url]
        write_rows(text, [fields])
    write_text(path, text.getvalue())


def _licence(row: Mapping[str, str]) -> Licence:
    code, _, version = row["licence"].partition(" ")
    return Licence(code=code, version=version, url=row["licence_url"])


def _nets(
    engine: Engine, files: Mapping[str, Path], keys: Mapping[str, ParityKey], nothing: Stages
) -> dict[str, PackNet]:
    found = {}
    for name, net in engine.chain.nets.items():
        found[name] = PackNet(
            model=net_ref(net.net, files[name]),
            key=keys[name],
            input_shape=net.input.shape,
            input_dtype=net.input.dtype,
            outputs={
                output: value.shape for output, value in answer_of(nothing, name).outputs.items()
            },
        )
    return found


def _rules(chain: Chain, nothing: Stages) -> dict[str, PackRule]:
    found = {}
    for name, rule in chain.rules.items():
        value = value_of(nothing, name)
        found[name] = PackRule.model_validate(
            {"shape": value.shape, "dtype": value.dtype.name, "labels": rule.labels}
        )
    return found


def _best(subjects: Sequence[Subject], chain: Chain, wanted: str | None) -> PackItem | None:
    """The best photo, where a rule compares with one."""
    if not any(rule.is_relative for rule in chain.rules.values()):
        return None
    items = [subject.item for subject in subjects]
    if wanted is None:
        return best_photo(items)
    chosen = next((item for item in items if item.image_id == wanted), None)
    if chosen is None:
        raise SettingsError(
            f"The best photo {wanted} is not among the {len(items)} items: give the image_id of "
            "one that is."
        )
    return chosen


def _require_review(subjects: Sequence[Subject], params: PackParams) -> None:
    """Raise InputError where labels that no person has looked at would judge, and nobody said so.

    A calibration pack judges nothing.
    """
    unreviewed = sum(subject.item.origin == "model" for subject in subjects)
    if unreviewed and not params.is_unreviewed and params.split != "train":
        raise InputError(
            f"{unreviewed} of the {len(subjects)} faces to test have labels that no person has "
            "looked at: have them reviewed, or say --unreviewed (pack.is_unreviewed in "
            "params.yaml), which every result will repeat."
        )


def _review_state(subjects: list[Subject]) -> ReviewState:
    reviewed = sum(subject.item.origin != "model" for subject in subjects)
    if reviewed == 0:
        return "unreviewed"
    return "reviewed" if reviewed == len(subjects) else "partly_reviewed"


def _digest(record: PackRecord) -> str:
    return hashlib.sha256(record.model_dump_json(exclude={"digest"}).encode()).hexdigest()
