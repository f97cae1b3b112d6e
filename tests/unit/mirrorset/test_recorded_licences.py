"""Every licence statement in the recordings, each judged by a person."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorset.licences import normalise

CC = "https://creativecommons.org"

# Wikimedia Commons' extmetadata.
COMMONS = {
    "cc-by-4.0": "CC-BY",
    "cc-by-sa-3.0-de": "CC-BY-SA",
    "cc-by-sa-3.0-es": "CC-BY-SA",
    "cc-by-sa-4.0": "CC-BY-SA",
    "cc0": "CC0",
    "pd": "PD",
    "CC BY 4.0": "CC-BY",
    "CC BY-SA 3.0 de": "CC-BY-SA",
    "CC BY-SA 3.0 es": "CC-BY-SA",
    "CC BY-SA 4.0": "CC-BY-SA",
    "CC0": "CC0",
    "No restrictions": "NKC",
    "Public domain": "PD",
    f"{CC}/licenses/by-sa/2.0": "CC-BY-SA",
    f"{CC}/licenses/by-sa/3.0/de/deed.en": "CC-BY-SA",
    f"{CC}/licenses/by-sa/3.0/es/deed.en": "CC-BY-SA",
    f"{CC}/licenses/by-sa/4.0": "CC-BY-SA",
    f"{CC}/licenses/by/4.0": "CC-BY",
    "http://creativecommons.org/publicdomain/zero/1.0/deed.en": "CC0",
    "https://www.flickr.com/commons/usage/": "NKC",
    "Creative Commons Attribution 4.0": "CC-BY",
    "Creative Commons Attribution-Share Alike 3.0 de": "CC-BY-SA",
    "Creative Commons Attribution-Share Alike 3.0 es": "CC-BY-SA",
    "Creative Commons Attribution-Share Alike 4.0": "CC-BY-SA",
    "Creative Commons Zero, Public Domain Dedication": "CC0",
    "No known copyright restrictions": "NKC",
}
# The same, as the licence templates of file pages say it.
TEMPLATES = {
    "CC BY 1.0": "CC-BY",
    "CC BY 2.0": "CC-BY",
    "CC BY-SA 2.0": "CC-BY-SA",
    "CC BY-SA 2.5": "CC-BY-SA",
    "PDM": "PD",
    "Public domain": "PD",
    "Creative Commons Attribution 1.0": "CC-BY",
    "Creative Commons Attribution 2.0": "CC-BY",
    "Creative Commons Attribution-Share Alike 2.0": "CC-BY-SA",
    "Creative Commons Attribution-Share Alike 2.5": "CC-BY-SA",
    "Creative Commons Public Domain Mark 1.0": "PD",
    f"{CC}/licenses/by-sa/2.0": "CC-BY-SA",
    f"{CC}/licenses/by-sa/2.5": "CC-BY-SA",
    f"{CC}/licenses/by/1.0": "CC-BY",
    f"{CC}/licenses/by/2.0": "CC-BY",
    f"{CC}/publicdomain/mark/1.0/": "PD",
}
# flickr.photos.licenses.getInfo: names and addresses, ids 0 to 16.
FLICKR_LICENCES = {
    "All Rights Reserved": None,  # no licence
    # A help page about other members' pictures: no licence.
    "https://www.flickrhelp.com/hc/en-us/articles/"
    "10710266545556-Using-Flickr-images-shared-by-other-members": None,
    "No known copyright restrictions": "NKC",
    "https://www.flickr.com/commons/usage/": "NKC",
    "United States Government Work": "PD",
    "https://www.usa.gov/government-copyright": "PD",
    "Public Domain Dedication (CC0)": "CC0",
    f"{CC}/publicdomain/zero/1.0/": "CC0",
    "Public Domain Mark": "PD",
    f"{CC}/publicdomain/mark/1.0/": "PD",
} | {
    statement: f"CC-{terms.upper()}"
    for version in ("2.0", "4.0")
    for terms in ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
    for statement in (f"CC {terms.upper()} {version}", f"{CC}/licenses/{terms}/{version}/")
}
# Photos as other programs keep them, each with an id, a label and an address.
FLICKR_PHOTOS = {
    "all-rights-reserved": None,  # no licence
    "All Rights Reserved": None,
    "cc0-1.0": "CC0",
    "CC0 1.0": "CC0",
    f"{CC}/publicdomain/zero/1.0/": "CC0",
    "pdm": "PD",
    "Public Domain Mark": "PD",
    f"{CC}/publicdomain/mark/1.0/": "PD",
    "usgov": "PD",
    "United States Government Work": "PD",
    "http://www.usa.gov/copyright.shtml": "PD",
} | {
    statement: f"CC-{terms.upper()}"
    for terms in ("by", "by-sa", "by-nc", "by-nc-sa", "by-nc-nd")
    for statement in (
        f"cc-{terms}-2.0",
        f"CC {terms.upper()} 2.0",
        f"{CC}/licenses/{terms}/2.0/",
    )
}
# The ids of photos.search are numbers; a number says nothing without Flickr's list.
FLICKR_IDS = {"1": None, "3": None}
OTHER_PROVIDERS = {
    "CC0": "CC0",
    "cc0": "CC0",
    f"{CC}/publicdomain/zero/1.0/": "CC0",
    "rawpixel": None,  # who states the licence, not which
}
PHOTOGRAPHS = {
    "CC-BY-4.0": "CC-BY",
    "CC0-1.0": "CC0",
    "public-domain": "PD",
    "CC0/public-domain": None,  # two things at once
}


JUDGED: dict[str, str | None] = {
    **COMMONS,
    **TEMPLATES,
    **FLICKR_LICENCES,
    **FLICKR_PHOTOS,
    **FLICKR_IDS,
    **OTHER_PROVIDERS,
    **PHOTOGRAPHS,
}

FIELDS = {
    *("License", "LicenseShortName", "LicenseUrl", "UsageTerms"),
    *("license", "licenseUrl", "licenseSource"),
}
PARTS = ("value", "id", "label", "url")
TEMPLATE = re.compile(r'licensetpl_(?:short|long|link)\\?"[^>]*>([^<]*)<')
LISTED = re.compile(r'<license id="\d+" name="([^"]*)" url="([^"]*)"')


def fields(node: Any) -> Iterator[str]:
    """The text of all fields that speak of licences, also where it lies in parts."""
    if isinstance(node, list):
        for item in node:
            yield from fields(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name not in FIELDS:
                yield from fields(value)
            elif isinstance(value, dict):
                yield from (
                    value[part] for part in ("value", "id", "label", "url") if part in value
                )
            else:
                yield value


def bodies(cassette: Path) -> Iterator[str]:
    for exchange in yaml.safe_load(cassette.read_bytes())["interactions"]:
        answer = exchange["response"]
        body = answer.get("content") or answer.get("body", {}).get("string") or ""
        yield body if isinstance(body, str) else body.decode("utf-8", errors="replace")


def recorded(shared_data: Path) -> Iterator[str]:
    for path in (shared_data / "crawler").rglob("*.json"):
        yield from fields(json.loads(path.read_bytes()))
    for cassette in (shared_data / "crawler/cassettes").glob("*.yml"):
        for body in bodies(cassette):
            yield from (text.strip() for text in TEMPLATE.findall(body))
            yield from (text for pair in LISTED.findall(body) for text in pair)
    with (shared_data / "photos/MANIFEST.csv").open() as manifest:
        yield from (row["licence"] for row in csv.DictReader(manifest))


def test_every_recorded_statement_is_judged(shared_data: Path) -> None:
    assert {text for text in recorded(shared_data) if text} == JUDGED.keys()


@pytest.mark.parametrize(("text", "code"), JUDGED.items())
def test_it_reads_as_judged(text: str, code: str | None) -> None:
    licence = normalise(text)
    assert (licence and licence.code) == code
