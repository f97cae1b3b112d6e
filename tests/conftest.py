"""Fixtures shared by all tests: real photographs and verified model weights."""

import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, settings

# Time says more of the machine than of the code.
settings.register_profile(
    "quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
# What `make test-thorough` asks for.
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=200)
settings.load_profile("quick")

# Tests import much and leave little: looking for cycles as often as usual takes 7 % of their time.
gc.set_threshold(50_000, 20, 100)

_FIRST = [
    Path(__file__).with_name("integration") / f"test_{name}.py"
    for name in ("demo", "erase", "forensics", "prelabel_workers")
]
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Each process has a database of Prefect's of its own, before anything imports Prefect.

    A developer's keeps all runs of theirs and of earlier tests, each of which an erasure looks at.
    """
    home = tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True)
    os.environ["PREFECT_HOME"] = home.name
    config.add_cleanup(home.cleanup)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing is skipped: what a skip would hide is a failure there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {call.excinfo.value if call.excinfo else item.nodeid}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first, lest all others wait for one of them in the end.

    One of them makes the workspace that all erasures have a copy of: were several to begin with
    these, they would wait for it together.
    """
    items.sort(key=lambda item: _FIRST.index(item.path) if item.path in _FIRST else len(_FIRST))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for processes, servers and disks too."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs and recorded answers beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(
            "../shared/data (real photographs and recorded answers) is not beside the checkout"
        )
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def real_cvat() -> Iterator[tuple[str, str] | None]:
    """Address and token of a real CVAT server to test on; None, and the stand-in, by itself.

    Only a token under a name that nothing but tests reads switches it on. A developer's own
    settings reach no test: a command that is tested would push to the server they work with.
    """
    url, token = (os.environ.get(f"MIRRORSET_CVAT_{name}") for name in ("URL", "TEST_TOKEN"))
    if token and not url:
        pytest.exit("MIRRORSET_CVAT_TEST_TOKEN is set without MIRRORSET_CVAT_URL.", 2)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MIRRORSET_CVAT_")]:
            patch.delenv(name)
        yield (url.rstrip("/"), token) if url and token else None


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Where verified weights are kept; the registry fetches what is missing."""
    root = os.environ.get("MIRRORSET_CACHE") or platformdirs.user_cache_dir("mirrorset")
    return Path(root) / "models"
