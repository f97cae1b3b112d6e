"""All runs on one pack, which lie in one folder: made, judged, and told as table and order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorset.errors import MirrorsetError
from mirrorset.files import write_text
from parity.compare import compare, write_comparison
from parity.devices.fallback import fallback_of
from parity.devices.records import DeviceTable
from parity.devices.rows import Evidence, table_of
from parity.ingest import read_ingest
from parity.markdown import write_markdown
from parity.pack import Pack, open_pack, read_record
from parity.plan import ParityParams, Planned
from parity.records import Comparison, Gate, RunRecord
from parity.run import RunResult, open_run, read_run_record, reference_of, run
from parity.seals import file_sha256


@dataclass(frozen=True)
class Judged:
    """By run: the comparison and where it is kept; or why there is none, a sentence."""

    comparisons: dict[str, Comparison]
    paths: dict[str, Path]
    unjudged: dict[str, str]


def run_once(pack: Pack, planned: Planned, params: ParityParams, out: Path) -> RunResult:
    """The run of these models on this pack, made if it is not there yet."""
    try:
        result = open_run(out)
    except MirrorsetError:
        return _run(pack, planned, params, out)
    ran = {net: key.model_sha256 for net, key in result.record.tried.items()}
    wanted = {net: file_sha256(file) for net, file in planned.files.items()}
    is_same = (result.record.pack_digest, ran) == (pack.record.digest, wanted)
    is_same &= not params.is_timed or any(net.latency for net in result.record.nets.values())
    return result if is_same else _run(pack, planned, params, out)


def _run(pack: Pack, planned: Planned, params: ParityParams, out: Path) -> RunResult:
    files, threads = planned.files, params.threads
    return run(pack, files, planned.kernel, threads, out, is_timed=params.is_timed)


def runs_in(folder: Path) -> dict[str, RunRecord]:
    """Every run in `folder` by its folder's name, in order. Raises InputError where one is none of
    this version.
    """
    files = sorted(folder.glob("*/run.json"))
    return {path.parent.name: read_run_record(path.parent) for path in files}


def judge_runs(
    packs: Mapping[str, Pack], folder: Path, gates: Sequence[Gate], reference: RunResult | None
) -> Judged:
    """Compare every run in `folder`, each on its own pack, and keep each comparison beside the run.

    packs: by digest; a run on another is left out. reference: what runs made here on the same pack
    are held against. What a device wrote is held against the sealed outputs, since this machine's
    times are not its own.
    """
    judged = Judged({}, {}, {})
    for name, record in runs_in(folder).items():
        pack = packs.get(record.pack_digest)
        if pack is None or (reference and record == reference.record):
            continue
        is_of_device = read_ingest(folder / name) is not None
        is_alike = reference is not None and reference.record.pack_digest == record.pack_digest
        before = reference if reference and is_alike and not is_of_device else reference_of(pack)
        try:
            comparison = compare(pack, before, open_run(folder / name), gates)
        except MirrorsetError as error:
            judged.unjudged[name] = str(error)
            continue
        path = folder / f"comparison-{name}.json"
        write_comparison(path, comparison)
        write_markdown(path.with_suffix(".md"), comparison)
        judged.comparisons[name], judged.paths[name] = comparison, path
    return judged


def related(pack: Pack, folders: Iterable[Path]) -> dict[str, Pack]:
    """By digest the pack and those of `folders` that are of the same release and chain: a phone's
    smaller one, say. What is no pack, or was changed, is none.
    """
    found = {pack.record.digest: pack}
    for folder in folders:
        try:
            record = read_record(folder)
            wanted = (pack.record.release_digest, pack.chain, pack.record.purpose)
            if (record.release_digest, record.chain, record.purpose) == wanted:
                found.setdefault(record.digest, open_pack(folder))
        except MirrorsetError:
            continue
    return found


def tell(pack: Pack, evidence: Evidence, devices: Path, fallback: Path) -> DeviceTable:
    """The device table, kept as the file `devices`, and the order that follows as `fallback`."""
    table = table_of(pack.record, evidence)
    write_text(devices, table.model_dump_json(indent=2) + "\n")
    order = fallback_of(table, pack.chain.nets)
    write_text(fallback, order.model_dump_json(indent=2) + "\n")
    return table
