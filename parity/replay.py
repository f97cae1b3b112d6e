"""What followed from a run's outputs, where the run did not keep it: rules are pure functions."""

from collections.abc import Container
from dataclasses import replace

import numpy as np

from mirrorset.errors import InputError
from parity.chain import IMAGE, LABELS, WHOLE, Chain, Net
from parity.engine import Picture, net_transform
from parity.pack import Pack
from parity.rules.rule import Answer, Rule, Seen, Stages, answer_of, value_of
from parity.run import RunResult, reference_of


def completed(pack: Pack, run: RunResult) -> RunResult:
    """The run with the transforms and rule values that it did not keep, where its outputs tell.

    A rule that reads a net which the run lacks, directly or through others, stays missing. Raises
    InputError where the run is of another pack, names items that the pack does not hold, or lacks
    an output of a net that it holds.
    """
    rows = rows_in_pack(pack, run)
    for net, stage in pack.chain.nets.items():
        lacking = sorted(set(stage.outputs) - set(run.outputs.get(net, stage.outputs)))
        if lacking:
            raise InputError(
                f"The {run.name} run lacks {', '.join(lacking)} of {net}: run the model again."
            )
    placed = dict(run.transforms)
    if run.record.fed == "tensors":
        placed |= {net: pack.transforms[net][rows] for net in pack.chain.nets}
    known = replace(
        run,
        transforms=placed,
        outputs={net: run.outputs[net] for net in pack.chain.nets if net in run.outputs},
        rules={rule: run.rules[rule] for rule in pack.chain.rules if rule in run.rules},
    )
    told = _told(pack.chain, known)
    rules = [name for name in told if name in pack.chain.rules and name not in known.rules]
    nets = [name for name in told if name in pack.chain.nets and name not in known.transforms]
    if not rules and not nets:
        return known
    best = best_seen(pack, known)
    everything = [
        replayed(pack.chain, known, row, pack.picture(pack.items[index]), best)
        for row, index in enumerate(rows)
    ]
    transforms = {
        net: np.stack([answer_of(stages, net).transform for stages in everything]) for net in nets
    }
    values = {rule: np.stack([value_of(stages, rule) for stages in everything]) for rule in rules}
    return replace(known, transforms=known.transforms | transforms, rules=known.rules | values)


def replayed(chain: Chain, run: RunResult, row: int, picture: Picture, best: Seen | None) -> Stages:
    """What every stage gave for one row of a run, as far as it can be told: as the run kept it,
    else as it follows from what it kept. best: the best photo; None where the row is that.
    """
    stages: Stages = {}
    seen = Seen(lambda: picture.rgb, stages)
    for name, stage in chain.stages.items():
        if not _is_told(name, stage, run, stages):
            continue
        if isinstance(stage, Rule):
            kept = run.rules.get(name)
            stages[name] = stage(seen, best or seen) if kept is None else kept[row]
        else:
            where = run.transforms.get(name)
            stages[name] = Answer(
                outputs={output: rows[row] for output, rows in run.outputs[name].items()},
                transform=net_transform(stage, picture, stages) if where is None else where[row],
            )
    return stages


def rows_in_pack(pack: Pack, run: RunResult) -> list[int]:
    """For each row of the run the index of its item in the pack.

    Raises InputError where the run is of another pack or names an item twice or one that it lacks.
    """
    if run.record.pack_digest != pack.record.digest:
        raise InputError(
            f"The {run.name} run is of another pack than {pack.path}: give its own pack, or "
            "run the model on this one."
        )
    places = {item.image_id: item.index for item in pack.items}
    ids = run.record.image_ids
    if len(set(ids)) < len(ids) or not set(ids) <= set(places):
        raise InputError(
            f"The {run.name} run names an image twice, or one that {pack.path} lacks: run the "
            "model again."
        )
    return [places[image_id] for image_id in ids]


def _told(chain: Chain, run: RunResult) -> list[str]:
    """The stages of which a run tells what they gave."""
    told: list[str] = []
    for name, stage in chain.stages.items():
        if _is_told(name, stage, run, told):
            told.append(name)
    return told


def _is_told(name: str, stage: Net | Rule, run: RunResult, before: Container[str]) -> bool:
    if isinstance(stage, Rule):
        return name in run.rules or all(each == IMAGE or each in before for each in stage.of)
    region = stage.input.region
    is_placed = name in run.transforms or region in (WHOLE, LABELS) or region in before
    return name in run.outputs and is_placed


def best_seen(pack: Pack, run: RunResult) -> Seen | None:
    """The best photo as the run saw it, or as the reference did where the run lacks it."""
    wanted = pack.record.best_image_id
    if wanted is None:
        return None
    item = next(item for item in pack.items if item.image_id == wanted)
    picture = pack.picture(item)
    if wanted in run.record.image_ids:
        stages = replayed(pack.chain, run, run.record.image_ids.index(wanted), picture, None)
    else:
        stages = replayed(pack.chain, reference_of(pack), item.index, picture, None)
    return Seen(lambda: picture.rgb, stages)
