"""An erasure where the catalogue is PostgreSQL does what it does where it is SQLite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from erasure_room import LATER, copied, erased, fill, found_in, traces
from loopback import serving
from postgresql_server import serving as serving_postgresql
from sqlalchemy import Integer, Table, func, select

from flows.asked import Asked
from flows.crawl import crawl
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.tables import metadata, tombstones
from mirrorset.records import Reason
from mirrorset.workspace import Workspace, open_workspace


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_postgresql() as url:
        yield url


def rows(catalogue: Catalogue, table: Table) -> list[dict[str, Any]]:
    with catalogue.reading() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def everything(workspace: Workspace) -> dict[str, list[str]]:
    """Every row of every table; of tombstones not the time at which they were put."""
    with workspace.catalogue() as catalogue:
        return {
            table.name: sorted(
                repr(sorted((name, value) for name, value in row.items() if name != "erased_at"))
                for row in rows(catalogue, table)
            )
            for table in metadata.sorted_tables
        }


def move(workspace: Workspace, to: Catalogue) -> None:
    """Bring all rows into another database, as a dump that is restored there would."""
    with workspace.catalogue() as catalogue, to.writing() as connection:
        for table in metadata.sorted_tables:
            if held := rows(catalogue, table):
                connection.execute(table.insert(), held)
            (key, *_) = table.primary_key.columns
            if held and isinstance(key.type, Integer):
                sequence = func.pg_get_serial_sequence(table.name, key.name)
                connection.execute(select(func.setval(sequence, max(x[key.name] for x in held))))


def test_what_is_erased_is_what_is_erased_from_sqlite(
    root: Path, twice_released: Path, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_sqlite = open_workspace(root / "faces")
    other = copied(twice_released, tmp_path / "other")
    sought = traces(on_sqlite, 4)
    # The keyed hashes are to be the same.
    for home in (on_sqlite.home, other / "faces"):
        (home / ".mirrorset/tombstones.key").write_text("5" * 64)
    with Catalogue(address) as database:
        move(on_sqlite, database)
    (other / "faces/.mirrorset/catalogue.sqlite").unlink()
    asked = Asked(pages=(sought.page_url,))
    expected = erased(on_sqlite, asked)
    sqlite_rows = everything(on_sqlite)

    monkeypatch.setenv("MIRRORSET_CATALOGUE_URL", address)
    workspace = open_workspace(other / "faces")
    certificate = erased(workspace, asked)
    assert certificate.is_complete
    assert [one.model_dump() for one in certificate.withdrawn] == [
        one.model_dump() for one in expected.withdrawn
    ]
    assert {(x.place, x.count) for x in certificate.removed} == {
        (x.place, x.count) for x in expected.removed
    }
    assert everything(workspace) == sqlite_rows
    assert sqlite_rows[tombstones.name]
    assert list(found_in([other], sought)) == []
    assert not any(word.decode("latin-1") in repr(sqlite_rows) for word in sought.words)

    # A crawl that meets the picture at another address is refused by the tombstone.
    with serving() as site:
        fill(site, LATER)
        params = workspace.params_file.read_text()
        then = f"http://127.0.0.1:{(twice_released / 'port').read_text()}/"
        workspace.params_file.write_text(params.replace(then, f"{site.url}/"))
        (summary,) = crawl(workspace.home).values()
        assert summary.rejected == {Reason.ERASED: 1}
