"""What a comparison says as a whole: the one place that devices and verdicts read it from."""

from parity.measures import MEASURES
from parity.records import Comparison, GateVerdict, Outcome


def outcome_of(comparison: Comparison) -> Outcome:
    """fail where a gate failed or a net cannot run; pass where every gate passed.

    Anything else, no gate at all included, is not enough evidence.
    """
    if comparison.has_failed:
        return "fail"
    said = {each.verdict for each in comparison.gates}
    return "pass" if said == {"pass"} else "not_enough_evidence"


def reasons_of(comparison: Comparison) -> tuple[str, ...]:
    """A clause for every net that cannot run, and every gate that did not pass."""
    stopped = [f"{net} cannot run: {one.reason}" for net, one in comparison.not_runnable.items()]
    failed = [_clause(each) for each in comparison.gates if each.verdict == "fail"]
    open_ones = [_clause(each) for each in comparison.gates if each.verdict not in ("fail", "pass")]
    if not comparison.gates:
        open_ones = ["no gate was set"]
    return tuple(stopped + failed + open_ones)


def _clause(verdict: GateVerdict) -> str:
    gate = verdict.gate
    what = " ".join(word for word in (gate.metric, verdict.output, verdict.slice) if word)
    if verdict.verdict != "fail" or verdict.measured is None:
        return f"{what}: not enough evidence in {verdict.count} images"
    measured = f"{verdict.measured.value:.3g}"
    if gate.times is not None:
        return f"{what}: {measured} beyond {gate.times:g} times the reference's"
    breaks = "falls short of" if MEASURES[gate.metric].is_high_good else "exceeds"
    return f"{what}: {measured} {breaks} {gate.limit:.3g}"
