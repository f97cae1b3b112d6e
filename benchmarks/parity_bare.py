"""Nothing but two interpreters: every tensor set, invoked, its outputs copied.

python parity_bare.py TENSORS REFERENCE CANDIDATE SCRATCH
"""

import sys

from parity_clock import now, report

began = now()
import numpy as np  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

imported = now()


def main(tensors: str, *models: str) -> None:
    """Print the phases."""
    fed = np.load(tensors)
    read = now()
    interpreters = [Interpreter(model_path=model, num_threads=1) for model in models]
    for interpreter in interpreters:
        interpreter.allocate_tensors()
        for _ in range(3):
            _asked(interpreter, fed[0])
    opened = now()
    for interpreter in interpreters:
        said = [_asked(interpreter, one) for one in fed]
    ran = now()
    phases = {"imports": imported - began, "reading": read - imported, "opening": opened - read}
    report({**phases, "inference": ran - opened}, len(said))


def _asked(interpreter: Interpreter, one: "np.ndarray") -> list["np.ndarray"]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], one)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


if __name__ == "__main__":
    main(*sys.argv[1:4])
