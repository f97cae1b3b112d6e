"""What a PostgreSQL server alone can do to a catalogue: go away, and come back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from earlier_tables import migrated_back
from postgresql_server import fresh_database, programs_folder
from sqlalchemy import create_engine, make_url, text

from mirrorset.catalogue import Catalogue
from mirrorset.errors import UnavailableError
from mirrorset.records import ImageRecord, Reason, Rejected


@pytest.fixture
def url(postgresql: str) -> Iterator[str]:
    with fresh_database(postgresql) as address:
        yield address


def cut(url: str) -> None:
    """End all connections to the database, as a restart of its server does."""
    with create_engine(url).connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
        )


REFUSED = Rejected(item_id="commons:7", step="crawl", reason=Reason.ROBOTS)


def test_a_restart_between_two_transactions_is_not_noticed(url: str) -> None:
    with Catalogue(url) as catalogue:
        catalogue.upsert([REFUSED])
        cut(url)
        assert list(catalogue.read(Rejected)) == [REFUSED]


def test_a_restart_amid_a_transaction_is_one_sentence_and_keeps_nothing(url: str) -> None:
    with Catalogue(url) as catalogue:

        def write() -> None:
            with catalogue.writing() as connection:
                connection.execute(text("DELETE FROM rejected"))
                cut(url)
                connection.execute(text("SELECT 1"))

        catalogue.upsert([REFUSED])
        with pytest.raises(UnavailableError, match="see that its server runs") as raised:
            write()
        assert "\n" not in str(raised.value)
        assert list(catalogue.read(Rejected)) == [REFUSED]


def test_no_server_is_one_sentence_without_the_password() -> None:
    with pytest.raises(UnavailableError, match="cannot be opened") as raised:
        Catalogue("postgresql+psycopg://me:x-secret@127.0.0.1:9/faces")
    assert "x-secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_text_is_sorted_by_its_bytes(url: str) -> None:
    """Also that of tables which a later migration makes."""
    with Catalogue(url) as catalogue, catalogue.reading() as connection:
        assert catalogue.count(ImageRecord) == 0
        others = connection.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND data_type IN ('text', 'character varying') "
                "AND table_name != 'alembic_version' AND collation_name IS DISTINCT FROM 'C'"
            )
        ).all()
        assert others == []


def test_what_docs_say_restores_a_backup_of_before_an_update(url: str, tmp_path: Path) -> None:
    programs, dump, name = programs_folder(), tmp_path / "catalogue.dump", url.rpartition("/")[2]
    assert programs is not None
    docs = (Path(__file__).parents[3] / "docs/operate.md").read_text()
    (restore,) = [one for one in docs.splitlines() if one.endswith("postgres catalogue.dump")]
    plain = url.replace("+psycopg", "")

    def run(program: str, *words: str) -> None:
        server = [
            "--host",
            "127.0.0.1",
            "--port",
            str(make_url(plain).port),
            "--username",
            "mirrorset",
        ]
        subprocess.run([programs / program, *server, *words], check=True, capture_output=True)

    with Catalogue(url) as catalogue:
        catalogue.upsert([REFUSED])
    migrated_back(url, "0015")
    run("pg_dump", "--format", "custom", "--file", str(dump), name)
    with Catalogue(url) as catalogue:
        catalogue.upsert([REFUSED.model_copy(update={"item_id": "commons:8"})])
    run(*restore.replace("catalogue.dump", str(dump)).split())
    with Catalogue(url) as catalogue:
        assert list(catalogue.read(Rejected)) == [REFUSED]
