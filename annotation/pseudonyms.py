"""Annotators' pseudonyms: real names stay in one file and never reach a record."""

import json
from pathlib import Path

from mirrorset.errors import InputError
from mirrorset.files import write_text

UNNAMED = "annotator"
#: Whose labels those are that a server merged from several people's: nobody's own.
CONSENSUS = "consensus"
#: The file in the exchange folder; it is private.
ANNOTATORS = "annotators.json"


class Pseudonyms:
    """User names in CVAT → "annotator-1", "annotator-2"…, numbered as they first appear.

    The file is the only link between the two; whoever deletes it makes the labels anonymous, and
    gives the numbers of earlier people to those who come after.
    """

    def __init__(self, path: Path, is_reading_only: bool = False) -> None:
        """Keep the names in `path` (JSON), which need not exist yet.

        is_reading_only: nothing is written: people not seen before are told apart for as long as
        this object lives, as "annotator (new 1)", "annotator (new 2)"….
        """
        self._path = path
        self._new: dict[str, str] = {}
        self._is_reading_only = is_reading_only

    def reading_only(self) -> "Pseudonyms":
        """The same names, for those who look on while others work."""
        return Pseudonyms(self._path, is_reading_only=True)

    def of(self, username: str) -> str:
        """The pseudonym of a user name, made on first sight; "annotator" for no name."""
        if not username:
            return UNNAMED
        known = self._read()
        if self._is_reading_only:
            if username in known:
                return known[username]
            return self._new.setdefault(username, f"{UNNAMED} (new {len(self._new) + 1})")
        if username not in known:
            known[username] = f"{UNNAMED}-{len(known) + 1}"
            write_text(self._path, json.dumps(known, indent=1) + "\n")
            self._path.chmod(0o600)
        return known[username]

    def _read(self) -> dict[str, str]:
        try:
            return {str(k): str(v) for k, v in json.loads(self._path.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError):
            raise InputError(
                f"{self._path} no longer maps user names to pseudonyms: restore it from a backup."
            ) from None
