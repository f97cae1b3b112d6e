"""What a check is, and all of them made at the same time."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from mirrorset.errors import MirrorsetError
from mirrorset.masking import masked
from mirrorset.records import Record

Verdict = Literal["ok", "warning", "fails", "not set"]

#: How long all checks together are waited for.
LIMIT_S = 10.0


class Finding(Record):
    """One thing looked at. remedy: what to do where it is not well, or "".

    verdict: "warning" where it works, though not as it should; "fails" where what is set cannot
    work; "not set" where it is neither there nor asked for.
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


class Outcome(NamedTuple):
    """A finding without its name."""

    verdict: Verdict
    found: str
    remedy: str = ""


class Check(NamedTuple):
    """What is looked at, and how; an error in place of a way to look is what was found."""

    name: str
    look: Callable[[], Outcome] | MirrorsetError


def ok(found: str) -> Outcome:
    """All is well."""
    return Outcome("ok", found)


def warning(found: str, remedy: str) -> Outcome:
    """It works, though not as it should."""
    return Outcome("warning", found, remedy)


def fails(found: str, remedy: str) -> Outcome:
    """What is set cannot work."""
    return Outcome("fails", found, remedy)


def not_set(found: str, remedy: str = "") -> Outcome:
    """It is neither there nor asked for."""
    return Outcome("not set", found, remedy)


def examined(checks: Sequence[Check], limit_s: float = LIMIT_S) -> list[Finding]:
    """What all checks find, in their order and without secrets."""
    outcomes: dict[str, Outcome] = {}

    def examine(check: Check) -> None:
        outcomes[check.name] = _outcome(check)

    threads = [threading.Thread(target=examine, args=(one,), daemon=True) for one in checks]
    for thread in threads:
        thread.start()
    ends_at = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
    late = fails(
        f"no answer within {limit_s:g} s", "See that it is up and not too busy, and ask again."
    )
    found = [(check.name, outcomes.get(check.name, late)) for check in checks]
    return [
        Finding(
            name=name,
            verdict=outcome.verdict,
            found=masked(outcome.found),
            remedy=masked(outcome.remedy),
        )
        for name, outcome in found
    ]


def _outcome(check: Check) -> Outcome:
    try:
        if isinstance(check.look, MirrorsetError):
            raise check.look
        return check.look()
    except MirrorsetError as error:
        return fails("faulty", str(error))
    except Exception as error:
        # A library's own kinds, of which each server has others.
        said = " ".join(str(error).split())[:300]
        return fails(f"{type(error).__name__}: {said}", "See what it says, and mend that.")
