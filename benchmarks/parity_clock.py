"""Wall and CPU time of a program's phases. Standard library alone: the peers import it, too."""

import json
import time


def now() -> complex:
    """Seconds: the real part by the clock on the wall, the imaginary one of the processor, all
    threads of this process together. Sums and differences hold for both.
    """
    return complex(time.perf_counter(), time.process_time())


def report(phases: dict[str, complex], items: int) -> None:
    """Print what each phase took as the last line, for `parity_programs`."""
    wall = {name: each.real for name, each in phases.items()}
    cpu = {name: each.imag for name, each in phases.items()}
    print(json.dumps({"s": wall, "cpu_s": cpu, "items": items}))
