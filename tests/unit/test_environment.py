"""Facts of the environment that the product relies on."""

from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_one_wheel_owns_cv2() -> None:
    """Two OpenCV wheels would overwrite each other's cv2 folder."""
    owners = {
        distribution.metadata["Name"]
        for distribution in distributions()
        if any(str(file).startswith("cv2/") for file in distribution.files or ())
    }
    assert owners == {"opencv-python"}


def test_locks_pin_hashes_and_name_no_index() -> None:
    locks = list(ROOT.glob("requirements*.lock"))
    assert len(locks) == 8
    for lock in locks:
        text = lock.read_text()
        assert "--index-url" not in text
        assert "://" not in text
        pins = [line for line in text.splitlines() if line[:1].isalnum()]
        assert len(pins) > 200
        assert all("==" in pin for pin in pins)
        assert text.count("--hash=sha256:") > len(pins)


def test_no_benchmark_has_a_packages_name() -> None:
    """Scripts beside it would import it in the package's stead."""
    packages = {folder.parent.name for folder in ROOT.glob("*/__init__.py")}
    assert "parity" in packages
    assert not packages & {script.stem for script in (ROOT / "benchmarks").glob("*.py")}
