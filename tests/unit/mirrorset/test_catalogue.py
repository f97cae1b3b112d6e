"""The catalogue keeps every kind of record, once, and its migrations make its tables."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Timer

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from earlier_tables import migrated_back
from sqlalchemy import Table, create_engine, event, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from mirrorset.catalogue import Catalogue, store
from mirrorset.catalogue.rows import upsert
from mirrorset.catalogue.store import OutdatedError
from mirrorset.catalogue.tables import TABLE_OF, UtcDateTime, metadata, rejected, sightings
from mirrorset.errors import InputError, SettingsError, UnavailableError
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    Decision,
    Evidence,
    Face,
    Hidden,
    Honeypot,
    ImageRecord,
    LedgerEntry,
    Licence,
    Lighting,
    Provenance,
    Quarantine,
    Reason,
    Record,
    Rejected,
    Sent,
    Sighting,
    Stop,
    Tombstone,
    Verdict,
    Verification,
)
from mirrorset.spool import ingest, write_shard

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
IMAGE_ID = "ab" * 32


ANNOTATION = Annotation(
    image_id=IMAGE_ID,
    faces=(Face(face_id="0", box=(0, 0, 1.5, 2), score=0.9),),
    origin="model",
    by="research",
    schema_version="1",
    made_at=NOON,
)


def records() -> list[Record]:
    return [
        Sighting(
            image_id=IMAGE_ID,
            source="commons",
            source_item_id="42",
            page_url="https://example.org/42",
            image_url="https://example.org/42.jpg",
            licence=Licence(code="CC0", version="1.0"),
            evidence=Evidence(licence_read_from="x", licence_text="CC0", crawler="mirrorset/0"),
            seen_at=NOON,
            subject_ids=("p-2", "p-7"),
            age_band="30-44",
            tone="dark",
            shows_author=True,
        ),
        ImageRecord(
            image_id=IMAGE_ID,
            media_type="image/jpeg",
            size_bytes=10,
            width_px=4,
            height_px=3,
            pixel_hash="cd" * 32,
            phash="0" * 16,
        ),
        ANNOTATION,
        Verdict(image_id=IMAGE_ID, check="adult", passed=True),
        Rejected(item_id="commons:7", step="crawl", reason=Reason.ROBOTS),
        Batch(
            batch_id="b1",
            image_ids=(IMAGE_ID,),
            schema_version="1",
            server="folder",
            project="p",
            task="t",
            state="pushed",
        ),
        AnnotationJob(
            batch_id="b1",
            job_id="7",
            kind="annotation",
            image_ids=(IMAGE_ID,),
            stage="annotation",
            state="in progress",
            annotator="annotator-1",
            updated_at=NOON,
            content_sha256="ef" * 32,
        ),
        LedgerEntry(
            image_id=IMAGE_ID,
            group_id="g",
            split="test",
            image_shard=0,
            minted_at=NOON,
            test_series="1",
            series_images=3,
            earlier_series={"0": 2},
        ),
    ]


def records_of_no_shard() -> list[Record]:
    """Those that are written into the catalogue alone."""
    of_sighting = {"image_id": IMAGE_ID, "source": "commons", "source_item_id": "42"}
    return [
        Tombstone(keyed_hash=IMAGE_ID, erased_at=NOON),
        Verification(**of_sighting, verified_at=NOON),
        Quarantine(
            **of_sighting, reason=Reason.LICENCE_MISSING, detail="gone", since=NOON, expires_at=NOON
        ),
        Decision(
            image_id=IMAGE_ID, gate="adult", action="drop", by="Jo", reason="x", decided_at=NOON
        ),
        Honeypot(batch_id="b1", image_id=IMAGE_ID),
        Stop(batch_id="b1", image_id=IMAGE_ID, is_standing=True),
        Hidden(batch_id="b1", image_id=IMAGE_ID, is_hidden=False),
        Sent(batch_id="b1", image_id=IMAGE_ID, annotation=ANNOTATION),
    ]


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    with Catalogue(catalogue_url) as opened:
        yield opened


def test_every_kind_comes_back_equal_and_once(catalogue: Catalogue, tmp_path: Path) -> None:
    every = [*records(), *records_of_no_shard()]
    assert {type(record) for record in every} == set(TABLE_OF)
    for _ in range(2):
        write_shard(tmp_path / "spool", records())
        assert ingest(tmp_path / "spool", catalogue) == len(records())
        catalogue.upsert(records_of_no_shard())
    assert not list((tmp_path / "spool").iterdir())
    for record in every:
        assert list(catalogue.read(type(record))) == [record]
        assert catalogue.count(type(record)) == 1


def test_a_later_decision_is_another_row(catalogue: Catalogue) -> None:
    first = Decision(
        image_id=IMAGE_ID,
        gate="adult",
        action="release",
        by="Jane Doe",
        reason="born 1906",
        decided_at=NOON,
    )
    catalogue.upsert([*records(), first])
    later = first.model_copy(update={"action": "drop", "decided_at": NOON + timedelta(hours=1)})
    catalogue.upsert([later])
    assert list(catalogue.read(Decision)) == [first, later]


def test_which_images_failed_a_check(catalogue: Catalogue) -> None:
    catalogue.upsert(records())
    assert catalogue.failed("adult") == set()
    catalogue.upsert([Verdict(image_id=IMAGE_ID, check="adult", passed=False)])
    assert catalogue.failed("adult") == {IMAGE_ID}
    assert catalogue.failed("box_inside") == set()


def test_a_sighting_ends_an_earlier_rejection(catalogue: Catalogue) -> None:
    earlier = Rejected(item_id="commons:42", step="crawl", reason=Reason.HTTP_ERROR)
    catalogue.upsert([earlier])
    assert catalogue.rejected_by_reason("crawl") == {"http_error": 1}
    catalogue.upsert(records())
    assert catalogue.rejected_by_reason("crawl") == {"robots": 1}


def test_what_a_person_drew_ends_an_earlier_rejection(catalogue: Catalogue) -> None:
    catalogue.upsert(records())
    drawn = next(record for record in records() if isinstance(record, Annotation))
    earlier = Rejected(item_id=IMAGE_ID, step="annotate", reason=Reason.CHECK_FAILED)
    catalogue.upsert([earlier, drawn])
    assert catalogue.rejected_by_reason("annotate") == {"check_failed": 1}
    catalogue.upsert([drawn.model_copy(update={"origin": "replica", "by": "ann"})])
    assert catalogue.rejected_by_reason("annotate") == {"check_failed": 1}
    catalogue.upsert([drawn.model_copy(update={"origin": "gold", "by": "ann"})])
    assert catalogue.rejected_by_reason("annotate") == {}


def test_a_task_made_anew_is_kept_with_its_jobs_or_not_at_all(catalogue: Catalogue) -> None:
    catalogue.upsert(records())
    (before,) = catalogue.read(AnnotationJob)
    (batch,) = catalogue.read(Batch)
    anew = batch.model_copy(update={"task": "99"})
    other = before.model_copy(update={"job_id": "98"})
    stranger = Verdict(image_id="0" * 64, check="adult", passed=True)
    with pytest.raises(InputError, match="refuses a record"):
        catalogue.renew(anew, [other, stranger])
    assert list(catalogue.read(AnnotationJob)) == [before]
    assert list(catalogue.read(Batch)) == [batch]
    gone = Rejected(item_id=batch.batch_id, step="annotate", reason=Reason.GONE)
    catalogue.upsert([gone])
    catalogue.renew(anew, [other])
    assert list(catalogue.read(AnnotationJob)) == [other]
    assert list(catalogue.read(Batch)) == [anew]
    assert gone not in list(catalogue.read(Rejected))


def test_text_that_no_database_keeps_is_mended(catalogue: Catalogue, tmp_path: Path) -> None:
    image = next(record for record in records() if isinstance(record, ImageRecord))
    sighting = next(record for record in records() if isinstance(record, Sighting))
    evidence = sighting.evidence.model_copy(update={"headers": {"x-\0": "\udfff"}})
    torn = sighting.model_copy(update={"author": "A\ud800B\0 😀\u2028", "evidence": evidence})
    write_shard(tmp_path, [image, torn])
    assert ingest(tmp_path, catalogue) == 2
    (kept,) = catalogue.read(Sighting)
    assert kept.author == "A\ufffdB\ufffd 😀\u2028"
    assert kept.evidence.headers == {"x-\ufffd": "\ufffd"}


@pytest.mark.parametrize(
    "line",
    [
        '{"Rejected": {"item_id": "a\\ud800", "step": "crawl", "reason": "robots"}}',
        f'{{"Verdict": {{"image_id": "{"0" * 64}", "check": "adult", "passed": true}}}}',
        "\udcff",
    ],
    ids=["surrogate", "of an image unknown", "not UTF-8"],
)
def test_a_shard_that_cannot_be_kept_is_named(
    line: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "one.jsonl").write_text(line, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=r"one\.jsonl.* move"):
        ingest(tmp_path, catalogue)


def test_a_broken_shard_names_file_and_line_and_stays(catalogue: Catalogue, tmp_path: Path) -> None:
    shard = write_shard(tmp_path, records())
    shard.write_text(shard.read_text() + '{"Verdict": {"passed": true}}\n')
    with pytest.raises(InputError, match=rf"{shard.name}:9"):
        ingest(tmp_path, catalogue)
    assert shard.exists()
    assert catalogue.count(ImageRecord) == 0


@pytest.mark.parametrize(
    "url", ["postgres://a:hunter2@h/d", "postgresql://a:hunter2@h/d", "faces.sqlite"]
)
def test_an_address_that_cannot_be_read_says_how_postgresqls_is_written(url: str) -> None:
    with pytest.raises(SettingsError, match=r"write .*postgresql\+psycopg://USER@HOST") as said:
        Catalogue(url)
    assert "hunter2" not in str(said.value)


def test_migrations_and_tables_agree(catalogue: Catalogue, catalogue_url: str) -> None:
    with create_engine(catalogue_url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_labels_of_an_earlier_schema_are_made_anew(catalogue_url: str) -> None:
    made = next(one for one in records() if isinstance(one, Annotation))
    old = {"schema_version": "selfie-1"}
    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert(records())
        catalogue.upsert([made.model_copy(update={**old, "by": "commercial"})])
        catalogue.upsert([made.model_copy(update={**old, "by": "mia", "origin": "human"})])
    migrated_back(catalogue_url, "0004")
    with Catalogue(catalogue_url) as catalogue:
        kept = {(one.origin, one.by) for one in catalogue.read(Annotation)}
    assert kept == {("model", "research"), ("human", "mia")}


def test_labels_from_before_the_light_had_a_level_get_it_from_their_luminance(
    catalogue_url: str,
) -> None:
    made = next(one for one in records() if isinstance(one, Annotation))
    dim = Lighting(side="left", level=0.01, evenness=1, colour_cast=0)
    face = made.faces[0].model_copy(update={"lighting": dim})
    old = made.model_copy(
        update={"faces": (face,), "tags": {"lighting": "left"}, "schema_version": "selfie-2"}
    )
    person = old.model_copy(update={"origin": "human", "by": "annotator-1", "batch_id": "b1"})
    bare = old.model_copy(update={"faces": (), "tags": {}, "by": "commercial"})
    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert([*records(), old, person, bare])
    migrated_back(catalogue_url, "0006")
    with Catalogue(catalogue_url) as catalogue:
        found = {(one.origin, one.by): one for one in catalogue.read(Annotation)}
    new = {"schema_version": "selfie-3"}
    level = {"lighting": "left", "light_level": "low"}
    assert found["model", old.by] == old.model_copy(update={**new, "tags": level})
    assert found["model", "commercial"] == bare.model_copy(update=new)
    assert found["human", "annotator-1"] == person


def test_labels_from_before_jobs_were_kept_have_no_provenance(catalogue_url: str) -> None:
    provenance = Provenance(
        server="https://cvat.example.org",
        server_version="2.54.1",
        task="3",
        job="7",
        stage="acceptance",
        state="completed",
        updated_at=NOON,
    )
    made = next(one for one in records() if isinstance(one, Annotation))
    drawn = made.model_copy(
        update={
            "origin": "human",
            "by": "annotator-1",
            "batch_id": "b1",
            "provenance": provenance,
        }
    )
    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert([*records(), drawn])
        assert list(catalogue.read(Annotation)) == [drawn, made]
    migrated_back(catalogue_url, "0005")
    with Catalogue(catalogue_url) as catalogue:
        plain = drawn.model_copy(update={"provenance": None})
        assert list(catalogue.read(Annotation)) == [plain, made]
        assert catalogue.count(AnnotationJob) == 0


def test_a_row_that_cannot_be_read_is_named(catalogue: Catalogue) -> None:
    catalogue.upsert(records())
    with catalogue.writing() as raw:
        raw.exec_driver_sql("UPDATE annotations SET faces = '[{\"box\": [0, 0, 1, 2]}]'")
    with pytest.raises(InputError, match=rf"annotations \({IMAGE_ID}, .*faces\.0\.face_id: "):
        list(catalogue.read(Annotation))


def _open_together(barrier: Barrier, url: str) -> None:
    barrier.wait()
    with Catalogue(url) as catalogue:
        catalogue.upsert(records())


def test_several_processes_open_a_new_catalogue_at_once(tmp_path: Path) -> None:
    # Not forks of this process: what other tests have left in it would end with them.
    fresh = multiprocessing.get_context("forkserver")
    for number in range(3):
        url = f"sqlite:///{tmp_path}/{number}.sqlite"
        barrier = fresh.Barrier(6)
        openers = [fresh.Process(target=_open_together, args=(barrier, url)) for _ in range(6)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join()
        assert [opener.exitcode for opener in openers] == [0] * 6


def test_a_new_catalogue_waits_for_whoever_writes_it(tmp_path: Path) -> None:
    # SQLite refuses at once, whatever its patience, to change the journal beside a writer.
    path = tmp_path / "c.sqlite"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE other (x)")
    writer.execute("BEGIN IMMEDIATE")
    done = Timer(0.3, writer.execute, ("COMMIT",))
    done.start()
    with Catalogue(f"sqlite:///{path}") as catalogue:
        assert catalogue.count(ImageRecord) == 0
    done.join()
    writer.close()


def test_who_looks_changes_nothing(catalogue: Catalogue, catalogue_url: str) -> None:
    with Catalogue(catalogue_url, is_looked_at=True) as looked_at:
        with pytest.raises(UnavailableError, match=r"read-?only"):
            looked_at.upsert([Tombstone(keyed_hash=IMAGE_ID, erased_at=NOON)])
        assert looked_at.count(Tombstone) == 0
    migrated_back(catalogue_url, "0012")
    with pytest.raises(OutdatedError, match=r"earlier mirrorset \(0012.*mirrorset init"):
        Catalogue(catalogue_url, is_looked_at=True)
    assert _revision(catalogue_url) == "0012"
    migrated_back(catalogue_url, "base")
    with pytest.raises(OutdatedError, match="no tables yet"):
        Catalogue(catalogue_url, is_looked_at=True)


def test_who_looks_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutdatedError, match="no tables yet"):
        Catalogue(f"sqlite:///{tmp_path}/below/c.sqlite", is_looked_at=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_what_a_later_version_migrated_is_refused(
    catalogue: Catalogue, catalogue_url: str, is_looked_at: bool
) -> None:
    engine = create_engine(catalogue_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9001'")
    engine.dispose()
    with pytest.raises(InputError, match=r"later mirrorset \(9001.*install that version"):
        Catalogue(catalogue_url, is_looked_at)


def _revision(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    engine.dispose()
    return str(revision)


def test_an_open_catalogue_is_not_migrated_again(catalogue: Catalogue, catalogue_url: str) -> None:
    # A second opening needs no lock, so that it does not wait for whoever writes.
    with catalogue.writing(), Catalogue(catalogue_url) as again:
        assert again.count(ImageRecord) == 0


@pytest.mark.parametrize(("table", "key"), [(sightings, "source_item_id"), (rejected, "item_id")])
def test_ids_of_any_length_fit_postgresql(table: Table, key: str) -> None:
    statement = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert f"{key} TEXT NOT NULL" in statement


def _ingest_together(barrier: Barrier, url: str, spool: Path, order: int) -> None:
    """Shards of its own order, some of which others ingest too, with their rows turned round."""
    with Catalogue(url) as catalogue:
        barrier.wait()
        for number in range(6):
            made = _shard((number * (order + 1)) % 6)
            write_shard(spool, made[::-1] if order % 2 else made)
            ingest(spool, catalogue)


def _shard(number: int) -> list[Record]:
    """Forty images, half of which are the next shard's too, and what is known of them."""
    every: list[Record] = []
    for image in range(number * 20, number * 20 + 40):
        image_id = f"{image:064x}"
        every += [
            one.model_copy(
                update={
                    key: value
                    for key, value in (("image_id", image_id), ("source_item_id", str(image)))
                    if key in type(one).model_fields
                }
            )
            for one in records()
            if isinstance(one, ImageRecord | Sighting | Annotation | Verdict)
        ]
        every.append(Rejected(item_id=f"commons:{image}", step="x", reason=Reason.ROBOTS))
    return every


def test_several_processes_ingest_the_same_without_a_deadlock_or_a_duplicate(
    catalogue_url: str, tmp_path: Path
) -> None:
    with Catalogue(catalogue_url) as catalogue:
        fresh = multiprocessing.get_context("forkserver")
        barrier = fresh.Barrier(4)
        ingesting = [
            fresh.Process(
                target=_ingest_together, args=(barrier, catalogue_url, tmp_path / str(one), one)
            )
            for one in range(4)
        ]
        for one in ingesting:
            one.start()
        for one in ingesting:
            one.join()
        assert [one.exitcode for one in ingesting] == [0] * 4
        for kind in (ImageRecord, Sighting, Annotation, Verdict, Rejected):
            assert catalogue.count(kind) == 140


def test_the_newest_tables_can_be_taken_back_to_none_and_made_again(catalogue_url: str) -> None:
    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert([*records(), *records_of_no_shard()])
        images, seen = list(catalogue.read(ImageRecord)), list(catalogue.read(Sighting))
    migrated_back(catalogue_url, "0001")
    with Catalogue(catalogue_url) as catalogue:
        assert list(catalogue.read(ImageRecord)) == images
        # What later versions say of a sighting, the first does not know.
        later = {"subject_ids": (), "age_band": None, "tone": None, "shows_author": False}
        assert list(catalogue.read(Sighting)) == [one.model_copy(update=later) for one in seen]
    migrated_back(catalogue_url, "base")
    with Catalogue(catalogue_url) as catalogue:
        assert catalogue.count(ImageRecord) == 0


def test_what_was_kept_by_the_images_ids_is_kept_by_their_numbers_and_back(
    catalogue_url: str,
) -> None:
    every = [*records(), *records_of_no_shard()]
    of_images = [one for one in every if hasattr(one, "image_id")]
    # Ids in another order than numbers; a sighting's key has none.
    others = [
        one.model_copy(
            update={"image_id": digit * 64}
            | ({"source_item_id": digit} if isinstance(one, Sighting) else {})
        )
        for digit in "f0"
        for one in of_images
    ]

    def kept(catalogue: Catalogue) -> dict[type[Record], list[Record]]:
        return {kind: list(catalogue.read(kind)) for kind in TABLE_OF}

    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert([*every, *others])
        before = kept(catalogue)
    assert len(before[Verdict]) == len(before[Sighting]) == len(before[LedgerEntry]) == 3
    migrated_back(catalogue_url, "0015")
    with create_engine(catalogue_url).connect() as connection:
        found = connection.exec_driver_sql("SELECT image_id FROM sent ORDER BY image_id").scalars()
        assert list(found) == sorted(one.image_id for one in before[ImageRecord])
    with Catalogue(catalogue_url) as catalogue:
        assert kept(catalogue) == before
        catalogue.upsert([*every, *others])
        assert kept(catalogue) == before


@pytest.mark.parametrize("kind", [ImageRecord, Sighting, Annotation, Verdict, LedgerEntry])
def test_what_every_image_has_is_read_in_order_without_sorting_it(
    kind: type[Record], tmp_path: Path
) -> None:
    asked = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    with Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite") as catalogue:
        with catalogue.reading() as connection:
            engine = connection.engine
        event.listen(engine, "before_cursor_execute", note)
        assert list(catalogue.read(kind)) == []
        event.remove(engine, "before_cursor_execute", note)
        with catalogue.reading() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1]}")
            assert not [row.detail for row in plan if "TEMP B-TREE" in row.detail]


def test_indexes_that_no_query_needs_are_dropped_and_can_be_made_again(catalogue_url: str) -> None:
    def indexed(table: str) -> list[str | None]:
        with create_engine(catalogue_url).connect() as connection:
            indexes = inspect(connection).get_indexes(table)
            return [one["name"] for one in indexes if "duplicates_constraint" not in one]

    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert(records())
    dropped = ("images", "pixel_hash"), ("rejected", "reason"), ("ledger", "group_id")
    assert all(indexed(table) == [] for table, _ in dropped)
    migrated_back(catalogue_url, "0014")
    assert all(indexed(table) == [f"ix_{table}_{column}"] for table, column in dropped)


def test_what_is_kept_is_looked_up_among_the_rejected(tmp_path: Path) -> None:
    """Else each shard reads all that was ever rejected."""
    url, deleted = f"sqlite:///{tmp_path}/catalogue.sqlite", []

    def note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.startswith("DELETE FROM rejected"):
            deleted.append((statement, values))

    with Catalogue(url) as catalogue, catalogue.writing() as connection:
        event.listen(connection, "before_cursor_execute", note)
        upsert(connection, records())
        event.remove(connection, "before_cursor_execute", note)
        assert {values[0] for _, values in deleted} == {"crawl", "prelabel", "annotate"}
        for statement, values in deleted:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            assert [row.detail.partition(" ")[0] for row in plan] == ["SEARCH"]


def test_records_come_in_the_order_of_their_bytes(catalogue: Catalogue) -> None:
    seen = next(one for one in records() if isinstance(one, Sighting))
    items = ["Z", "a", "B", "ö", "z", "é", "10", "9", "_"]
    catalogue.upsert(records())
    catalogue.upsert([seen.model_copy(update={"source_item_id": one}) for one in items])
    read = [one.source_item_id for one in catalogue.read(Sighting)]
    assert read == sorted([*items, "42"])


def test_an_address_that_is_none_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="sqlite:///PATH"):
        Catalogue("nonsense")


def test_a_damaged_database_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    with Catalogue(f"sqlite:///{file}") as catalogue:
        catalogue.upsert(records())
    content = bytearray(file.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    for beside in tmp_path.glob("c.sqlite-*"):
        beside.unlink()
    file.write_bytes(content)

    def read_all() -> None:
        with Catalogue(f"sqlite:///{file}") as catalogue:
            for kind in (ImageRecord, Sighting, Annotation, Rejected):
                list(catalogue.read(kind))

    with pytest.raises(UnavailableError, match=r"c\.sqlite"):
        read_all()


def test_labels_from_before_they_named_their_batch_get_it_from_their_task_or_image(
    catalogue_url: str,
) -> None:
    made = next(one for one in records() if isinstance(one, Annotation))
    batch = next(one for one in records() if isinstance(one, Batch))

    def out(batch_id: str, task: str) -> Batch:
        update = {"batch_id": batch_id, "task": task, "image_ids": (IMAGE_ID,)}
        return batch.model_copy(update=update)

    def label(origin: str, by: str, batch_id: str, task: str = "") -> Annotation:
        provenance = Provenance(
            server="s", task=task, job="7", stage="x", state="y", updated_at=NOON
        )
        update = {"origin": origin, "by": by, "batch_id": batch_id}
        return made.model_copy(update=update | {"provenance": provenance if task else None})

    labels = [
        label("human", "mia", "a", "3").model_copy(update={"tags": {"do_not_use": "minor"}}),
        label("gold", "ann", "a"),
        label("replica", "mia", "c", "5"),
        label("replica", "ann", "b"),
    ]
    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert([*records(), out("a", "3"), out("b", "4"), out("c", "5")])
        catalogue.upsert([Honeypot(batch_id=one, image_id=IMAGE_ID) for one in "bc"])
        catalogue.upsert(labels)
        before = list(catalogue.read(Annotation))
    migrated_back(catalogue_url, "0009")
    with Catalogue(catalogue_url) as catalogue:
        assert list(catalogue.read(Annotation)) == before
        # Where people's own labels have the tag, the stop stands.
        expected = [Stop(batch_id="a", image_id=IMAGE_ID, is_standing=True)]
        assert list(catalogue.read(Stop)) == expected
        # Where no label has it, it was set in a job at work, nobody knows which.
        catalogue.upsert([one.model_copy(update={"tags": {}}) for one in labels])
        catalogue.upsert([Verdict(image_id=IMAGE_ID, check="not_stopped", passed=False)])
    migrated_back(catalogue_url, "0009")
    with Catalogue(catalogue_url) as catalogue:
        assert {one.batch_id for one in catalogue.read(Stop)} >= {"a", "b", "c"}


def test_of_two_looks_an_earlier_version_keeps_one(catalogue_url: str) -> None:
    made = next(one for one in records() if isinstance(one, Annotation))
    looks = [
        made.model_copy(update={"origin": "replica", "by": "mia", "batch_id": one}) for one in "ab"
    ]
    with Catalogue(catalogue_url) as catalogue:
        catalogue.upsert([*records(), *looks])
    migrated_back(catalogue_url, "0009")
    with Catalogue(catalogue_url) as catalogue:
        assert len([one for one in catalogue.read(Annotation) if one.origin == "replica"]) == 1


def test_times_are_the_same_whatever_zone_a_database_answers_in() -> None:
    """SQLite names none, PostgreSQL that of the session."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    kind, there = UtcDateTime(), timezone(timedelta(hours=5, minutes=30))
    for answered in (at.replace(tzinfo=None), at.astimezone(there)):
        read = kind.process_result_value(answered, postgresql.dialect())
        assert read is not None
        assert (read, read.utcoffset()) == (at, timedelta(0))


def test_what_keeps_a_catalogue_from_being_written_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalogue.sqlite"
    monkeypatch.setattr(store, "_PATIENCE_S", 0.1)
    with Catalogue(f"sqlite:///{path}") as catalogue, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            UnavailableError, match=r"locked\): another process writes it.*again\.$"
        ):
            catalogue.upsert(records())
        with pytest.raises(UnavailableError, match="another process"):
            Catalogue(f"sqlite:///{path}").upsert(records())
        other.rollback()
        catalogue.upsert(records())


def test_a_disk_that_is_full_while_tables_are_brought_up_to_date_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "catalogue.sqlite"
    url = f"sqlite:///{path}"
    with Catalogue(url) as catalogue:
        catalogue.upsert(records())
    migrated_back(url, "0015")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
    pages = path.stat().st_size // 4096
    prepare = store._prepare_sqlite
    for room in (0, 1, 2):

        def prepare_full(connection: sqlite3.Connection, told: object, room: int = room) -> None:
            prepare(connection, told)
            connection.execute(f"PRAGMA max_page_count={pages + room}")

        monkeypatch.setattr(store, "_prepare_sqlite", prepare_full)
        with pytest.raises(UnavailableError, match=r"disk is full\): make room.*three times"):
            Catalogue(url)
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        assert _revision(url) == "0015"
    assert "is of an earlier version (0015)" in caplog.text
    monkeypatch.setattr(store, "_prepare_sqlite", prepare)
    with Catalogue(url) as catalogue:
        assert list(catalogue.read(Annotation)) == [ANNOTATION]
