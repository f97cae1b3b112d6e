"""polygraphy's comparator on two LiteRT models: runs in polygraphy's own environment.

    python parity_polygraphy.py TENSORS REFERENCE CANDIDATE SCRATCH

It has no runner for LiteRT; this one does what its own do and no more. Its log, which it writes a
line of for each image and output, is off: with it, comparing takes longer.
"""

import sys

from parity_clock import now, report

began = now()
import numpy as np  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402
from polygraphy.backend.base import BaseRunner  # noqa: E402
from polygraphy.common import TensorMetadata  # noqa: E402
from polygraphy.comparator import Comparator, CompareFunc  # noqa: E402
from polygraphy.logger import G_LOGGER  # noqa: E402

imported = now()


class LiteRt(BaseRunner):  # type: ignore[misc]
    """One model on XNNPACK, one thread."""

    def __init__(self, model: str) -> None:
        super().__init__(prefix="litert")
        self._model = model
        self.spent = 0j

    def activate_impl(self) -> None:
        """Load the model."""
        self._interpreter = Interpreter(model_path=self._model, num_threads=1)
        self._interpreter.allocate_tensors()
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()

    def deactivate_impl(self) -> None:
        """Let go of it."""
        del self._interpreter

    def get_input_metadata_impl(self) -> TensorMetadata:
        """Names, types and shapes of the inputs."""
        found = TensorMetadata()
        for each in self._inputs:
            # The two files name their input each in its own way.
            found.add("input", dtype=np.dtype(each["dtype"]), shape=tuple(each["shape"]))
        return found

    def infer_impl(self, feed_dict: dict[str, "np.ndarray"]) -> dict[str, "np.ndarray"]:
        """Outputs by their place."""
        started = now()
        self._interpreter.set_tensor(self._inputs[0]["index"], feed_dict["input"])
        self._interpreter.invoke()
        said = {
            str(place): self._interpreter.get_tensor(each["index"])
            for place, each in enumerate(self._outputs)
        }
        took = now() - started
        self.spent += took
        self.inference_time = took.real
        return said


def main(tensors: str, reference: str, candidate: str) -> None:
    """Print the phases."""
    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    fed = np.load(tensors)
    read = now()
    given = [{"input": one} for one in fed]
    runners = [LiteRt(reference), LiteRt(candidate)]
    results = Comparator.run(runners, data_loader=given, warm_up=3)
    ran = now()
    (accuracy,) = Comparator.compare_accuracy(results, compare_func=CompareFunc.simple(atol=0.05))
    compared = now()
    phases = {
        "imports": imported - began,
        "reading": read - imported,
        "run": ran - read,
        "compare": compared - ran,
        "inference": sum(each.spent for each in runners),
    }
    items = len(next(iter(accuracy.values())))
    report(phases, items)


if __name__ == "__main__":
    main(*sys.argv[1:4])
