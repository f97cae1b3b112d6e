"""params.yaml: every section and name is documented, and the templates fit."""

from pathlib import Path

import pytest
import yaml

from flows.sections import READERS, check_params
from mirrorset.errors import SettingsError
from mirrorset.params import SECTIONS
from mirrorset.settings import read_settings
from mirrorset.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]


def test_every_section_has_a_reader() -> None:
    assert set(READERS) == SECTIONS


def test_every_name_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "params.md").read_text()
    for section, kind in READERS.items():
        assert f"`{section}`" in text
        for name in kind.model_fields:
            assert f"`{name}`" in text, f"{section}.{name}"


@pytest.mark.parametrize("file", ["mirrorset/template/params.yaml", "flows/demo/params.yaml"])
def test_templates_fit_and_have_what_dvc_looks_for(file: str, tmp_path: Path) -> None:
    text = (ROOT / file).read_text()
    (tmp_path / "params.yaml").write_text(text)
    check_params(Workspace(tmp_path, read_settings(tmp_path)))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    wanted = {name for stage in stages for name in stage.get("params", []) if isinstance(name, str)}
    assert wanted <= set(yaml.safe_load(text))


def test_a_section_that_nothing_reads_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("relaese: {}\n")
    with pytest.raises(SettingsError, match="relaese"):
        check_params(Workspace(tmp_path, read_settings(tmp_path)))
