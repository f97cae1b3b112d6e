"""Folders and files that commands have made, wherever: an erasure has to find them."""

from pathlib import Path

from mirrorset.files import write_text

_FILE = "made-elsewhere.txt"


def note(home: Path, made: Path) -> None:
    """Remember what is made, where `home` is a workspace."""
    if not (home / ".dvc").is_dir():
        return
    folders = noted(home)
    if made.absolute() not in folders:
        write_text(
            home / ".mirrorset" / _FILE,
            "".join(f"{folder}\n" for folder in [*folders, made.absolute()]),
        )


def is_away(made: Path) -> bool:
    """Whether what was made may lie on a disk that is not there, rather than be gone.

    So it is where the folder that it lay in is not there, or empty as a place to mount at is.
    """
    if made.exists():
        return False
    return not made.parent.is_dir() or not any(made.parent.iterdir())


def noted(home: Path) -> list[Path]:
    """What was made, the first first; some may be gone or moved since."""
    file = home / ".mirrorset" / _FILE
    if not file.is_file():
        return []
    return [Path(line) for line in file.read_text(encoding="utf-8").splitlines()]
