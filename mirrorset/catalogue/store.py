"""Keeping and reading records in SQLite (the default) or PostgreSQL, through SQLAlchemy."""

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError
from sqlalchemy import (
    Connection,
    Table,
    create_engine,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
)

from mirrorset.catalogue.rows import key_of, numbers_of, records_of, upsert
from mirrorset.catalogue.tables import (
    TABLE_OF,
    UtcDateTime,
    annotation_jobs,
    annotations,
    images,
    rejected,
    verdicts,
)
from mirrorset.errors import InputError, SettingsError, UnavailableError, first_fault
from mirrorset.records import Annotation, Batch, Record

R = TypeVar("R", bound=Record)

_RECORDS_AT_ONCE = 1000
# How long SQLite waits for another process's transaction.
_PATIENCE_S = 30
# SQLite's own limit, 4 MB, is what one shard of records writes in a large catalogue: all pages
# would then be written twice for each shard. 64 MB.
_LOG_PAGES = 16_000
# How long who only looks waits for a PostgreSQL server.
_LOOK_S = 5
_IS_NOT_MADE = "has no tables yet: `mirrorset init` in its workspace makes them."
_MIGRATIONS = Path(__file__).parent / "migrations"
# Held until the transaction ends. PostgreSQL's number is our own, with no meaning beyond that.
_LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(77105116)"}
_REMEDIES = {
    "sqlite": "see that its disk is there and has room, else restore it from a backup, or move it "
    "away and crawl again",
    "postgresql": "see that its server runs and takes this user, then run the same again",
}

# By SQLite's own codes, which say more than that something is wrong with the file.
_REMEDIES_OF = {
    sqlite3.SQLITE_BUSY: "another process writes it, or brings it to this version: let that end, "
    "then run the same again",
    sqlite3.SQLITE_FULL: "make room on its disk, then run the same again; to be brought to another "
    "version it needs three times its size",
}
_log = logging.getLogger(__name__)


class OutdatedError(InputError):
    """A catalogue that is only looked at has no tables yet, or those of an earlier version."""


class Catalogue:
    """One database of records. Opening it makes or migrates its tables."""

    def __init__(self, url: str, is_looked_at: bool = False) -> None:
        """Open `url` ("sqlite:///path", "postgresql+psycopg://…").

        is_looked_at: nothing is made, migrated or written. Raises SettingsError for an address
        SQLAlchemy cannot read, UnavailableError where the database does not answer, InputError
        where a later version has migrated it, and OutdatedError where it is looked at and an
        earlier one has not.
        """
        try:
            address = make_url(url)
            is_sqlite = address.get_backend_name() == "sqlite"
            # A connection that a restart of the server has cut is made anew when it is needed next.
            self._engine = create_engine(
                address,
                pool_pre_ping=True,
                connect_args={"connect_timeout": _LOOK_S} if is_looked_at and not is_sqlite else {},
                execution_options={"postgresql_readonly": True} if is_looked_at else {},
            )
        except (ArgumentError, ValueError):
            raise SettingsError(
                "catalogue_url is no database address (which is not shown, as it may hold a "
                "password): write sqlite:///PATH or "
                "postgresql+psycopg://USER@HOST/DATABASE."
            ) from None
        except ImportError as error:
            raise SettingsError(
                f"catalogue_url needs a driver that is not installed ({error}): for PostgreSQL, "
                "install requirements-postgresql.lock and write "
                "postgresql+psycopg://USER@HOST/DATABASE, not postgres:// or postgresql://."
            ) from None
        self._name = address.render_as_string()
        self._remedy = _REMEDIES[self._engine.dialect.name]
        if is_sqlite and is_looked_at:
            # Connecting would make the file.
            if not Path(address.database or "").is_file():
                raise OutdatedError(f"The catalogue {self._name} {_IS_NOT_MADE}")
            event.listen(self._engine, "connect", _forbid_writing)
        elif is_sqlite:
            if address.database:
                Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            event.listen(self._engine, "connect", _prepare_sqlite)
        try:
            with self._engine.begin() as connection:
                revision = _revision(connection)
                self._refuse_other_versions(revision, is_looked_at)
                if revision != _newest_revision():
                    if revision is not None:
                        _log.warning(
                            "The catalogue %s is of an earlier version (%s): its tables are "
                            "brought to %s, which takes minutes for a million images. Nobody else "
                            "can use it meanwhile.",
                            *(self._name, revision, _newest_revision()),
                        )
                    _migrate(connection)
        except DatabaseError as error:
            # Closed, SQLite removes its log, which else keeps a disk full.
            self._engine.dispose()
            raise self._unavailable("opened", _first(error)) from None

    def _refuse_other_versions(self, revision: str | None, is_looked_at: bool) -> None:
        newest = _newest_revision()
        if revision is not None and revision > newest:
            raise InputError(
                f"The catalogue {self._name} was migrated by a later mirrorset ({revision}; this "
                f"one knows {newest}): install that version."
            )
        if is_looked_at and revision is None:
            raise OutdatedError(f"The catalogue {self._name} {_IS_NOT_MADE}")
        if is_looked_at and revision != newest:
            raise OutdatedError(
                f"The catalogue {self._name} is of an earlier mirrorset ({revision}; this one has "
                f"{newest}): `mirrorset init` in its workspace brings it up to date."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine.dispose()

    def upsert(self, records: Sequence[Record]) -> None:
        """Keep the records in one transaction, replacing what has the same key; of a sighting,
        `shows_author` stays true.

        An item that was rejected before and now has a sighting, an annotation or a person's
        annotation is no longer rejected by the step that makes these; nor is a batch that is kept.

        Raises InputError where the database refuses a record, UnavailableError where it cannot
        be written.
        """
        with self.writing() as connection:
            upsert(connection, records)

    def upsert_all(self, records: Iterable[Record]) -> None:
        """As `upsert`, all in one transaction, for more records than memory should hold.

        For what takes back no rejection that comes with it.
        """
        unkept = iter(records)
        with self.writing() as connection:
            while batch := list(islice(unkept, _RECORDS_AT_ONCE)):
                upsert(connection, batch)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that no other process writes beside; its errors are those of `upsert`."""
        try:
            with self._engine.begin() as connection:
                # Else SQLite refuses a transaction that reads first when somebody wrote meanwhile,
                # and on PostgreSQL two that touch the same rows wait for each other for ever.
                connection.exec_driver_sql(_LOCKS[connection.dialect.name])
                yield connection
        except (IntegrityError, DataError, UnicodeEncodeError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise InputError(f"The catalogue {self._name} refuses a record: {cause}.") from error
        except DBAPIError as error:
            raise self._unavailable("written", error) from error

    def read(self, kind: type[R], **equal: str) -> Iterator[R]:
        """All records of a kind, sorted by image where they have one, then by their keys.

        equal: fields and the values that they must have.

        Raises InputError where one is no such record, as another version may have kept it.
        """
        table = TABLE_OF[kind]
        query = records_of(table)
        fields = query.selected_columns
        first = ["image_id"] if "image_id" in fields else []
        order = [fields[name] for name in dict.fromkeys([*first, *key_of(table)])]
        is_meant = [fields[name] == value for name, value in equal.items()]
        with self.reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(
                query.where(*is_meant).order_by(*order)
            )
            for row in rows.mappings():
                yield self._record(kind, table, dict(row))

    def _record(self, kind: type[R], table: Table, row: dict[str, Any]) -> R:
        try:
            return kind.model_validate(row)
        except ValidationError as error:
            field, fault = first_fault(error)
            key = ", ".join(str(row[name]) for name in key_of(table))
            raise InputError(
                f"The catalogue {self._name} holds a row of {table.name} ({key}) that this version "
                f"cannot read: {field}: {fault}: read it with the version that kept it, or "
                "delete the row."
            ) from None

    def image_ids(self) -> Iterator[str]:
        """Ids of all images, in order."""
        query = select(images.c.image_id).order_by(images.c.image_id)
        with self.reading() as connection:
            yield from connection.execution_options(yield_per=1000).execute(query).scalars()

    def count(self, kind: type[Record]) -> int:
        """How many records of a kind are kept."""
        with self.reading() as connection:
            return int(
                connection.execute(select(func.count()).select_from(TABLE_OF[kind])).scalar_one()
            )

    def rejected_by_reason(self, step: str | None = None) -> Counter[str]:
        """How many items each reason kept out, in one step or in all."""
        query = select(rejected.c.reason, func.count()).group_by(rejected.c.reason)
        if step is not None:
            query = query.where(rejected.c.step == step)
        with self.reading() as connection:
            return Counter(dict(row._tuple() for row in connection.execute(query)))

    def failed(self, check: str) -> set[str]:
        """Ids of the images that one check has failed."""
        query = (
            select(images.c.image_id)
            .join(verdicts)
            .where(verdicts.c.check == check, ~verdicts.c.passed)
        )
        with self.reading() as connection:
            return set(connection.execute(query).scalars())

    def failing_since(self, check: str) -> dict[str, datetime]:
        """When the images that one check has failed were last labelled, by id."""
        failing = select(verdicts.c.image_number).where(
            verdicts.c.check == check, ~verdicts.c.passed
        )
        query = (
            select(images.c.image_id, func.max(annotations.c.made_at, type_=UtcDateTime()))
            .join(annotations)
            .where(images.c.image_number.in_(failing))
            .group_by(images.c.image_id)
        )
        with self.reading() as connection:
            return dict(connection.execute(query).tuples().all())

    def renew(self, batch: Batch, records: Sequence[Record]) -> None:
        """Keep a batch whose task was made anew, and `records` with it, among them all its jobs:
        those of before are forgotten. All or nothing, as `upsert`.
        """
        jobs = annotation_jobs
        with self.writing() as connection:
            connection.execute(jobs.delete().where(jobs.c.batch_id == batch.batch_id))
            upsert(connection, [batch, *records])

    def forget(self, labels: Sequence[Annotation]) -> None:
        """Forget these annotations."""
        with self.writing() as connection:
            numbers = numbers_of(connection, {one.image_id for one in labels})
            for one in labels:
                connection.execute(
                    annotations.delete().filter_by(
                        image_number=numbers.get(one.image_id),
                        **one.model_dump(include={"origin", "by", "batch_id"}),
                    )
                )

    def compact(self) -> None:
        """Let nothing stay in the database's files of what was deleted or replaced.

        PostgreSQL only frees the room for other rows.
        """
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as all_of:
                all_of.exec_driver_sql("VACUUM")
                if all_of.dialect.name == "sqlite":
                    all_of.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except DatabaseError as error:
            raise UnavailableError(
                f"The catalogue {self._name} cannot be compacted ({_said(error)}): end what else "
                "works with it and run the same again."
            ) from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read from; a database that is damaged or gone is UnavailableError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise self._unavailable("read", error) from None

    def _unavailable(self, done: str, error: DBAPIError) -> UnavailableError:
        """What kept the catalogue from being opened, read or written, and what to do."""
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        remedy = _REMEDIES_OF.get(code, self._remedy)
        return UnavailableError(
            f"The catalogue {self._name} cannot be {done} ({_said(error)}): {remedy}."
        )


def _first(error: DBAPIError) -> DBAPIError:
    """Of errors while a catalogue is opened, what went wrong at first: Alembic tidies up, and that
    fails where the database has rolled back by itself."""
    chain: list[BaseException] = [error]
    while chain[-1].__context__ is not None:
        chain.append(chain[-1].__context__)
    return [one for one in chain if isinstance(one, DBAPIError)][-1]


def _said(error: DBAPIError) -> str:
    """What the database says, in one line."""
    return " ".join(str(error.orig).split()).rstrip(".")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={_PATIENCE_S * 1000}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
    # A change of the journal does not heed busy_timeout where another process writes: it fails.
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # The lower byte: SQLite says more of the same above it.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _forbid_writing(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={_PATIENCE_S * 1000}")
    connection.execute("PRAGMA query_only=ON")


def _migrate(connection: Connection) -> None:
    """Bring the tables to the newest version; of several processes, one does it at a time."""
    # Alembic takes a third of a second to import, and is seldom needed.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    connection.exec_driver_sql(_LOCKS[connection.dialect.name])
    # Reads the version again: whoever held the lock may have done it all.
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    """The revision that Alembic noted in the database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _newest_revision() -> str:
    """Revisions are numbered by the names of their files."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("0*.py"))
