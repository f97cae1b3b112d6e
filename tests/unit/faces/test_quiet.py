"""What native code writes to stderr is withheld, and shown where it explains a failure."""

import os

import pytest

from faces.quiet import native_notes_withheld


def test_withheld(capfd: pytest.CaptureFixture[str]) -> None:
    with native_notes_withheld():
        os.write(2, b"INFO: Created a delegate.\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def failing_natively() -> None:
    with native_notes_withheld():
        os.write(2, b"the reason\n")
        raise RuntimeError("no model")


def test_shown_where_the_block_raises(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="no model"):
        failing_natively()
    assert capfd.readouterr().err == "the reason\n"
