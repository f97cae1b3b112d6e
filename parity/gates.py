"""Gates as data: limits, and what is said where they are kept, broken, or cannot be judged."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mirrorset.errors import SettingsError, first_fault
from mirrorset.written_yaml import read_yaml
from parity.chain import Chain
from parity.estimates import Evidence
from parity.measures import MEASURES, StageKind
from parity.records import Estimate, Gate, GateVerdict, Outcome

DEFAULT_GATES = Path(__file__).with_name("gates.yaml")
# By chain, where it ships with gates of its own.
_OWN_GATES = {"smart_mirror": Path(__file__).with_name("gates_smart_mirror.yaml")}
_GATES = TypeAdapter(tuple[Gate, ...])


def gates_file(chain: Chain) -> Path:
    """The gates that hold for a chain where nobody gives any."""
    return _OWN_GATES.get(chain.name, DEFAULT_GATES)


def load_gates(path: Path = DEFAULT_GATES) -> tuple[Gate, ...]:
    """The gates in the YAML list at `path`.

    Raises SettingsError where there is none, and naming file, gate and field where one does not
    fit.
    """
    try:
        listed = read_yaml(path)
        if not isinstance(listed, list) or not listed:
            raise SettingsError(
                f"{path} lists no gates: write one a line, such as "
                "`- {metric: nme_to_reference, limit: 0.002}`."
            )
        return _GATES.validate_python(listed)
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: give a file of gates.") from None
    except ValidationError as error:
        where, fault = first_fault(error)
        place = f"gate {where}" if where else "the file"
        raise SettingsError(f"{path}: {place}: {fault}.") from None


def judge(gates: Iterable[Gate], evidence: Evidence, chain: Chain) -> tuple[GateVerdict, ...]:
    """Every gate's verdict on every slice it names, in order.

    pass: the whole interval keeps the limit. fail: the whole interval is beyond it. Otherwise, and
    with fewer images than the gate asks for, there is not enough evidence. Raises SettingsError
    where a gate names an output that the chain lacks, or none where the chain has several.
    """
    return tuple(
        _verdict(gate, output, name, evidence)
        for gate in gates
        for output in [_output(gate, chain)]
        for name in _slices(gate, evidence)
    )


def outputs_of(chain: Chain, kind: StageKind) -> list[str]:
    """All of the kind that the chain gives, whether runs hold it or not."""
    if kind == "chain":
        return [""]
    if kind == "tensor":
        return [f"{net}/{output}" for net, output in chain.outputs]
    return [name for name, rule in chain.rules.items() if rule.gives == kind]


def _output(gate: Gate, chain: Chain) -> str:
    """What the gate looks at; "" where the chain gives nothing of the kind."""
    choices = outputs_of(chain, MEASURES[gate.metric].of)
    if gate.output in choices:
        return gate.output
    if not gate.output and len(choices) < 2:
        return choices[0] if choices else ""
    named = f"the output {gate.output!r}, which the pack's chain lacks" if gate.output else ""
    way_out = f"name one of {', '.join(choices)}" if choices else "take the gate out"
    raise SettingsError(f"A gate on {gate.metric} has {named or 'no output'}: {way_out}.")


def _slices(gate: Gate, evidence: Evidence) -> list[str]:
    """Those that the gate names; its own name where no image lies in any."""
    named = [name for name in evidence.slices if gate.slice in (name, name.partition("=")[0])]
    return named or [gate.slice]


def _verdict(gate: Gate, output: str, name: str, evidence: Evidence) -> GateVerdict:
    if gate.times is None:
        figure = evidence.figures.get((gate.metric, output, name))
    else:
        figure = evidence.beyond(gate.metric, output, gate.times, name)
    measured = figure.estimate if figure else None
    count = figure.count if figure else evidence.count(name)
    outcome: Outcome = "not_enough_evidence"
    if measured is not None and count >= gate.minimum_count:
        outcome = _outcome(measured, gate.limit or 0.0, MEASURES[gate.metric].is_high_good)
    return GateVerdict(
        gate=gate, output=output, slice=name, count=count, measured=measured, verdict=outcome
    )


def _outcome(measured: Estimate, limit: float, is_floor: bool) -> Outcome:
    if is_floor:
        is_kept, is_broken = measured.low >= limit, measured.high < limit
    else:
        is_kept, is_broken = measured.high <= limit, measured.low > limit
    if is_kept:
        return "pass"
    return "fail" if is_broken else "not_enough_evidence"
