"""Gates as data: limits, and what is said where they are kept, broken, or cannot be judged."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from mirrorset.errors import SettingsError, first_fault
from parity.records import Estimate, Gate, GateVerdict, Outcome, SliceRow, TensorDeviation

DEFAULT_GATES = Path(__file__).with_name("gates.yaml")
_GATES = TypeAdapter(tuple[Gate, ...])


def load_gates(path: Path = DEFAULT_GATES) -> tuple[Gate, ...]:
    """The gates in the YAML list at `path`.

    Raises SettingsError where there is none, and naming file, gate and field where one does not
    fit.
    """
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(listed, list) or not listed:
            raise SettingsError(
                f"{path} lists no gates: write one a line, such as "
                "`- {metric: nme_to_reference, limit: 0.002}`."
            )
        return _GATES.validate_python(listed)
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: give a file of gates.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    except ValidationError as error:
        where, fault = first_fault(error)
        place = f"gate {where}" if where else "the file"
        raise SettingsError(f"{path}: {place}: {fault}.") from None


def judge(
    gates: Iterable[Gate],
    rows: Iterable[SliceRow],
    tensors: Iterable[TensorDeviation],
    latency_ratio: float | None,
    outputs: Collection[str],
) -> tuple[GateVerdict, ...]:
    """Every gate's verdict on every slice it names, in order.

    pass: the whole interval keeps the limit. fail: the whole interval is beyond it. Otherwise, and
    with fewer images than the gate asks for, there is not enough evidence. The first row is the
    slice "all". outputs: all of the chain, whether the runs hold them or not. Raises SettingsError
    where a gate names another.
    """
    rows = tuple(rows)
    deviations = {tensor.output: tensor.max_abs for tensor in tensors}
    verdicts: list[GateVerdict] = []
    for gate in gates:
        whole: float | None
        if gate.metric == "tensor_max_abs":
            if gate.output not in outputs:
                raise SettingsError(
                    f"A gate on tensor_max_abs has the output {gate.output!r}, which the pack's "
                    f"chain lacks: name one of {', '.join(outputs)}."
                )
            whole = deviations.get(gate.output)
        elif gate.metric == "latency_ratio":
            whole = latency_ratio
        else:
            verdicts.extend(_judge_slices(gate, rows))
            continue
        verdicts.append(_verdict(gate, rows[0].slice, rows[0].count, exactly(whole)))
    return tuple(verdicts)


def exactly(value: float | None) -> Estimate | None:
    """A fact as an estimate without doubt."""
    return None if value is None else Estimate(value=value, low=value, high=value)


def _judge_slices(gate: Gate, rows: tuple[SliceRow, ...]) -> Iterator[GateVerdict]:
    named = [row for row in rows if gate.slice in (row.slice, row.slice.partition("=")[0])]
    for row in named:
        yield _verdict(gate, row.slice, row.count, getattr(row, gate.metric))
    if not named:
        yield _verdict(gate, gate.slice, 0, None)


def _verdict(gate: Gate, where: str, count: int, measured: Estimate | None) -> GateVerdict:
    outcome: Outcome = "not_enough_evidence"
    if measured is not None and count >= gate.minimum_count:
        if measured.high <= gate.limit:
            outcome = "pass"
        elif measured.low > gate.limit:
            outcome = "fail"
    return GateVerdict(gate=gate, slice=where, count=count, measured=measured, verdict=outcome)
