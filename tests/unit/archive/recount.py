"""What must hold at any time: the counters of the index are what a recount says, each row has its file."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa
from tests.unit.archive.places import files_of

from ithil.archive import resources, sweeps
from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement


def _everything(table: sa.Table) -> Statement:
    return Statement(sa.select(table))


_ALL = {table.name: _everything(table) for table in t.schema.sorted_tables}


def rows(archive: Archive, table: str) -> list[dict[str, Any]]:
    """All rows of a table of the index."""
    names = [column.name for column in t.schema.tables[table].c]
    with archive.index.read() as session:
        return [dict(zip(names, row, strict=True)) for row in session.all(_ALL[table])]


def assert_counters_are_right(archive: Archive) -> None:
    """Compare every counter of every parent, and the statistics of the archive, with a recount."""
    patients, studies, series, instances = (
        {row["id"]: row for row in rows(archive, name)}
        for name in ("patients", "studies", "series", "instances")
    )
    sizes = {key: row["file_stored_size"] for key, row in instances.items()}
    plain = {key: row["file_size"] for key, row in instances.items()}
    wanted: dict[str, dict[object, Counter[str]]] = {
        "patients": {key: Counter() for key in patients},
        "studies": {key: Counter() for key in studies},
        "series": {key: Counter() for key in series},
    }
    for row in studies.values():
        wanted["patients"][row["patient"]]["study_count"] += 1
    for row in series.values():
        wanted["studies"][row["study"]]["series_count"] += 1
        wanted["patients"][studies[row["study"]]["patient"]]["series_count"] += 1
    for key, row in instances.items():
        above = series[row["series"]]
        study = studies[above["study"]]
        for count in (
            wanted["series"][above["id"]],
            wanted["studies"][study["id"]],
            wanted["patients"][study["patient"]],
        ):
            count["instance_count"] += 1
            count["disk_size"] += sizes[key]
            count["uncompressed_size"] += plain[key]
    attached = rows(archive, "attachments")
    for row in attached:
        at, key = row["level"], row["resource"]
        if at == 3:
            at, key = 2, instances[key]["series"]
        while at >= 0:
            name = ("patients", "studies", "series")[at]
            wanted[name][key]["disk_size"] += row["compressed_size"]
            wanted[name][key]["uncompressed_size"] += row["uncompressed_size"]
            if at:
                key = (studies, series)[at - 1][key][("patient", "study")[at - 1]]
            at -= 1
    for name, table in (("patients", patients), ("studies", studies), ("series", series)):
        for key, row in table.items():
            counted = wanted[name][key]
            found = {column: row[column] for column in row if column.endswith(("_count", "_size"))}
            assert found == {column: counted[column] for column in found}, name
            assert counted["instance_count"] > 0, f"one of the {name} is empty"
    total = resources.statistics(archive)
    assert total is not None
    assert (total.patients, total.studies, total.series, total.instances) == (
        len(patients),
        len(studies),
        len(series),
        len(instances),
    )
    assert (total.disk_size, total.uncompressed_size) == (
        sum(sizes.values()) + sum(row["compressed_size"] for row in attached),
        sum(plain.values()) + sum(row["uncompressed_size"] for row in attached),
    )


def sweep_files(archive: Archive) -> None:
    """Remove the files of all that was deleted, as the sweeper does a second later."""
    while sweeps.remove_files(archive, "test", delay=-1.0):
        pass


def assert_files_are_those_of_the_index(archive: Archive) -> None:
    """After a sweep, the storage has the files that rows name, whole, and no other."""
    sweep_files(archive)
    named = {row["file_uuid"]: row["file_stored_size"] for row in rows(archive, "instances")}
    named |= {row["uuid"]: row["compressed_size"] for row in rows(archive, "attachments")}
    assert {uuid: size for uuid, size, _ in archive.storage.all_files()} == named
    assert files_of(archive) == set(named)
    assert not rows(archive, "deleted_files")


def assert_nothing_hangs_loose(archive: Archive) -> None:
    """Metadata, labels and log entries belong to rows that exist."""
    ids = {
        level: {row["id"] for row in rows(archive, name)}
        for level, name in enumerate(("patients", "studies", "series", "instances"))
    }
    for table in ("attachments", "metadata", "labels", "changes"):
        for row in rows(archive, table):
            assert row["resource"] is None or row["resource"] in ids[row["level"]]


def assert_sound(archive: Archive) -> None:
    """All of the above."""
    assert_counters_are_right(archive)
    assert_files_are_those_of_the_index(archive)
    assert_nothing_hangs_loose(archive)
