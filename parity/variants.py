"""The quantised variants of a chain's models, made once and kept."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from mirrorset.errors import InputError
from parity.pack import Pack, PackParams, open_pack, read_record, seal
from parity.quantise import Calibration, QuantisedModel, Recipe, calibration_of, quantise
from parity.seals import file_sha256


def variant_files(
    files: Mapping[str, Path], recipe: Recipe, folder: Path, calibration: Pack | None
) -> dict[str, Path]:
    """Every model file of `files` (by net) by `recipe`, in `folder`.

    One that is there, of the same file and calibration pack, is not made again. Raises what
    `parity.quantise.quantise` raises.
    """
    made = {}
    for net, file in files.items():
        out = folder / f"{net}-{recipe}.tflite"
        samples = calibration_of(calibration, net) if calibration else None
        if not _is_made(out, file, recipe, samples):
            quantise(file, recipe, out, samples)
        made[net] = out
    return made


def calibration_pack(
    release: Path, judging: Pack, params: PackParams, images: int, out: Path, cache: Path
) -> Pack:
    """A pack of `images` of the training split with the chain of the pack that judges.

    Sealed as `out`, where there is none of the same release and chain. Raises what
    `parity.pack.seal` raises.
    """
    wanted = (judging.record.release_digest, judging.chain, images)
    try:
        sealed = read_record(out)
        is_there = (sealed.release_digest, sealed.chain, sealed.limit) == wanted
    except InputError:
        is_there = False
    if not is_there:
        asked = {"split": "train", "limit": images, "best": None}
        seal(release, out, params.model_copy(update=asked), cache)
    return open_pack(out)


def _is_made(out: Path, file: Path, recipe: Recipe, samples: Calibration | None) -> bool:
    try:
        record = QuantisedModel.model_validate_json(out.with_name(f"{out.name}.json").read_bytes())
        is_whole = file_sha256(out) == record.sha256
    except (OSError, ValidationError):
        return False
    wanted = (file_sha256(file), recipe, samples.pack if samples else None)
    return is_whole and wanted == (record.source_sha256, record.recipe, record.calibration_pack)
