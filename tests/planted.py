"""Secrets that are planted, and the search for them in whatever was written."""

import base64
import gzip
import io
import json
import os
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil

_LOOK_EVERY_S = 0.05


def forms(secret: str) -> Iterator[bytes]:
    """How a secret may be written: plain, in addresses, in JSON, in base64 amid anything else."""
    plain = secret.encode()
    yield plain
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield json.dumps(secret)[1:-1].encode()
    for before in range(3):
        # The first and last digits depend on what stands around it.
        coded = base64.b64encode(bytes(before) + plain).rstrip(b"=")
        inner = coded[-(-before * 4 // 3) : len(coded) - 1]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


class Planted:
    """The secrets by what they are; each is long and unlike any other."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms = {name: sorted(set(forms(one))) for name, one in secrets.items()}

    def found_in(self, content: bytes) -> set[str]:
        """Names of the secrets that a content holds, also within what it packs."""
        found = {
            name for name, forms in self._forms.items() if any(one in content for one in forms)
        }
        if content[:4] == b"PK\x03\x04":
            with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
                for one in archive.infolist():
                    found |= self.found_in(one.filename.encode() + b"\n" + archive.read(one))
        if content[:2] == b"\x1f\x8b":
            with suppress(OSError, EOFError):
                found |= self.found_in(gzip.decompress(content))
        return found

    def found_below(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Every file below a folder with a secret that its name or its content holds."""
        for path in sorted(folder.rglob("*")):
            content = os.fsencode(path)
            with suppress(FileNotFoundError):
                if path.is_file() and not path.is_symlink():
                    content += b"\n" + path.read_bytes()
            for name in sorted(self.found_in(content)):
                yield path, name


def git_objects(home: Path) -> bytes:
    """All that git keeps, also what no branch leads to."""
    command = ["git", "cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(command, cwd=home, check=True, capture_output=True).stdout


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Gathers those of this process's descendants, and of what these leave behind."""
    found: set[bytes] = set()
    is_over = threading.Event()
    before = set(psutil.pids())

    def look() -> None:
        while not is_over.wait(_LOOK_EVERY_S):
            for one in set(psutil.pids()) - before:
                with suppress(OSError):
                    found.add(Path(f"/proc/{one}/cmdline").read_bytes())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
        time.sleep(2 * _LOOK_EVERY_S)
    finally:
        is_over.set()
        thread.join()
