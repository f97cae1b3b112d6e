"""The command line of the chaos suite."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from chaos.faults import EVERYWHERE, possible
from chaos.pipeline import Outcome, draw_one, keep_workspace, strike, undisturbed
from chaos.world import made


def main() -> int:
    """Run the faults and print their log; 1 where one did not converge."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many that hit something")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--log", type=Path, help="a file that gets the lines too")
    parser.add_argument("--minutes", type=float, default=600, help="no fault begins after")
    parser.add_argument("--kinds", nargs="*", help="only these: kill, database, s3, …")
    parser.add_argument("--steps", nargs="*", choices=EVERYWHERE, help="only in these steps")
    options = parser.parse_args()
    # The servers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    until = time.monotonic() + 60 * options.minutes
    draw = random.Random(options.seed)
    kinds, lacking = possible()
    kinds = [one for one in kinds if not options.kinds or one.name in options.kinds]

    def tell(line: str) -> None:
        print(line, flush=True)
        if options.log:
            with options.log.open("a") as log:
                log.write(f"{line}\n")

    for one in lacking:
        tell(one)
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    tally = Tally()
    with made(root) as world:
        if not world.is_bounded:
            tell("No file system can be mounted here: RLIMIT_FSIZE stands for the full disk.")
        steps = undisturbed(world, needed(options.steps or EVERYWHERE))
        took = ", ".join(f"{one.name} {one.took_s[False]:.1f} s" for one in steps)
        tell(f"Undisturbed: {took}; seed {options.seed}.")
        steps = [one for one in steps if not options.steps or one.name in options.steps]
        kinds = [one for one in kinds if {step.name for step in steps} & set(one.steps)]
        # What hits nothing does not count.
        while len(tally.hit) < options.faults and time.monotonic() < until:
            step, fault, at, shared = draw_one(draw, kinds, steps, world)
            outcome = strike(world, step, fault, at, shared)
            tally.add(outcome)
            tell(outcome.line(tally.drawn))
            if outcome.wrong:
                kept = keep_workspace(world, outcome, tally.drawn)
                for one in outcome.wrong:
                    tell(f"      {one}")
                tell(f"      The workspace is kept in {kept}.")
    for line in tally.lines():
        tell(line)
    return 1 if tally.wrong else 0


def needed(wanted: Collection[str]) -> list[str]:
    """These steps and what has to be done before them; no other starts from what serve has done."""
    last = max(EVERYWHERE.index(one) for one in wanted)
    return [one for one in EVERYWHERE[: last + 1] if one != "serve" or one in wanted]


@dataclass
class Tally:
    """What came of the faults drawn so far."""

    hit: list[Outcome] = field(default_factory=list)
    missed: list[Outcome] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Count it among those that hit something, or not."""
        (self.hit if outcome.target else self.missed).append(outcome)

    @property
    def drawn(self) -> int:
        return len(self.hit) + len(self.missed)

    @property
    def wrong(self) -> list[Outcome]:
        """Those that did not converge."""
        return [one for one in (*self.hit, *self.missed) if one.wrong]

    def lines(self) -> list[str]:
        """By kind and by step, and all in all."""
        lines = []
        for what in ("kind", "step"):
            hit = Counter(getattr(one, what) for one in self.hit)
            ended = Counter(getattr(one, what) for one in self.hit if not one.wrong)
            missed = Counter(getattr(one, what) for one in self.missed)
            lines += [
                f"{name:<12} {hit[name]:3} hit, {ended[name]:3} of them converged; "
                f"{missed[name]:2} missed"
                for name in dict.fromkeys(getattr(one, what) for one in (*self.hit, *self.missed))
            ]
        took_s = time.monotonic() - self.began_at
        converged = sum(not one.wrong for one in self.hit)
        return [
            *lines,
            f"{len(self.hit)} faults hit, {converged} of them converged; {len(self.missed)} hit "
            f"nothing and do not count; {len(self.wrong)} faults to be looked at; "
            f"{took_s / 60:.0f} minutes.",
        ]


if __name__ == "__main__":
    sys.exit(main())
