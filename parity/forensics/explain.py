"""Why a run departs from its pack's reference: each stage replayed from what the run kept of the
stages before it, so that its own deviation is told from what came before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mirrorset.errors import InputError, NotRunnableError
from mirrorset.files import folder_written_aside, write_text
from parity.both import Both
from parity.chain import Net
from parity.forensics.copies import copies
from parity.forensics.departure import first_departure
from parity.forensics.drawing import draw_worst
from parity.forensics.graph import Graph
from parity.forensics.nets import Files, NetInquiry
from parity.forensics.order import is_alike, order_of
from parity.forensics.records import Departure, Deviation, Explanation, Finding
from parity.forensics.rules import RuleInquiry
from parity.forensics.steps import NetReplay
from parity.forensics.worst import worst_of
from parity.kernels import KERNELS, Kernel
from parity.pack import Pack
from parity.replay import completed, rows_in_pack
from parity.run import RunResult, reference_of
from parity.runtimes.opening import open_session
from parity.runtimes.session import Session
from parity.seals import file_sha256

_FILE = "explanation.json"


class Models:
    """The sessions that a run is replayed with, by net.

    reference: the sealed models on their reference kernels. own: the run's files there, as far as
    they are at hand; a session of `reference` itself where the run's file is the sealed one. files:
    to look into.
    """

    def __init__(
        self,
        reference: Mapping[str, Session],
        own: Mapping[str, Session],
        files: Mapping[str, Files] | None = None,
    ) -> None:
        self.reference, self.own, self.files = reference, own, files or {}


def open_models(
    pack: Pack, run: RunResult, files: Mapping[str, Path], own: Mapping[str, Path]
) -> Models:
    """The models to replay `run` with. files: the chain's, by net. own: the run's where they are
    others.

    Raises InputError where a file is another than the pack or the run names, NotRunnableError where
    a file of the chain cannot run.
    """
    reference: dict[str, Session] = {}
    ours: dict[str, Session] = {}
    looked_into: dict[str, Files] = {}
    for net, ran in run.record.nets.items():
        sealed = pack.record.nets[net].key.model_sha256
        kernel = pack.chain.nets[net].reference_kernel
        _require(files[net], sealed, f"the pack's reference of {net} was made with")
        reference[net] = open_session(files[net], kernel, 1)
        if ran.key.model_sha256 == sealed:
            ours[net] = reference[net]
            looked_into[net] = Files(files[net], files[net])
        elif net in own:
            _require(own[net], ran.key.model_sha256, f"the run names for {net}")
            looked_into[net] = Files(files[net], own[net])
            try:
                ours[net] = open_session(own[net], kernel, 1)
            except NotRunnableError:  # then model and kernel are not told apart
                continue
        else:
            looked_into[net] = Files(files[net])
    return Models(reference, ours, looked_into)


def explain(pack: Pack, run: RunResult, models: Models) -> Explanation:
    """Where and by what `run` departs from what is sealed in its pack.

    Raises InputError where the run is of another pack, or has nothing in common with it.
    """
    pack.require_items()
    # One that lacks an output is refused where the run is completed.
    nets = [
        name
        for name, net in pack.chain.nets.items()
        if set(net.outputs) <= set(run.outputs.get(name, ()))
    ]
    if not run.record.image_ids or not nets:
        raise InputError(f"The {run.name} run holds no image or no net: run the model again.")
    findings: list[Finding] = []
    for put_right in (_put_in_order, _without_copies):
        run, moved = put_right(pack, run, nets)
        findings += moved
    whole = completed(pack, run)
    indices = rows_in_pack(pack, run)
    rules = RuleInquiry(pack, whole, indices)
    inquiries: dict[str, NetInquiry] = {}
    misread: frozenset[int] = frozenset()
    deviations: list[Deviation] = []
    for name, stage in pack.chain.stages.items():
        if isinstance(stage, Net):
            if name in nets:
                reference, own = models.reference[name], models.own.get(name)
                replay = NetReplay(pack, whole, indices, name, reference, own, misread)
                inquiry = inquiries[name] = NetInquiry(replay, models.files.get(name))
                deviations += inquiry.deviations()
                found = list(inquiry.findings())
                misread |= _misread(run, found)
                findings += found
            continue
        if deviation := rules.deviation(name):
            deviations.append(deviation)
        if finding := rules.finding(name):
            findings.append(finding)
    told = [*(one.times_tolerance() for one in inquiries.values()), rules.times_tolerance()]
    return Explanation(
        release=pack.record.release,
        version=pack.record.version,
        pack_digest=pack.record.digest,
        chain=pack.chain.name,
        run=run.name,
        count=len(indices),
        deviations=tuple(deviations),
        findings=tuple(findings),
        departures=tuple(_departures(run, inquiries, models)),
        worst=worst_of(chain(*told)),
    )


def keep(pack: Pack, run: RunResult, explanation: Explanation, out: Path) -> Explanation:
    """Write the folder `out`: explanation.json, and its worst images, drawn; what was written.

    Raises InputError where `out` is a folder of something else.
    """
    if out.exists() and not (out / _FILE).is_file():
        raise InputError(
            f"{out} exists and holds no explanation: choose another folder for this one."
        )
    with folder_written_aside(out) as aside:
        worst = draw_worst(Both(pack, reference_of(pack), run, pack), explanation.worst, aside)
        drawn = explanation.model_copy(update={"worst": worst})
        write_text(aside / _FILE, drawn.model_dump_json(indent=2) + "\n")
    return drawn


def _put_in_order(
    pack: Pack, run: RunResult, nets: Sequence[str]
) -> tuple[RunResult, list[Finding]]:
    """The run with its rows at the images that they are of, and what was found about that."""
    indices = rows_in_pack(pack, run)
    ids = run.record.image_ids
    orders: dict[str, tuple[NDArray[np.int64], float]] = {}
    outputs_of = {
        net: (
            [run.outputs[net][output] for output in pack.chain.nets[net].outputs],
            [values[indices] for values in pack.reference_outputs[net].values()],
        )
        for net in nets
    }
    for net, (said, sealed) in outputs_of.items():
        order, share = order_of(said, sealed)
        if share > 0:
            orders[net] = order, share
    if not orders:
        return run, []
    first, share = next(iter(orders.values()))
    # A net that says the same of every image is in any order.
    is_one = all(
        np.array_equal(orders[net][0], first) if net in orders else is_alike(*both, first)
        for net, both in outputs_of.items()
    )
    if is_one:
        findings = [_moved(tuple(nets), np.arange(len(first)), first, share, ids)]
        if not _are_inputs_in_place(pack, run, indices, np.arange(len(first)), first):
            named = tuple(ids[row] for row in first.tolist())
            record = run.record.model_copy(update={"image_ids": named})
            return replace(run, record=record), findings
    else:
        findings = [
            _moved((net,), np.arange(len(order)), order, share, ids)
            for net, (order, share) in orders.items()
        ]
    back = {net: _back(order) for net, (order, _) in orders.items()}
    outputs = {
        net: {name: values[back[net]] if net in back else values for name, values in named.items()}
        for net, named in run.outputs.items()
    }
    # What was worked out from rows in the wrong order is worked out anew.
    return replace(run, outputs=outputs, rules={}), findings


def _without_copies(
    pack: Pack, run: RunResult, nets: Sequence[str]
) -> tuple[RunResult, list[Finding]]:
    """The run with what is sealed in place of rows that hold another image's, and those."""
    indices, ids = rows_in_pack(pack, run), run.record.image_ids
    names = {net: pack.chain.nets[net].outputs for net in nets}
    said = {net: {name: run.outputs[net][name] for name in names[net]} for net in nets}
    sealed = {
        net: {name: pack.reference_outputs[net][name][indices] for name in names[net]}
        for net in nets
    }
    findings = []
    for found in copies(said, sealed):
        rows, sources = np.array(found.rows), np.array(found.sources)
        stages = tuple(dict.fromkeys(net for net, _ in found.outputs))
        output = "/".join(found.outputs[0]) if len(found.outputs) == 1 else None
        findings.append(_moved(stages, rows, sources, found.share, ids, output))
        for net, name in found.outputs:
            values = said[net][name] = said[net][name].copy()
            values[rows] = sealed[net][name][rows]
        is_whole = len(stages) == len(nets)
        if is_whole and not _are_inputs_in_place(pack, run, indices, rows, sources):
            # Inputs and places went with the rows, and tell nothing of the images they stand at.
            run = replace(run, inputs={}, transforms={})
    if not findings:
        return run, []
    outputs = {net: dict(named) | said.get(net, {}) for net, named in run.outputs.items()}
    return replace(run, outputs=outputs, rules={}), findings


def _moved(
    nets: tuple[str, ...],
    rows: NDArray[np.int64],
    sources: NDArray[np.int64],
    share: float,
    ids: Sequence[str],
    output: str | None = None,
) -> Finding:
    """Of the rows that hold what belongs to another, which `sources` names for each."""
    rows, sources = rows[rows != sources], sources[rows != sources]
    detail = f"row {rows[0]} holds what belongs to row {sources[0]}"
    return Finding(
        stages=nets,
        parts=("order",),
        cause="image_order",
        detail=f"{detail}, and so on" if len(rows) > 1 else detail,
        output=output,
        explained=share,
        count=len(rows),
        image_ids=tuple(ids[row] for row in rows.tolist()),
    )


def _are_inputs_in_place(
    pack: Pack,
    run: RunResult,
    indices: Sequence[int],
    rows: NDArray[np.int64],
    sources: NDArray[np.int64],
) -> bool:
    """Whether inputs were kept and are of the images that the run names: outputs alone moved."""
    first = int(np.flatnonzero(rows != sources)[0])
    row, source = int(rows[first]), int(sources[first])
    for net, kept in run.inputs.items():
        named, assigned = (
            next(islice(pack.tensors(net), indices[each], None))[0] for each in (row, source)
        )
        given = np.asarray(kept[row], np.float64)
        return float(np.abs(given - named).mean()) < float(np.abs(given - assigned).mean())
    return False


def _back(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the row of each item is."""
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return back


def _misread(run: RunResult, findings: Sequence[Finding]) -> frozenset[int]:
    """Rows of images whose outputs are not what their net gave."""
    ids = {each for one in findings if "kernel" in one.parts for each in one.image_ids}
    return frozenset(row for row, each in enumerate(run.record.image_ids) if each in ids)


def _departures(
    run: RunResult, inquiries: Mapping[str, NetInquiry], models: Models
) -> list[Departure]:
    """For nets whose file or kernels depart, the first tensor where they do."""
    found = []
    for net, inquiry in inquiries.items():
        files, look = models.files.get(net), inquiry.farthest()
        if look is None or files is None or files.own is None:
            continue
        kernel = next((each for each in KERNELS if each == run.record.nets[net].key.kernel), None)
        sealed_kernel: Kernel = inquiry.reference_kernel
        sides = [(files.reference, sealed_kernel), (files.own, sealed_kernel)]
        if kernel is not None:
            sides.append((files.own, kernel))
        given = look.given[None]
        for before, after in pairwise(sides):
            if before == after:
                continue
            try:
                found.append(first_departure(net, Graph(*before), Graph(*after), given))
            except InputError:  # another format, or not runnable so
                continue
    return found


def _require(file: Path, sha256: str, whose: str) -> None:
    if not file.is_file() or file_sha256(file) != sha256:
        raise InputError(
            f"{file} is not the file that {whose} ({sha256[:12]}): give it as --model NET=FILE."
        )
