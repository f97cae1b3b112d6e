"""What a workspace wants to have run: models, their quantised variants, kernels, gates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from mirrorset.records import Record
from parity.chain import Chain
from parity.gates import gates_file, load_gates
from parity.kernels import Kernel
from parity.quantise import Recipe
from parity.records import Gate

REFERENCE: Kernel = "reference"


class ParityParams(Record):
    """The section `parity`: what runs and what must hold.

    models: .tflite files by net of the pack's chain, which take and give what it says; by itself
    those that the chain names. recipes: quantised variants that are made of these and judged like
    them. kernels: judged against the models on the reference kernels, one comparison each.
    is_timed: False for all processors at once, without times.
    calibration_images: of the training split, for static_int8. gates: limits, or none for those
    that ship for the chain.
    """

    models: dict[str, Path] = Field(default_factory=dict)
    recipes: tuple[Recipe, ...] = ()
    kernels: tuple[Kernel, ...] = ("xnnpack",)
    threads: int = Field(default=1, ge=1)
    is_timed: bool = True
    calibration_images: int = Field(default=100, ge=1)
    gates: tuple[Gate, ...] = ()

    def gates_for(self, chain: Chain) -> tuple[Gate, ...]:
        """Those of params.yaml, or those that ship for the chain."""
        return self.gates or load_gates(gates_file(chain))


@dataclass(frozen=True)
class Planned:
    """A run to be made. recipe: "" for the models as they are. files: by net."""

    recipe: str
    kernel: Kernel
    files: Mapping[str, Path]

    @property
    def label(self) -> str:
        """ "xnnpack", "fp16 xnnpack"."""
        return f"{self.recipe} {self.kernel}".strip()

    def name(self, chain: Chain, threads: int) -> str:
        """The folder of the run."""
        return "-".join(filter(None, (chain.name, self.recipe, self.kernel, str(threads))))


def planned(params: ParityParams, variants: Mapping[str, Mapping[str, Path]]) -> Iterator[Planned]:
    """The reference first, then every variant on every kernel. variants: files by recipe."""
    yield Planned("", REFERENCE, variants[""])
    for recipe, files in variants.items():
        for kernel in params.kernels:
            if recipe or kernel != REFERENCE:
                yield Planned(recipe, kernel, files)
