"""Smaller variants of a model, by ai-edge-quantizer: other numbers, so other models to be judged.

fp16               weights in half precision
weight_only_int8   weights in int8, a scale a channel; widened again, computed in float32
dynamic_int8       weights in int8, computed in int8 with scales taken from each input
static_int8        weights, values between and edges in int8, with scales from a calibration pack
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from faces.quiet import native_notes_withheld
from mirrorset.errors import InputError, NotRunnableError, SettingsError
from mirrorset.files import write_bytes, write_text
from mirrorset.records import Record, Sha256
from parity.normalise import normalise, read_model
from parity.pack import Pack
from parity.runtimes.probe import probe
from parity.runtimes.tensors import Array
from parity.seals import file_sha256

Recipe = Literal["fp16", "dynamic_int8", "weight_only_int8", "static_int8"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
# Headers and operations weigh next to nothing: a file of this share has its weights untouched.
_UNTOUCHED_SHARE = 0.95


@dataclass(frozen=True)
class Calibration:
    """What tells static_int8 its ranges.

    tensors: begins anew each time: the model's input (1, …) float32 of every item. count: of items.
    pack: digest of the pack that they come from.
    """

    tensors: Callable[[], Iterator[Array]]
    count: int
    pack: str


def calibration_of(pack: Pack, net: str | None = None) -> Calibration:
    """The inputs of `net` in a calibration pack, in order; of its only net by itself.

    Raises InputError where the pack is of another split than train, or holds nothing;
    SettingsError where it has no such net, or several to choose from.
    """
    pack.require_purpose("calibration")
    pack.require_items()
    nets = list(pack.chain.nets)
    chosen = nets[0] if net is None and len(nets) == 1 else net
    if chosen not in nets:
        lack = "holds several nets" if net is None else f"has no net {net!r}"
        raise SettingsError(f"The pack {pack.path} {lack}: name one of {', '.join(nets)}.")
    return Calibration(lambda: pack.tensors(chosen), len(pack.items), pack.record.digest)


class QuantisedModel(Record):
    """What was made of which file, kept beside it as FILE.json.

    float32_bytes: of the source in float32, before quantising; bytes: after.
    calibration_pack: its digest, with the number of its items.
    """

    source: str
    source_sha256: Sha256
    recipe: Recipe
    quantiser: str
    calibration_pack: str | None
    calibration_count: int
    float32_bytes: int
    bytes: int
    sha256: Sha256


def quantise(
    model: Path, recipe: Recipe, out: Path, calibration: Calibration | None = None
) -> QuantisedModel:
    """Write the .tflite file `model` by `recipe` as `out`, and what was done as `out`.json.

    The file is normalised first (`parity.normalise`). The same file, pack and version of the
    quantiser give the same bytes. Raises SettingsError for an unknown recipe, a missing or needless
    calibration or where the quantiser is not installed; InputError where the file is no float
    model that runs, where calibration and model do not fit, and where nothing shrank.
    """
    _check_recipe(recipe, calibration)
    if failure := probe(model, "xnnpack", threads=1) if model.is_file() else None:
        raise NotRunnableError(model, failure.key.kernel, failure.reason)
    content = normalise(model)
    samples = _samples(model, content, calibration) if calibration else None
    made = _made(model, content, recipe, samples)
    if len(made) > _UNTOUCHED_SHARE * len(content):
        raise InputError(
            f"{recipe} left {model} at {len(made):,} of {len(content):,} bytes: it has no float32 "
            "weights that this recipe takes, so give the float model that it was made from."
        )
    write_bytes(out, made)
    record = QuantisedModel(
        source=model.name,
        source_sha256=file_sha256(model),
        recipe=recipe,
        quantiser=f"ai-edge-quantizer {version('ai-edge-quantizer')}",
        calibration_pack=calibration.pack if calibration else None,
        calibration_count=calibration.count if calibration else 0,
        float32_bytes=len(content),
        bytes=len(made),
        sha256=file_sha256(out),
    )
    write_text(out.with_name(f"{out.name}.json"), record.model_dump_json(indent=2) + "\n")
    return record


class _Samples:
    """What calibrates, as the quantiser asks for it; it reads it more than once."""

    def __init__(self, calibration: Calibration, input_name: str) -> None:
        self._calibration, self._input_name = calibration, input_name

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for values in self._calibration.tensors():
            yield {self._input_name: values}


def _check_recipe(recipe: str, calibration: Calibration | None) -> None:
    if recipe not in RECIPES:
        raise SettingsError(f"Recipe {recipe} is unknown: choose one of {', '.join(RECIPES)}.")
    if (recipe == "static_int8") != (calibration is not None):
        raise SettingsError(
            f"{recipe} calibrates on nothing: leave the calibration pack out."
            if calibration
            else "static_int8 needs a calibration pack: seal one with `mirrorset parity pack "
            "--split train`."
        )


def _samples(model: Path, content: bytes, calibration: Calibration) -> _Samples:
    """Raises InputError where `model` takes something else than what calibrates."""
    graph = read_model(content, str(model)).subgraphs[0]
    tensors = [graph.tensors[index] for index in graph.inputs]
    taken = [tuple(map(int, tensor.shape)) for tensor in tensors]
    first = next(calibration.tensors())
    if taken != [first.shape] or first.dtype != np.float32:
        raise InputError(
            f"{model} takes {' and '.join(map(str, taken))}, and the calibration pack has "
            f"{first.shape} of {first.dtype}: name the net of the pack that this model is."
        )
    return _Samples(calibration, tensors[0].name.decode())


def _made(model: Path, content: bytes, recipe: Recipe, samples: _Samples | None) -> bytes:
    """What ai-edge-quantizer makes of a normalised file's content."""
    signature = read_model(content, str(model)).signatureDefs[0].signatureKey.decode()
    with native_notes_withheld(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            quantiser = _quantiser(content, recipe)
            ranges = None
            if samples is not None:
                # On one thread, so that sums are added in one order.
                ranges = quantiser.calibrate({signature: samples}, num_threads=1)
            result = quantiser.quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
            return bytes(result.quantized_model)
        except (ValueError, RuntimeError, KeyError, IndexError, NotImplementedError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
    raise InputError(f"{recipe} cannot be made of {model}: {reason}.")


def _quantiser(content: bytes, name: Recipe) -> Any:
    try:
        from ai_edge_quantizer import (  # noqa: PLC0415  (an extra)
            qtyping,
            quantizer,
            recipe,
        )
    except ImportError:
        raise SettingsError(
            "Quantising needs ai-edge-quantizer, which is not installed: install "
            "requirements-quantise.lock."
        ) from None
    made = quantizer.Quantizer(content)
    if name == "fp16":
        made.update_quantization_recipe(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=qtyping.TensorQuantizationConfig(
                    num_bits=16, dtype=qtyping.TensorDataType.FLOAT
                ),
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            ),
            algorithm_key=quantizer.AlgorithmName.FLOAT_CASTING,
        )
        return made
    names = {
        "dynamic_int8": "dynamic_wi8_afp32",
        "weight_only_int8": "weight_only_wi8_afp32",
        "static_int8": "static_wi8_ai8",
    }
    made.load_quantization_recipe(getattr(recipe, names[name])())
    return made
