"""imagededup and faiss, each in an environment of its own, and one run of each."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: imagededup is a Python face on PyTorch for one method of five; the others need none of it.
IMAGEDEDUP = (
    "imagededup==0.3.3.post2",
    "numpy==2.2.6",
    "pillow==11.3.0",
    "pywavelets==1.8.0",
    "scikit-learn==1.7.1",
    "scipy==1.16.1",
    "joblib==1.5.1",
    "threadpoolctl==3.6.0",
    "tqdm==4.67.1",
)
FAISS = ("faiss-cpu==1.15.1", "numpy==2.2.6", "packaging==25.0")


def environment(cache: Path, packages: tuple[str, ...]) -> Path:
    """The Python of an environment with these packages alone, made where `cache` lacks it."""
    digest = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:8]
    folder = cache / "benchmarks" / f"{packages[0].split('=')[0]}-{digest}"
    if not (folder / "complete").exists():
        uv = str(Path(sys.executable).parent / "uv")
        _checked([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)])
        python = ["--python", str(folder / "bin" / "python")]
        _checked([uv, "pip", "install", "--quiet", *python, "--no-deps", *packages])
        (folder / "complete").touch()
    return folder / "bin" / "python"


def imagededup(python: Path, folder: Path, queries: int, scratch: Path) -> dict[str, Any]:
    """Its hashes of a folder of pictures, and what it finds for some of them."""
    out = scratch / "imagededup.json"
    program = str(_HERE / "duplicates_imagededup.py")
    _checked([str(python), program, str(folder), str(queries), str(out)])
    return json.loads(out.read_text())


def faiss(python: Path, hashes: Path, radius: int, *search: str) -> dict[str, Any]:
    """Its search on an array of hashes: what duplicates_faiss.py is told after the radius."""
    program = str(_HERE / "duplicates_faiss.py")
    return json.loads(_checked([str(python), program, str(hashes), str(radius), *search]))


def _checked(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise SystemExit(f"`{' '.join(command[:4])}` failed: {said[0]}")
    return done.stdout
