"""ai_edge_quantizer's model_validator on two models: runs in an environment of its own.

    python parity_validator.py TENSORS REFERENCE CANDIDATE SCRATCH

Outputs alone, one metric (mean squared error): the least that it can be asked for. It runs and
compares image by image, so its phases cannot be told apart.
"""

import sys

from parity_clock import now, report

began = now()
import numpy as np  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402
from ai_edge_quantizer import model_validator  # noqa: E402

imported = now()


def main(tensors: str, reference: str, candidate: str) -> None:
    """Print the phases."""
    fed = np.load(tensors)
    read = now()
    signatures = Interpreter(model_path=reference).get_signature_list()
    ((name, signature),) = signatures.items()
    (input_name,) = signature["inputs"]
    result = model_validator.compare_model(
        reference,
        candidate,
        {name: [{input_name: one} for one in fed]},
        use_xnnpack=True,
        num_threads=1,
        validate_output_tensors_only=True,
    )
    ran = now()
    if not result.get_all_tensor_results():
        raise SystemExit("model_validator compared nothing.")
    phases = {"imports": imported - began, "reading": read - imported}
    report({**phases, "run": ran - read, "compare": 0j}, len(fed))


if __name__ == "__main__":
    main(*sys.argv[1:4])
