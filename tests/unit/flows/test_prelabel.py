"""What pre-labelling refuses before it starts."""

from pathlib import Path

import pytest

from flows.prelabel import prelabel, require_licensed
from mirrorset.errors import LicenceError, SettingsError
from mirrorset.workspace import init


@pytest.mark.parametrize("use", ["research", "commercial"])
def test_the_commercial_profile_serves_both_uses(use: str) -> None:
    require_licensed("commercial", use)


@pytest.mark.parametrize("profile", ["research", "research-10g", "research-parsing"])
def test_research_profiles_serve_research_alone(profile: str) -> None:
    require_licensed(profile, "research")
    with pytest.raises(LicenceError, match="InsightFace non-commercial research") as refusal:
        require_licensed(profile, "commercial")
    assert str(refusal.value).count(". ") == 0


def test_every_weight_that_forbids_it_is_named() -> None:
    with pytest.raises(LicenceError, match=r"scrfd_500m_bnkps .*, 2d106det .*, bisenet \("):
        require_licensed("research-parsing", "commercial")


def test_an_unknown_profile_is_named_whatever_the_use() -> None:
    with pytest.raises(SettingsError, match="'reserch'; there are commercial, research"):
        require_licensed("reserch", "research")


def test_nothing_is_opened_before_the_refusal(tmp_path: Path) -> None:
    workspace = init(tmp_path / "ws")
    workspace.params_file.write_text(
        workspace.params_file.read_text().replace(
            "intended_use: research", "intended_use: commercial"
        )
    )
    with pytest.raises(LicenceError, match="2d106det"):
        prelabel.fn(workspace.home)
    assert not workspace.private.exists()
