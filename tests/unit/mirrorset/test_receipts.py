"""Receipts: flat, verifiable by anybody, exported as JSON lines."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.errors import InputError
from mirrorset.files import read_records, write_records
from mirrorset.receipts import Receipt, read_receipts, receipt, verify, write_receipts
from mirrorset.records import Evidence, Licence, Sighting

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

SIGHTING = Sighting(
    image_id="ab" * 32,
    source="commons",
    source_item_id="42",
    page_url="https://example.org/42",
    image_url="https://example.org/42.jpg",
    licence=Licence(
        code="CC-BY-SA",
        version="3.0",
        url="https://creativecommons.org/licenses/by-sa/3.0/de/",
    ),
    author="Zoë Ångström",
    evidence=Evidence(
        licence_read_from="extmetadata.LicenseShortName",
        licence_text="CC BY-SA 3.0 de",
        version="da39a3ee5e6b4b0d3255bfef95601890afd80709",
        host_files={"tdmrep.json": "ef" * 32},
        headers={"content-type": "image/jpeg", "x-robots-tag": "all"},
        crawler="mirrorset/0.1.0",
    ),
    seen_at=NOON,
)

text = st.text(max_size=20)
names = st.dictionaries(text, text, max_size=3)
sightings = st.builds(
    Sighting,
    image_id=st.just("ab" * 32),
    source=text,
    source_item_id=text,
    page_url=text,
    image_url=text,
    licence=st.builds(Licence, code=text, version=text, url=text),
    author=text,
    evidence=st.builds(
        Evidence,
        licence_read_from=text,
        licence_text=text,
        version=text,
        host_files=names,
        headers=names,
        crawler=text,
    ),
    seen_at=st.datetimes(timezones=st.timezones()),
)


def test_a_receipt_says_all_that_its_sighting_says_of_its_terms() -> None:
    stated = receipt(SIGHTING).model_dump(mode="json")
    evidence = SIGHTING.evidence.model_dump()
    assert {name: stated[name] for name in evidence} == evidence
    assert stated["licence_url"] == SIGHTING.licence.url
    assert stated["seen_at"] == "2026-11-23T12:00:00Z"
    of_people = {"subject_ids", "age_band", "tone", "shows_author"}
    assert set(Sighting.model_fields) - stated.keys() == {"licence", "evidence", *of_people}


def test_the_hash_of_a_receipt_never_changes() -> None:
    assert receipt(SIGHTING).receipt_id == (
        "8a73b762e245e1ddc2753baa7a8236d1325547b9a4ed22391ff1145591ad604c"
    )


def test_anybody_can_recompute_it_from_a_line(tmp_path: Path) -> None:
    write_receipts(tmp_path / "receipts.jsonl", [SIGHTING])
    fields = json.loads((tmp_path / "receipts.jsonl").read_text(encoding="utf-8"))
    stated = fields.pop("receipt_id")
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(canonical.encode()).hexdigest() == stated


@given(sightings)
def test_what_is_written_is_read_and_verified(sighting: Sighting) -> None:
    made = receipt(sighting)
    assert verify(made)
    assert verify(Receipt.model_validate_json(made.model_dump_json()))


def test_receipts_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    later = SIGHTING.model_copy(update={"seen_at": NOON + timedelta(days=1)})
    assert write_receipts(path, [SIGHTING, later]) == 2
    assert list(read_receipts(path)) == [receipt(SIGHTING), receipt(later)]


def test_the_same_seen_again_has_a_receipt_of_its_own() -> None:
    later = SIGHTING.model_copy(update={"seen_at": NOON + timedelta(days=1)})
    assert receipt(later).receipt_id != receipt(SIGHTING).receipt_id


def test_the_clock_of_another_time_zone_changes_nothing() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    assert receipt(SIGHTING.model_copy(update={"seen_at": elsewhere})) == receipt(SIGHTING)


@given(st.data())
def test_a_change_to_any_field_is_found(data: st.DataObject) -> None:
    made = receipt(SIGHTING)
    name = data.draw(st.sampled_from(sorted(Receipt.model_fields)))
    other = data.draw(
        {
            "receipt_id": st.from_regex(r"\A[0-9a-f]{64}\Z"),
            "image_id": st.from_regex(r"\A[0-9a-f]{64}\Z"),
            "host_files": names,
            "headers": names,
            "seen_at": st.datetimes(timezones=st.just(UTC)),
        }.get(name, text)
    )
    changed = made.model_copy(update={name: other})
    assert verify(changed) == (changed == made)


@given(st.randoms())
def test_the_order_of_keys_does_not_matter(random: Random) -> None:
    fields = list(json.loads(receipt(SIGHTING).model_dump_json()).items())
    random.shuffle(fields)
    assert verify(Receipt.model_validate_json(json.dumps(dict(fields))))


def test_a_changed_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    forged = receipt(SIGHTING).model_copy(update={"licence_code": "CC0"})
    write_records(path, [receipt(SIGHTING), forged])
    with pytest.raises(InputError, match=r"receipts\.jsonl:2 was changed"):
        list(read_receipts(path))


def test_evidence_from_before_these_fields_is_read(tmp_path: Path) -> None:
    old = SIGHTING.model_dump(mode="json", exclude={"evidence": {"version", "host_files"}})
    (tmp_path / "sightings.jsonl").write_text(json.dumps(old))
    (read,) = read_records(tmp_path / "sightings.jsonl", Sighting)
    assert (read.evidence.version, read.evidence.host_files) == ("", {})
    assert verify(receipt(read))
