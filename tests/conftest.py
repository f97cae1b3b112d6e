"""Fixtures shared by all tests: real photographs and verified model weights."""

import os
from pathlib import Path

import platformdirs
import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs and recorded answers beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(
            "../shared/data (real photographs and recorded answers) is not beside the checkout"
        )
    return SHARED_DATA


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Where verified weights are kept; the registry fetches what is missing."""
    root = os.environ.get("MIRRORSET_CACHE") or platformdirs.user_cache_dir("mirrorset")
    return Path(root) / "models"
