"""An archive of the test's own, on SQLite and on PostgreSQL: every test that asks for `places` runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.archive.places import OnPostgresql, OnSqlite, Place

from ithil.archive.archive import Archive


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where an archive is kept: it can be opened several times, as several processes do."""
    if request.param == "sqlite":
        made: Place = OnSqlite(tmp_path)
    else:
        made = OnPostgresql(tmp_path, request.getfixturevalue("postgresql_server").url)
    with made:
        yield made


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Place]:
    """For what only SQLite's files can show, or what no database changes."""
    with OnSqlite(tmp_path) as made:
        yield made


@pytest.fixture
def on_postgresql(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OnPostgresql]:
    """For what only a database with several writers can show."""
    with OnPostgresql(tmp_path, request.getfixturevalue("postgresql_server").url) as made:
        yield made


@pytest.fixture
def archive(place: Place) -> Archive:
    """An archive with the default settings."""
    return place.open()
