"""A run: models and kernels on one pack → what every stage gave, and the keys of what ran where.

docs/parity.md describes the folder, which phones and other programs write as well.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from faces.engine import processors
from faces.lending import Lending
from mirrorset.errors import InputError
from mirrorset.files import folder_written_aside, write_text
from parity.arrays import RowWriter
from parity.chain import Chain
from parity.engine import Engine, Given, look_at_all
from parity.host import open_engine, open_what_runs
from parity.kernels import Kernel
from parity.pack import Pack
from parity.recording import run_rows
from parity.records import Fed, Latency, RunNet, RunRecord
from parity.rules.rule import answer_of
from parity.seals import compare_checksums

_ARRAY = re.compile(r"(?:nets/(\w+)/(\w+)|rules/(\w+))\.npy")


@dataclass(frozen=True)
class RunResult:
    """What was said of a pack; rows are in the order of record.image_ids.

    outputs: by net and output (N, …) float32. transforms: by net (N, 2, 3), where the run kept
    them. rules: by rule (N, …), where it kept them. inputs: by net, the tensors (N, …) that were
    kept; read as needed.
    """

    record: RunRecord
    outputs: dict[str, dict[str, NDArray[np.float32]]]
    transforms: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    rules: dict[str, NDArray[Any]] = field(default_factory=dict)
    inputs: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What ran, for a sentence: "xnnpack"."""
        return ", ".join(dict.fromkeys(key.kernel for key in self.record.tried.values()))


def run(
    pack: Pack,
    files: Mapping[str, Path],
    kernel: Kernel,
    threads: int,
    out: Path,
    *,
    fed: Fed = "tensors",
    chain: Chain | None = None,
    is_input_kept: bool = False,
    is_timed: bool = True,
    on_item: Callable[[], None] = lambda: None,
) -> RunResult:
    """Run the model files `files`, one for each net, on `pack`, and keep it as the folder `out`.

    A net that cannot run is kept as such, and what follows from it is left out.

    fed: "tensors" shows each net the inputs that the pack holds; "images" lets the chain see the
    pictures. chain: of the same stages, which preprocesses in its own way; by itself the pack's.
    is_input_kept: keep the tensors that the nets got, too. `on_item` is called once per item.
    is_timed: times are of the inference alone, item by item, after warm-up; without them items are
    run on as many processors as there are, and say the same. Raises InputError where a model
    does not take and give what the chain says, where the pack holds no face, or where `out` is a
    folder that is no run; SettingsError for an unknown kernel or fewer than one thread.
    """
    pack.require_items()
    if out.exists() and not (out / "run.json").is_file():
        raise InputError(f"{out} exists and is no run: choose another folder for the run.")
    opened = open_what_runs(chain or pack.chain, files, kernel, threads, fed)
    if is_timed:
        opened.engine.warm_up()
    elapsed_ms: dict[str, list[float]] = {name: [] for name in opened.keys}

    def another() -> Engine:
        return open_engine(opened.engine.chain, files, kernel, threads)[0]

    engines = Lending(another, opened.engine)
    at_once = 1 if is_timed else processors()
    with folder_written_aside(out) as aside:
        looks = look_at_all(engines, _given(pack, fed), best=_best(pack, fed), at_once=at_once)
        with RowWriter(lambda array: aside / f"{array}.npy", len(pack.items)) as writer:
            for stages in looks:
                for array, value in run_rows(stages, fed == "images", is_input_kept):
                    writer.put(array, value)
                for name in opened.keys if is_timed else ():
                    elapsed_ms[name].append(answer_of(stages, name).elapsed_ms)
                on_item()
        record = RunRecord(
            pack_digest=pack.record.digest,
            release=pack.record.release,
            version=pack.record.version,
            review_state=pack.record.review_state,
            fed=fed,
            image_ids=tuple(item.image_id for item in pack.items),
            nets={
                name: RunNet(
                    key=key, model_file=files[name].name, latency=_latency(elapsed_ms[name])
                )
                for name, key in opened.keys.items()
            },
            not_runnable=opened.not_runnable,
            files={f"{array}.npy": writer.sha256[array] for array in sorted(writer.sha256)},
        )
        write_text(aside / "run.json", record.model_dump_json(indent=2) + "\n")
    return _read(out, record)


def open_run(path: Path) -> RunResult:
    """The run kept at `path`.

    Raises InputError where it is no run, IntegrityError naming the file that has changed.
    """
    record = read_run_record(path)
    compare_checksums(path, record.files, "run the model again")
    return _read(path, record)


def read_run_record(path: Path) -> RunRecord:
    """What the run at `path` says of itself, unverified. Raises InputError where it is no run."""
    try:
        return RunRecord.model_validate_json((path / "run.json").read_bytes())
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no run of this version: make one with `mirrorset parity run`."
        ) from None


def reference_of(pack: Pack) -> RunResult:
    """The reference kernels' run that is sealed into the pack; it was not timed."""
    record = RunRecord(
        pack_digest=pack.record.digest,
        release=pack.record.release,
        version=pack.record.version,
        review_state=pack.record.review_state,
        fed="images",
        image_ids=tuple(item.image_id for item in pack.items),
        nets={
            name: RunNet(key=net.key, model_file=net.model.name)
            for name, net in pack.record.nets.items()
        },
        files={},
    )
    return RunResult(record, pack.reference_outputs, pack.transforms, pack.rule_values)


def _given(pack: Pack, fed: Fed) -> Iterator[Given]:
    if fed == "images":
        return (Given(picture) for picture in pack.pictures())
    return (Given(*one) for one in zip(pack.pictures(), pack.fed(), strict=True))


def _best(pack: Pack, fed: Fed) -> Given | None:
    wanted = pack.record.best_image_id
    if wanted is None:
        return None
    return next(one for one in _given(pack, fed) if one.picture.item.image_id == wanted)


def _latency(elapsed_ms: list[float]) -> Latency | None:
    """Of the items that the net had something to look at in."""
    timed = np.array(elapsed_ms)
    timed = timed[np.isfinite(timed)]
    if not timed.size:
        return None
    return Latency(
        median_ms=round(float(np.median(timed)), 3),
        mean_ms=round(float(timed.mean()), 3),
        p95_ms=round(float(np.quantile(timed, 0.95)), 3),
    )


def _read(path: Path, record: RunRecord) -> RunResult:
    result = RunResult(record, {})
    for file in record.files:
        named = _ARRAY.fullmatch(file)
        if named is None:
            raise InputError(
                f"{path / 'run.json'} names {file}, which is no array of a run: bring what another "
                "program wrote in with `mirrorset parity ingest`."
            )
        net, output, rule = named.groups()
        if rule is not None:
            result.rules[rule] = np.load(path / file)
        elif output == "input":
            result.inputs[net] = np.load(path / file, mmap_mode="r")
        elif output == "transforms":
            result.transforms[net] = np.load(path / file)
        else:
            result.outputs.setdefault(net, {})[output] = np.load(path / file)
    return result
