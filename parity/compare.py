"""Two runs side by side: every measure of every stage, slice by slice, and what gates say."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from faces.slices import SMALLEST_CELL
from mirrorset.errors import InputError
from mirrorset.files import write_text
from parity.both import Both
from parity.estimates import Evidence, slices_of_items
from parity.gates import judge
from parity.measures import MEASURES
from parity.pack import Pack
from parity.records import Comparison, Gate, NetComparison, OtherPack, SliceRow
from parity.run import RunResult
from parity.tasks.by_kind import confused, measured


def compare(
    pack: Pack,
    reference: RunResult,
    candidate: RunResult,
    gates: Iterable[Gate],
    candidate_pack: Pack | None = None,
) -> Comparison:
    """What changes where `candidate` takes the place of `reference`, on the items and nets of both.

    candidate_pack: what the candidate ran on, where that is another than `pack`, whose labels
    count: then the items of both packs are compared, and the stages that mean the same in both.

    Raises InputError where a pack holds no face or calibrates, where a run is of another pack or
    lacks an output of a net that it holds, and where the two have no item or nothing to compare in
    common; SettingsError where a gate names what the chain lacks.
    """
    own_pack = candidate_pack or pack
    for each in (pack, own_pack):
        each.require_items()
        each.require_purpose("test")
    # A broken model's infinities are judged, not warned of.
    with np.errstate(invalid="ignore", over="ignore"):
        both = Both(pack, reference, candidate, own_pack)
        nets = tuple(_net(net, reference, candidate) for net in both.nets)
        evidence = Evidence(
            tuple(measured(both)), slices_of_items(both.items), _latency_ratio(nets)
        )
        verdicts = judge(gates, evidence, pack.chain)
    rows = [_row(name, int(chosen.sum())) for name, chosen in evidence.slices.items()]
    told = {row.slice for row in rows if row.is_enough}
    figures = tuple(one for one in evidence.figures.values() if one.slice in told)
    named = {one.metric for one in figures} | {each.gate.metric for each in verdicts}
    return Comparison(
        release=pack.record.release,
        version=pack.record.version,
        pack_digest=pack.record.digest,
        other_pack=_other(pack, own_pack, both),
        chain=pack.chain.name,
        review_state=pack.record.review_state,
        count=len(both.items),
        reference_count=len(reference.record.image_ids),
        candidate_count=len(candidate.record.image_ids),
        nets=nets,
        not_runnable=candidate.record.not_runnable,
        measures=tuple(each for name, each in MEASURES.items() if name in named),
        slices=tuple(rows),
        figures=figures,
        confusions=tuple(confused(both)),
        gates=verdicts,
    )


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write comparison.json, whole or not at all."""
    write_text(path, comparison.model_dump_json(indent=2) + "\n")


def read_comparison(path: Path) -> Comparison:
    """The comparison in `path`. Raises InputError where it is none."""
    try:
        return Comparison.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no comparison of this version: make one with `mirrorset parity compare`."
        ) from None


def _row(name: str, count: int) -> SliceRow:
    return SliceRow(slice=name, count=count, is_enough=count >= SMALLEST_CELL)


def _net(net: str, reference: RunResult, candidate: RunResult) -> NetComparison:
    before, after = reference.record.nets[net], candidate.record.nets[net]
    return NetComparison(
        net=net,
        reference=before.key,
        candidate=after.key,
        reference_latency=before.latency,
        candidate_latency=after.latency,
    )


def _other(pack: Pack, other: Pack, both: Both) -> OtherPack | None:
    if other.record.digest == pack.record.digest:
        return None
    return OtherPack(
        release=other.record.release,
        version=other.record.version,
        pack_digest=other.record.digest,
        review_state=other.record.review_state,
        count=len(other.items),
        left_out=both.left_out,
    )


def _latency_ratio(nets: Sequence[NetComparison]) -> float | None:
    before = [net.reference_latency for net in nets]
    after = [net.candidate_latency for net in nets]
    if None in before or None in after:
        return None
    if not nets:
        return None
    whole = sum(each.median_ms for each in before if each)
    return round(sum(each.median_ms for each in after if each) / whole, 4) if whole else None
