"""The command line of the chaos suite."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from chaos.faults import possible
from chaos.pipeline import draw_one, keep_workspace, strike, undisturbed
from chaos.world import made


def main() -> int:
    """Run the faults and print their log; 1 where one did not converge."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many that hit something")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--log", type=Path, help="a file that gets the lines too")
    parser.add_argument("--minutes", type=float, default=600, help="no fault begins after")
    parser.add_argument("--kinds", nargs="*", help="only these: kill, database, s3, …")
    parser.add_argument("--steps", nargs="*", help="only in these steps")
    options = parser.parse_args()
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
    hit = missed = bad = 0
    with made(root) as world:
        if not world.is_bounded:
            tell("No file system can be mounted here: RLIMIT_FSIZE stands for the full disk.")
        began_at = time.monotonic()
        steps = undisturbed(world)
        took = ", ".join(f"{one.name} {one.took_s[False]:.1f} s" for one in steps)
        tell(f"Undisturbed: {took}; seed {options.seed}.")
        steps = [one for one in steps if not options.steps or one.name in options.steps]
        kinds = [one for one in kinds if {step.name for step in steps} & set(one.steps)]
        began_at = time.monotonic()
        while hit < options.faults and time.monotonic() < until:
            step, fault, at, shared = draw_one(draw, kinds, steps, world)
            outcome = strike(world, step, fault, at, shared)
            tell(outcome.line(hit + missed + 1))
            hit, missed = (hit + 1, missed) if outcome.target else (hit, missed + 1)
            if outcome.wrong:
                bad += 1
                kept = keep_workspace(world, outcome, hit + missed)
                for one in outcome.wrong:
                    tell(f"      {one}")
                tell(f"      The workspace is kept in {kept}.")
        each_s = (time.monotonic() - began_at) / max(1, hit + missed)
    tell(
        f"{hit} faults hit, {missed} missed; {hit + missed - bad} converged, {bad} did not; "
        f"{each_s:.1f} s a fault."
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
