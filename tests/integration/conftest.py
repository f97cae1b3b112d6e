"""A finished demo, made once a session by the real command, for all tests that look at one."""

import pytest
from demo_run import Demo, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The small demo, run once without interruption."""
    return run_demo(tmp_path_factory.mktemp("demo") / "demo")
