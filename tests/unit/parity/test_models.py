"""A chain's model files: registered, by their path, or one's own."""

from pathlib import Path

import pytest
from small_pack import CHAIN

from faces.registry import load_registry
from mirrorset.errors import InputError, SettingsError
from parity.chain import chain_file, load_chain, shipped_chains
from parity.models import model_files, net_ref


@pytest.mark.parametrize("name", shipped_chains())
def test_shipped_chains_name_registered_models(name: str) -> None:
    registry = load_registry()
    for net in load_chain(chain_file(name)).nets.values():
        assert net.net in registry


def test_paths_begin_at_the_chains_file_and_own_files_come_first(tmp_path: Path) -> None:
    own = {"marker": Path("mine.tflite")}
    files = model_files(CHAIN, tmp_path, own, folder=Path("chains"))
    assert files == {"finder": Path("chains/finder.tflite"), "marker": Path("mine.tflite")}


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"finder\.tflite of its net finder: .* finder=FILE"):
        model_files(CHAIN, tmp_path)
    with pytest.raises(SettingsError, match="no net 'finde': name one of finder, marker"):
        model_files(CHAIN, tmp_path, {"finde": Path("x")})


def test_a_file_of_ones_own_has_no_licence_of_the_registrys(tmp_path: Path) -> None:
    file = tmp_path / "mine.tflite"
    file.write_bytes(b"weights")
    ref = net_ref("face_landmark", file)
    assert (ref.name, ref.licence, ref.is_commercial_use_allowed) == ("mine", "not stated", False)
