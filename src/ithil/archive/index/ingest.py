"""Adding instances to the index: the statements of the hottest transaction there is.

A `Batch` adds instances in the caller's transaction. An instance of a known series costs a few statements (find
the series, insert the instance and its change); the counters of the parents are added up over the batch and
written once each, from series to patient. Deletes take their locks in the same order, so that the two wait for
each other instead of dying in a deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import many_rows, query_tags
from ithil.archive.index import tables as t
from ithil.archive.index.changelog import Entry, record
from ithil.archive.index.database import Retry
from ithil.archive.index.remove import queue_files, remove_instance
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level


@dataclass(slots=True)
class NewInstance:
    """All that a transaction needs to add one instance and, where they are missing, its parents.

    `public_ids` is indexed by `Level`. `instance` and what `parent` gives for a level are the column values
    to insert, without the internal id of the row above. Times ending in `_at` are seconds since 1970.
    """

    public_ids: tuple[str, str, str, str]
    instance: dict[str, Any]
    parent: Callable[[Level], dict[str, Any]]
    expects: bool  # whether the series announces how many instances it will have
    overwrite: str  # Never, Always or IfChanged
    date: str  # YYYYMMDDTHHMMSS, UTC
    arrived_at: float
    stable_at: float
    query_values: tuple[query_tags.Value, ...] = ()  # what it has in declared query tags
    query_version: str | None = None  # of the declarations that were gone by
    is_late: bool = False  # it was held up, so that what is stored may have come after it, and then stays


class DeclarationsChanged(Exception):
    """Raised by a transaction with instances that went by declarations of query tags which are not the present
    ones; nothing of it is done.
    """


@dataclass(slots=True)
class _Growth:
    """What a batch adds to one parent."""

    instances: int = 0
    series: int = 0
    studies: int = 0
    disk_size: int = 0
    uncompressed_size: int = 0
    date: str = ""
    stable_at: float = 0.0
    arrived_at: float = 0.0


_Ids = tuple[int, int, int]  # the internal ids of an instance's patient, study and series


_RECEPTION_DATE = "2"  # the number of that metadata

REPAIR = "Repair"
"""The overwrite mode for an instance whose stored file is lost: the new file takes its place."""


def file_of(session: Session, public_id: str) -> str | None:
    """The UUID of the file of an instance, or None if the index does not have the instance."""
    row = session.one(_STORED, {"public_id": public_id})
    return None if row is None else str(row[1])


class Batch:
    """The instances that one transaction adds, and what that does to their parents."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, _Ids] = {}
        self._growth: tuple[dict[int, _Growth], ...] = ({}, {}, {})
        self._entries: list[Entry] = []
        self._created: list[Entry] = []  # parents made for the instance at hand
        self._expecting: dict[int, tuple[str, int]] = {}  # the public id, and a place in the log
        self._date = ""
        self._query_versions: set[str | None] = set()

    def add(self, new: NewInstance) -> bool:
        """Add an instance; False if the archive has it already and the overwrite mode keeps what is there."""
        ids = self._parents(new)
        replaces = None
        row = {**new.instance, "series": ids[Level.SERIES]}
        added = self._session.one(_INSERT[Level.INSTANCE], row)
        if added is None:
            stored = self._session.one(_STORED, {"public_id": new.public_ids[Level.INSTANCE]})
            if stored is None:
                raise Retry  # deleted by another process in this moment
            instance, uuid, md5, metadata = stored
            if uuid == row["file_uuid"]:
                return True  # an earlier try was committed although its answer got lost
            if new.overwrite == REPAIR and md5 and md5 == row["file_md5"]:
                self._repair(instance, new, ids)
                return True
            if new.overwrite == "Never" or (new.overwrite == "IfChanged" and md5 and md5 == row["file_md5"]):
                return False
            if new.is_late and orjson.loads(metadata).get(_RECEPTION_DATE, "") > new.date:
                return False
            replaces = self._replace(instance, new, ids)
            added = self._session.one(_INSERT[Level.INSTANCE], row)
            if added is None:
                raise Retry
        self._added(new, ids, added[0], replaces)
        return True

    def add_all(self, news: Sequence[NewInstance]) -> list[bool]:
        """The same for several instances, with few statements where the database has few writers."""
        first = None
        public_ids = {new.public_ids[Level.INSTANCE] for new in news}
        if self._session.dialect == "sqlite" and 1 < len(news) == len(public_ids):
            first = many_rows.free_ids(self._session, list(public_ids))
        if first is None:
            return [self.add(new) for new in news]
        parents, rows = [], []
        for instance, new in enumerate(news, first):
            parents.append(self._parents(new))
            rows.append((instance, parents[-1][Level.SERIES], *map(new.instance.__getitem__, _OF_INSTANCE)))
            # The log names new parents behind the instance that they came with.
            self._added(new, parents[-1], instance, None)
        many_rows.insert(self._session, "instances", ("id", "series", *_OF_INSTANCE), rows)
        return [True] * len(news)

    def _added(self, new: NewInstance, ids: _Ids, instance: int, replaces: bool | None) -> None:
        """Remember what the instance with that internal id adds to its parents and to the change log."""
        if new.query_values:
            query_tags.put(self._session, new.query_values, (*ids, instance), new.arrived_at)
        self._query_versions.add(new.query_version)
        self._entries.append(
            Entry("NewInstance", Level.INSTANCE, instance, new.public_ids[Level.INSTANCE], replaces=replaces)
        )
        self._entries.extend(self._created)
        self._created = []
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
            self._grow(level, ids[level], new, 1)
        if new.expects:
            place = len(self._entries)
            self._expecting[ids[Level.SERIES]] = (new.public_ids[Level.SERIES], place)
        self._date = new.date

    def finish(self) -> None:
        """Write the counters of the parents and the change log; nothing may follow in the transaction."""
        for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
            for resource, growth in sorted(self._growth[level].items()):
                values = _growth_values(resource, growth)
                row = self._session.one(_GROW[level], values) or self._session.one(_UNSETTLE[level], values)
                if row is None:
                    raise Retry  # the parent was deleted by another process
                if level == Level.PATIENT and self._query_versions - {row[0]}:
                    raise DeclarationsChanged
        # From the last one on, since each moves those behind it.
        expecting = sorted(self._expecting.items(), key=lambda each: each[1][1], reverse=True)
        for resource, (public_id, place) in expecting:
            if self._session.one(_COMPLETE, {"series": resource}) is not None:
                entry = Entry("CompletedSeries", Level.SERIES, resource, public_id)
                self._entries.insert(place, entry)  # behind the instance that completes it
        record(self._session, self._entries, self._date)

    def _parents(self, new: NewInstance) -> _Ids:
        """The internal ids of the patient, study and series, which are made where they are missing."""
        public_id = new.public_ids[Level.SERIES]
        ids = self._known.get(public_id)
        if ids is None:
            row = self._session.one(_FIND_SERIES, {"public_id": public_id})
            ids = (row[0], row[1], row[2]) if row is not None else self._create_parents(new)
            self._known[public_id] = ids
        return ids

    def _create_parents(self, new: NewInstance) -> _Ids:
        self._created = []
        patient = self._create(Level.PATIENT, new, {})
        study = self._create(Level.STUDY, new, {"patient": patient})
        series = self._create(Level.SERIES, new, {"study": study})
        kinds = [entry.level for entry in self._created]
        if Level.STUDY in kinds:
            self._grow(Level.PATIENT, patient, new, 0).studies += 1
        if Level.SERIES in kinds:
            self._grow(Level.PATIENT, patient, new, 0).series += 1
            self._grow(Level.STUDY, study, new, 0).series += 1
        self._created.reverse()  # the log names the series first
        return patient, study, series

    def _create(self, level: Level, new: NewInstance, parent: dict[str, int]) -> int:
        public_id = new.public_ids[level]
        found = self._session.one(_FIND[level], {"public_id": public_id})
        if found is None:
            made = self._session.one(
                _INSERT[level], {**new.parent(level), **parent, "stable_at": new.stable_at}
            )
            if made is not None:
                self._created.append(Entry(f"New{level.singular}", level, made[0], public_id))
                return int(made[0])
            # Another process has made it since; its commit is what the insert waited for.
            found = self._session.one(_FIND[level], {"public_id": public_id})
            if found is None:
                raise Retry
        return int(found[0])

    def _repair(self, instance: int, new: NewInstance, ids: _Ids) -> None:
        """Give a stored instance its lost file again, with the same content; all else about it stays."""
        row = self._session.one(_SIZES, {"id": instance})
        if row is None:
            raise Retry
        values = {name: new.instance[name] for name in _FILE}
        self._session.run(_REPAIR, {**values, "id": instance})
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
            growth = self._grow(level, ids[level], new, 0)
            growth.disk_size += new.instance["file_stored_size"] - row[0]
            growth.uncompressed_size += new.instance["file_size"] - row[1]
        self._date = new.date

    def _replace(self, instance: int, new: NewInstance, ids: _Ids) -> bool | None:
        """Take away the stored instance for which `new` comes; its parents stay.

        Gives whether readers of the log may have seen the one that goes, or one before it.
        """
        files = remove_instance(self._session, instance, new.date)
        # It may have come with this very batch; the log must not name what is not there.
        of_batch = [entry for entry in self._entries if _is_of(entry, instance)]
        self._entries = [entry for entry in self._entries if not _is_of(entry, instance)]
        queue_files(self._session, files, new.arrived_at)
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
            growth = self._grow(level, ids[level], new, 0)
            growth.instances -= 1
            growth.disk_size -= sum(file.compressed_size for file in files)
            growth.uncompressed_size -= sum(file.uncompressed_size for file in files)
        return of_batch[0].replaces if of_batch else True

    def _grow(self, level: Level, resource: int, new: NewInstance, instances: int) -> _Growth:
        growth = self._growth[level].get(resource)
        if growth is None:
            growth = self._growth[level][resource] = _Growth()
        growth.date = new.date
        growth.stable_at = new.stable_at
        growth.arrived_at = new.arrived_at
        if instances:
            growth.instances += instances
            growth.disk_size += new.instance["file_stored_size"]
            growth.uncompressed_size += new.instance["file_size"]
        return growth


def _is_of(entry: Entry, instance: int) -> bool:
    return entry.level == Level.INSTANCE and entry.resource == instance


def _growth_values(resource: int, growth: _Growth) -> dict[str, Any]:
    return {
        "resource": resource,
        "instances": growth.instances,
        "series": growth.series,
        "studies": growth.studies,
        "disk": growth.disk_size,
        "uncompressed": growth.uncompressed_size,
        "date": growth.date,
        "stable": growth.stable_at,
        "arrived": growth.arrived_at,
    }


def _insert(table: sa.Table, names: tuple[str, ...]) -> Statement:
    """INSERT that gives the new row's id, or no row if the public id is taken."""
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
    return Statement(
        sqlite_insert(table)
        .values(values)
        .on_conflict_do_nothing(index_elements=["public_id"])
        .returning(table.c.id),
        postgresql=postgresql_insert(table)
        .values(values)
        .on_conflict_do_nothing(index_elements=["public_id"])
        .returning(table.c.id),
    )


COLUMNS = (
    ("public_id", "patient_id", "patient_id_norm", "patient_name_norm", "birth_date", "sex", "main_tags")
    + ("metadata", "arrived_at", "stable_at"),
    ("public_id", "patient", "study_instance_uid", "study_date", "study_time", "accession_number_norm")
    + ("study_id", "description_norm", "referring_physician_norm", "institution_norm", "patient_id_norm")
    + ("patient_name_norm", "birth_date", "sex", "patient_main_tags", "main_tags", "metadata")
    + ("arrived_at", "stable_at"),
    ("public_id", "study", "series_instance_uid", "modality", "series_number", "description_norm")
    + ("body_part", "series_date", "station_norm", "expected_instances", "main_tags", "metadata")
    + ("arrived_at", "stable_at"),
    ("public_id", "series", "sop_instance_uid", "sop_class_uid", "transfer_syntax_uid", "instance_number")
    + ("index_in_series", "frames", "pixel_data_offset", "frame_index", "main_tags", "metadata")
    + ("file_uuid", "file_compression", "file_stored_size", "file_stored_md5", "file_size", "file_md5"),
)
"""The columns that ingest fills in each resource table, by Level."""

_INSERT = tuple(_insert(table, names) for table, names in zip(t.BY_LEVEL, COLUMNS, strict=True))
_FIND = tuple(
    Statement(sa.select(table.c.id).where(table.c.public_id == sa.bindparam("public_id")))
    for table in t.BY_LEVEL
)
_FIND_SERIES = Statement(
    sa.select(t.studies.c.patient, t.series.c.study, t.series.c.id)
    .join_from(t.series, t.studies, t.series.c.study == t.studies.c.id)
    .where(t.series.c.public_id == sa.bindparam("public_id"))
)
_STORED = Statement(
    sa.select(
        t.instances.c.id, t.instances.c.file_uuid, t.instances.c.file_md5, t.instances.c.metadata
    ).where(t.instances.c.public_id == sa.bindparam("public_id"))
)
_OF_INSTANCE = tuple(name for name in COLUMNS[Level.INSTANCE] if name != "series")
_FILE = tuple(name for name in COLUMNS[Level.INSTANCE] if name.startswith("file_"))
_SIZES = Statement(
    sa.select(t.instances.c.file_stored_size, t.instances.c.file_size).where(
        t.instances.c.id == sa.bindparam("id")
    )
)
_REPAIR = Statement(
    sa.update(t.instances)
    .where(t.instances.c.id == sa.bindparam("id"))
    .values({name: sa.bindparam(name) for name in _FILE})
)


def _grow(level: Level, *, settled: bool) -> Statement:
    """Count what came; a parent that was stable gets a new deadline, one that is not keeps what it has."""
    table = t.BY_LEVEL[level]
    values: dict[str, Any] = {
        "instance_count": table.c.instance_count + sa.bindparam("instances"),
        "disk_size": table.c.disk_size + sa.bindparam("disk"),
        "uncompressed_size": table.c.uncompressed_size + sa.bindparam("uncompressed"),
        "last_update": sa.bindparam("date"),
        "arrived_at": sa.bindparam("arrived"),
    }
    if settled:
        values["stable_at"] = sa.bindparam("stable")
    if level <= Level.STUDY:
        values["series_count"] = table.c.series_count + sa.bindparam("series")
    if level == Level.PATIENT:
        values["study_count"] = table.c.study_count + sa.bindparam("studies")
    # The version comes with the last of these statements, for a statement of its own would cost a journey.
    told = query_tags.VERSION if level == Level.PATIENT else table.c.id
    query = sa.update(table).where(table.c.id == sa.bindparam("resource")).values(values).returning(told)
    return Statement(query if settled else query.where(table.c.stable_at.is_not(None)))


_PARENTS = (Level.PATIENT, Level.STUDY, Level.SERIES)
_GROW = tuple(_grow(level, settled=False) for level in _PARENTS)
_UNSETTLE = tuple(_grow(level, settled=True) for level in _PARENTS)

# A series is complete when it has as many instances as its first one announced, each index from 1 once.
_COMPLETE = Statement(
    sa.select(t.series.c.id)
    .join_from(t.series, t.instances, t.instances.c.series == t.series.c.id)
    .where(
        t.series.c.id == sa.bindparam("series"), t.series.c.instance_count == t.series.c.expected_instances
    )
    .group_by(t.series.c.id, t.series.c.expected_instances)
    .having(
        sa.func.count(sa.distinct(t.instances.c.index_in_series)) == t.series.c.expected_instances,
        sa.func.min(t.instances.c.index_in_series) == 1,
        sa.func.max(t.instances.c.index_in_series) == t.series.c.expected_instances,
    )
)
