"""The model files of a chain's nets: registered ones by name, others by their path."""

from collections.abc import Mapping
from pathlib import Path

from faces.registry import fetch, load_registry, model_ref
from mirrorset.errors import InputError, SettingsError
from mirrorset.records import ModelRef
from parity.chain import Chain
from parity.seals import file_sha256


def model_files(
    chain: Chain, cache: Path, own: Mapping[str, Path] | None = None, folder: Path | None = None
) -> dict[str, Path]:
    """The model file of every net of `chain`, by stage.

    own: files that take the place of the chain's, by stage. folder: where paths in the chain begin;
    None where its file is not at hand, as with a pack. Raises SettingsError where `own` names no
    net of the chain, InputError where a file has to be named, and what `faces.registry.fetch`
    raises.
    """
    own = own or {}
    unknown = sorted(set(own) - set(chain.nets))
    if unknown:
        raise SettingsError(
            f"The chain {chain.name} has no net {unknown[0]!r}: name one of "
            f"{', '.join(chain.nets)}."
        )
    registry = load_registry()
    files = {}
    for name, net in chain.nets.items():
        if name in own:
            files[name] = own[name]
        elif net.net in registry:
            files[name] = fetch(registry[net.net], cache)
        elif folder is not None:
            files[name] = folder / net.net
        else:
            raise InputError(
                f"The pack does not hold the model {net.net} of its net {name}: give the file as "
                f"--model {name}=FILE."
            )
    return files


def net_ref(registered_name: str, file: Path) -> ModelRef:
    """Name, sha256 and licence of a net's file: the registry's where it is that file."""
    sha256 = file_sha256(file)
    for model in load_registry().values():
        if model.name == registered_name and model.sha256 == sha256:
            return model_ref(model)
    return ModelRef(
        name=file.stem, sha256=sha256, licence="not stated", is_commercial_use_allowed=False
    )
