"""The recorded HTTP exchanges of ../shared/data/crawler/cassettes, as answers."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from crawlers.source import Answer

CASSETTES = Path(__file__).resolve().parents[2] / "shared/data/crawler/cassettes"


class Exchange(NamedTuple):
    """One question and its answer; url: what was asked."""

    url: str
    answer: Answer


def exchanges(cassette: Path) -> list[Exchange]:
    """What a cassette recorded, in order."""
    recorded = yaml.load(cassette.read_bytes(), Loader=yaml.CSafeLoader)  # noqa: S506
    return [
        Exchange(entry["request"]["uri"], _answer(entry["request"]["uri"], entry["response"]))
        for entry in recorded["interactions"]
    ]


def _answer(url: str, response: dict[str, Any]) -> Answer:
    # Two recorders wrote them: vcrpy's and httpx's fields.
    body = response["body"]["string"] if "body" in response else response["content"]
    return Answer(
        url=url,
        status=response["status"]["code"] if "status" in response else response["status_code"],
        headers={
            name.lower(): ", ".join(values) if isinstance(values, list) else values
            for name, values in response["headers"].items()
        },
        body=body.encode() if isinstance(body, str) else body,
    )
