"""The rows behind the documents of series, and what tells whether a document is still true.

A document is as old as the files that it was made from: its version is computed from their UUIDs, and a file
never changes under its UUID. Documents go with their series, by the foreign key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.gzip_pieces import Piece
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import DICOM_FILE, Attachment

PAGE = 500  # instances a statement

_st, _se, _i, _d = t.studies.c, t.series.c, t.instances.c, t.series_documents.c


class SeriesRow(NamedTuple):
    """A series: its internal and its public id, and the UIDs that links to it are made of."""

    id: int
    public_id: str
    study_uid: str
    series_uid: str


class InstanceRow(NamedTuple):
    """What is needed of an instance to write its metadata."""

    id: int
    sop_instance_uid: str
    pixel_data_offset: int | None
    file: Attachment


class DocumentRow(NamedTuple):
    """One piece of a document."""

    version: str
    root: str
    piece: Piece


def _of_parent(column: sa.ColumnElement[str]) -> Statement:
    return Statement(
        sa.select(_se.id, _se.public_id, _st.study_instance_uid, _se.series_instance_uid)
        .join_from(t.series, t.studies, _se.study == _st.id)
        .where(column == sa.bindparam("public_id"))
        .order_by(_se.id)
    )


_SERIES = _of_parent(_se.public_id)
_SERIES_OF_STUDY = _of_parent(_st.public_id)
_UUIDS = Statement(sa.select(_i.file_uuid).where(_i.series == sa.bindparam("series")).order_by(_i.id))
_INSTANCES = Statement(
    sa.select(_i.id, _i.sop_instance_uid, _i.pixel_data_offset, *DICOM_FILE_COLUMNS)
    .where(_i.series == sa.bindparam("series"), _i.id > sa.bindparam("after"))
    .order_by(_i.id)
    .limit(PAGE)
)
_IS_THERE = Statement(
    sa.select(_i.id).where(_i.id == sa.bindparam("id"), _i.file_uuid == sa.bindparam("uuid"))
)
_READ = Statement(
    sa.select(_d.version, _d.root, _d.content, _d.checksum, _d.size)
    .where(_d.series == sa.bindparam("series"), _d.version == sa.bindparam("version"))
    .order_by(_d.piece)
)
_EXISTS = Statement(
    sa.select(_d.piece)
    .where(_d.series == sa.bindparam("series"), _d.version == sa.bindparam("version"))
    .limit(1)
)
_NEWEST_ROOT = Statement(sa.select(_d.root).order_by(_d.built_at.desc()).limit(1))
_DROP = Statement(sa.delete(t.series_documents).where(_d.series == sa.bindparam("series")))
_ADD = Statement(
    sa.insert(t.series_documents).values({column.name: sa.bindparam(column.name) for column in _d})
)


def series(session: Session, public_id: str) -> SeriesRow | None:
    """The series with that public id, or None."""
    row = session.one(_SERIES, {"public_id": public_id})
    return None if row is None else SeriesRow(*row)


def series_of_study(session: Session, public_id: str) -> list[SeriesRow]:
    """The series of a study in order of arrival; [] if it is unknown."""
    return [SeriesRow(*row) for row in session.all(_SERIES_OF_STUDY, {"public_id": public_id})]


def file_uuids(session: Session, series_key: int) -> list[str]:
    """The UUIDs of the files of a series, in the order of `instances`."""
    return [uuid for (uuid,) in session.all(_UUIDS, {"series": series_key})]


def instances(session: Session, series_key: int, after: int) -> list[InstanceRow]:
    """The instances of a series in order of arrival, `PAGE` at most, behind that with the internal id `after`."""
    rows = session.all(_INSTANCES, {"series": series_key, "after": after})
    return [InstanceRow(row[0], row[1], row[2], Attachment(DICOM_FILE, *row[3:])) for row in rows]


def has_file(session: Session, instance: int, uuid: str) -> bool:
    """Whether an instance is still there, with that file."""
    return session.one(_IS_THERE, {"id": instance, "uuid": uuid}) is not None


def read(session: Session, series_key: int, version: str) -> list[DocumentRow]:
    """The pieces of the document of a series, if it is of that version; else []."""
    rows = session.all(_READ, {"series": series_key, "version": version})
    return [DocumentRow(row[0], row[1], Piece(bytes(row[2]), row[3], row[4])) for row in rows]


def exists(session: Session, series_key: int, version: str) -> bool:
    """Whether there is a document of that version."""
    return session.one(_EXISTS, {"series": series_key, "version": version}) is not None


def newest_root(session: Session) -> str | None:
    """With what the links of the newest document begin."""
    row = session.one(_NEWEST_ROOT)
    return None if row is None else str(row[0])


def put(
    session: Session, series_key: int, version: str, root: str, pieces: Sequence[Piece], now: float
) -> None:
    """Keep a document in the place of what was there. The series must be locked."""
    session.run(_DROP, {"series": series_key})
    session.run_many(_ADD, list(_rows(series_key, version, root, pieces, now)))


def _rows(
    series_key: int, version: str, root: str, pieces: Sequence[Piece], now: float
) -> Iterator[dict[str, object]]:
    for number, piece in enumerate(pieces):
        yield {
            "series": series_key,
            "piece": number,
            "version": version,
            "root": root,
            "built_at": now,
            "checksum": piece.checksum,
            "size": piece.size,
            "content": piece.deflated,
        }
