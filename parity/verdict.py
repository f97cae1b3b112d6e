"""A parity verdict as a file beside the release: which test set, models and gates, and what of it.

It holds for exactly these: another release, another model file or other gates make it stale.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.records import Record, Sha256
from parity.devices.records import DeviceRow, DeviceTable, OfPack, Standing
from parity.records import Gate


class JudgedModels(Record):
    """One line of the device table that was judged, or cannot run.

    models: sha256 by net of the chain. kernels, runs_on: by net. reasons: what stands against it.
    """

    models: dict[str, Sha256]
    device: str
    kernels: dict[str, str]
    runs_on: dict[str, str]
    standing: Standing
    reasons: tuple[str, ...]
    images: int


class Verdict(OfPack):
    """What parity said of models on a release.

    gates: as they were set, in JSON; gates_sha256: of these. review_state: of the labels. runs: all
    that there were, by name.
    """

    gates: tuple[dict[str, Any], ...]
    gates_sha256: Sha256
    runs: tuple[str, ...]
    judged: tuple[JudgedModels, ...]

    def of(self, models: Mapping[str, str]) -> tuple[JudgedModels, ...]:
        """What was said of these files: sha256 by net, any number of the chain's nets."""
        return tuple(one for one in self.judged if models.items() <= one.models.items())


def verdict_of(table: DeviceTable, gates: Iterable[Gate], runs: Iterable[str]) -> Verdict:
    """The verdict that the device table of these runs holds; lines that nothing judged are left
    out.
    """
    set_gates = _as_json(gates)
    return Verdict(
        release=table.release,
        version=table.version,
        release_digest=table.release_digest,
        pack_digest=table.pack_digest,
        chain=table.chain,
        review_state=table.review_state,
        gates=set_gates,
        gates_sha256=_sha256(set_gates),
        runs=tuple(sorted(runs)),
        judged=tuple(_judged(row) for row in table.rows if row.standing in _JUDGED),
    )


_JUDGED = ("pass", "fail", "not_enough_evidence", "not_runnable")


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Write the verdict, whole or not at all."""
    write_text(path, verdict.model_dump_json(indent=2) + "\n")


def read_verdict(path: Path) -> Verdict:
    """The verdict in `path`. Raises InputError where there is none of this version."""
    try:
        return Verdict.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no parity verdict of this version: run `mirrorset parity`."
        ) from None


def staleness(
    verdict: Verdict,
    *,
    release_digest: str,
    pack_digest: str,
    gates: Iterable[Gate],
    models: Mapping[str, str],
    runs: Iterable[str],
) -> tuple[str, ...]:
    """Why the verdict does not hold for these, a clause each; () where it does.

    models: sha256 by net, which must have been judged together. runs: all that there are, by name.
    """
    name = f"{verdict.release} {verdict.version}"
    found = []
    if verdict.release_digest != release_digest:
        found.append(f"the release {name} holds something else now")
    if verdict.pack_digest != pack_digest:
        found.append(f"the test set of {name} was sealed anew")
    if verdict.gates_sha256 != _sha256(_as_json(gates)):
        found.append("the gates were changed")
    if came := sorted(set(runs) - set(verdict.runs)):
        found.append(f"{len(came)} runs came since ({came[0]})")
    if not verdict.of(models):
        found.append(f"{_named(models, verdict)} was not judged")
    return tuple(found)


def _named(models: Mapping[str, str], verdict: Verdict) -> str:
    """The files that no line has at their net; all of them where only the combination is new."""
    new = {
        net: sha256
        for net, sha256 in models.items()
        if all(one.models.get(net) != sha256 for one in verdict.judged)
    }
    return ", ".join(f"{net} ({sha256[:8]})" for net, sha256 in (new or models).items())


def _judged(row: DeviceRow) -> JudgedModels:
    return JudgedModels(
        models={net.net: net.model_sha256 for net in row.nets if net.model_sha256},
        device=row.device,
        kernels={net.net: net.kernel for net in row.nets},
        runs_on={net.net: net.runs_on for net in row.nets},
        standing=row.standing,
        reasons=row.reasons,
        images=row.images,
    )


def _as_json(gates: Iterable[Gate]) -> tuple[dict[str, Any], ...]:
    return tuple(gate.model_dump(mode="json") for gate in gates)


def _sha256(gates: Collection[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(list(gates), sort_keys=True).encode()).hexdigest()
