"""Making and checking the tables: migrations against `tables.py`, foreign and newer databases, two at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.unit.archive.places import OnPostgresql, OnSqlite, Place, image, put
from tests.unit.archive.recount import rows

from ithil.archive.errors import IndexUnavailable
from ithil.archive.index import schema, tables
from ithil.archive.index.sqlite import SqliteDatabase


def test_the_migrations_make_what_tables_says(place: Place) -> None:
    database = place.database()
    schema.prepare(database)
    with schema.engine(database).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": place.dialect == "postgresql"}
        )
        assert compare_metadata(context, tables.schema) == []
    database.close()


def test_the_migrations_make_the_very_tables_in_sqlite(sqlite: Place) -> None:
    """Alembic does not compare everything: defaults, AUTOINCREMENT, WITHOUT ROWID, partial indexes."""
    database = sqlite.database()
    schema.prepare(database)
    migrated = schema.engine(database)
    created = sa.create_engine("sqlite://")
    tables.schema.create_all(created)
    assert described(migrated) == described(created)
    created.dispose()
    database.close()


def described(engine: sa.Engine) -> dict[str, object]:
    """Tables with their columns and options, indexes with their columns and conditions."""
    with engine.connect() as connection:
        found: dict[str, object] = {}
        for kind, name, sql in connection.execute(
            sa.text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        ):
            if name.startswith(("alembic", "sqlite")):
                continue
            if kind == "table":
                columns = connection.execute(sa.text(f"PRAGMA table_info({name})")).all()
                options = [word for word in ("AUTOINCREMENT", "WITHOUT ROWID") if word in sql.upper()]
                found[name] = (sorted(tuple(column)[1:] for column in columns), options)
            else:
                found[name] = " ".join(sql.split())
        return found


def test_the_newest_step_is_the_one_that_is_named() -> None:
    script = ScriptDirectory(str(Path(schema.__file__).with_name("migrations")))
    assert script.get_heads() == [schema.HEAD]


def test_a_second_start_changes_nothing(place: Place) -> None:
    put(place.open(), image())
    again = place.open()
    assert len(rows(again, "instances")) == 1
    assert schema.current_version(again.index) == schema.HEAD


def test_a_database_without_tables_has_no_version(place: Place) -> None:
    database = place.database()
    assert schema.current_version(database) is None
    database.close()


def test_a_newer_schema_is_refused(place: Place) -> None:
    database = place.database()
    schema.prepare(database)
    database.write(lambda session: session.cursor.execute("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(IndexUnavailable, match="newer"):
        schema.prepare(database)
    database.close()
    with pytest.raises(IndexUnavailable, match="newer"):
        place.open()


@pytest.mark.parametrize("table", ["Resources", "GlobalProperties", "MainDicomTags"])
def test_an_index_of_orthanc_is_refused(place: Place, table: str) -> None:
    database = place.database()
    database.write(lambda session: session.cursor.execute(f"CREATE TABLE {table} (x INTEGER)"))
    with pytest.raises(IndexUnavailable, match="Orthanc"):
        schema.prepare(database)
    assert schema.current_version(database) is None
    database.close()


OPEN = """
import sys
import threading
from pathlib import Path
from ithil.archive.archive import Archive
from ithil.settings import load
overrides = {"StorageDirectory": sys.argv[1]}
if len(sys.argv) > 2:
    overrides["PostgreSQL"] = {"EnableIndex": True, "ConnectionUri": sys.argv[2], "Schema": sys.argv[3]}
settings = load([], {}, overrides)
print("ready", flush=True)
sys.stdin.readline()
Archive.open(settings).close()
"""


def test_processes_that_start_at_once_make_the_tables_once(place: Place) -> None:
    arguments = [str(place.folder)]
    if isinstance(place, OnPostgresql):
        arguments += [place.url, place.schema]
    else:
        assert isinstance(place, OnSqlite)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    archive = place.open()
    put(archive, image())
    assert len(rows(archive, "instances")) == 1


def test_a_process_waits_for_another_that_writes_to_the_new_database(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "index", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE first (number)")
    other.execute("BEGIN IMMEDIATE")
    letting_go = threading.Timer(0.2, other.execute, ["COMMIT"])
    letting_go.start()
    connection = SqliteDatabase(tmp_path / "index").connect()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    letting_go.join()
    connection.close()
    other.close()
