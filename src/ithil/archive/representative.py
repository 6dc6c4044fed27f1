"""The instance that stands for a series or a study: the one in the middle of its first series of images.

The first image of a CT is often air above the head and the last one the table, so the middle shows best what a
series is about. Series come in the order of their numbers, those that are no pictures by nature last.
"""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.archive import Archive
from ithil.archive.describe import integer
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level

MOST_SERIES = 100
"""So many series are looked into for an image."""

_LAST = frozenset(
    {
        *("AU", "DOC", "ECG", "EPS", "FID", "HD", "KO", "M3D", "OSS", "PLAN", "PR", "REG", "RESP", "RTPLAN"),
        *(
            "RTRECORD",
            "RTSTRUCT",
            "RTDOSE",
            "RTSEGANN",
            "RWV",
            "SEG",
            "SMR",
            "SR",
            "SRF",
            "STAIN",
            "TEXTUREMAP",
        ),
    }
)
"""Modalities of what refers to images rather than being one."""

_i, _e = t.instances.c, t.series.c
_SERIES_OF_STUDY = Statement(
    sa.select(_e.id, _e.modality, _e.series_number)
    .join_from(t.series, t.studies, t.studies.c.id == _e.study)
    .where(t.studies.c.public_id == sa.bindparam("public_id"))
    .order_by(_e.id)
)
_SERIES = Statement(
    sa.select(_e.id, _e.modality, _e.series_number).where(_e.public_id == sa.bindparam("public_id"))
)
_HAS_IMAGE = _i.pixel_data_offset.is_not(None)


def _count(condition: sa.ColumnElement[bool]) -> Statement:
    return Statement(sa.select(sa.func.count()).where(_i.series == sa.bindparam("series"), condition))


def _one(condition: sa.ColumnElement[bool]) -> Statement:
    return Statement(
        sa.select(_i.public_id)
        .where(_i.series == sa.bindparam("series"), condition)
        .order_by(_i.instance_number.is_(None), _i.instance_number, _i.id)
        .limit(1)
        .offset(sa.bindparam("skipped"))
    )


_IMAGES = _count(_HAS_IMAGE), _one(_HAS_IMAGE)
_ALL = _count(sa.true()), _one(sa.true())


def representative(archive: Archive, level: Level, public_id: str) -> str | None:
    """The public id of the instance that stands for a study, a series or itself; None if it is unknown."""
    if level == Level.INSTANCE:
        return public_id
    statement = _SERIES_OF_STUDY if level == Level.STUDY else _SERIES
    with archive.index.read() as session:
        found = session.all(statement, {"public_id": public_id})
        ordered = sorted(found, key=lambda row: (row[1] in _LAST, _number(row[2]), row[0]))[:MOST_SERIES]
        for count, one in (_IMAGES, _ALL):
            for series, _, _ in ordered:
                middle = _middle(session, series, count, one)
                if middle is not None:
                    return middle
    return None


def _middle(session: Session, series: int, count: Statement, one: Statement) -> str | None:
    row = session.one(count, {"series": series})
    if row is None or not row[0]:
        return None
    found = session.one(one, {"series": series, "skipped": row[0] // 2})
    return None if found is None else str(found[0])


def _number(text: str) -> tuple[bool, int]:
    """Series without a number come after those that have one."""
    number = integer(text)
    return number is None, number or 0
