"""What the sources with a JSON API share."""

from typing import Any

from crawlers.pacing import retry_after_s
from crawlers.source import Answer, BusyError
from crawlers.text import read_json
from mirrorset.errors import UnavailableError
from mirrorset.records import Record, utc_now

# Where a busy server names no time.
_WAIT_S = 5.0


def read_object(answer: Answer, address: str) -> dict[str, Any]:
    """The JSON object that `address` answered, all its text clean. Raises UnavailableError.

    The answer's own address is never named: a key may stand in it.
    """
    try:
        said = read_json(answer.body)
    except (ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:200]
        raise UnavailableError(
            f"{address} answered no JSON ({words}): see that it is the API's address."
        ) from None
    if not isinstance(said, dict):
        raise UnavailableError(
            f"{address} answered JSON that is no object: see that it is the API's address."
        )
    return said


def as_object(value: object) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def busy(answer: Answer, said: str) -> BusyError:
    """The error for an answer that says "later", with the wait that its Retry-After asks for."""
    stated = answer.headers.get("retry-after", "")
    return BusyError(said, retry_after_s(stated, utc_now()) or _WAIT_S)


def elsewhere(start: Record) -> list[str]:
    """What a title says of the start's api_url: "at ADDRESS" where it is not the usual one."""
    told = start.model_dump(include={"api_url"}, exclude_defaults=True)
    return [f"at {address}" for address in told.values()]
