"""Nothing but two interpreters: every tensor set, invoked, its outputs copied.

python parity_bare.py TENSORS REFERENCE CANDIDATE SCRATCH
"""

import json
import sys
import time

began = time.perf_counter()
import numpy as np  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

imported = time.perf_counter()


def main(tensors: str, *models: str) -> None:
    """Print the phases."""
    fed = np.load(tensors)
    read = time.perf_counter()
    interpreters = [Interpreter(model_path=model, num_threads=1) for model in models]
    for interpreter in interpreters:
        interpreter.allocate_tensors()
        for _ in range(3):
            _asked(interpreter, fed[0])
    opened = time.perf_counter()
    for interpreter in interpreters:
        said = [_asked(interpreter, one) for one in fed]
    ran = time.perf_counter()
    phases = {"imports": imported - began, "reading": read - imported, "opening": opened - read}
    print(json.dumps({**phases, "inference": ran - opened, "items": len(said)}))


def _asked(interpreter: Interpreter, one: "np.ndarray") -> list["np.ndarray"]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], one)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


if __name__ == "__main__":
    main(*sys.argv[1:4])
