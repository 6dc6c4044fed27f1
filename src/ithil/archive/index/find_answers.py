"""What searches by attributes answer with: the rows that were found together with those above them.

One statement for a batch of internal ids yields the main tags, counts and files of all levels that an answer
shows, so that a list of studies costs two statements whatever its length.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.find_rows import upwards
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Row, Session, Statement
from ithil.dicom.level import Level

STUDY_COLUMNS = 7
"""Columns before those of the series: internal id of the row itself, then internal id, main tags, those of the
patient, number of series and of instances of the study, and internal id of the patient."""

SERIES_COLUMNS = 3
"""Columns of the series, after those of the study: internal id, main tags, number of instances."""


@lru_cache(maxsize=8)
def _rows(level: Level, dialect: str) -> Statement:
    study, series, instance = t.studies.c, t.series.c, t.instances.c
    columns: list[sa.ColumnElement[Any]] = [
        t.BY_LEVEL[level].c.id,
        study.id,
        study.main_tags,
        study.patient_main_tags,
        study.series_count,
        study.instance_count,
        study.patient,
    ]
    if level >= Level.SERIES:
        columns += [series.id, series.main_tags, series.instance_count]
    if level == Level.INSTANCE:
        columns += [
            instance.main_tags,
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            instance.pixel_data_offset,
            *DICOM_FILE_COLUMNS,
        ]
    return Statement(
        sa.select(*columns)
        .select_from(upwards(level, Level.STUDY))
        .where(one_of(t.BY_LEVEL[level].c.id, "keys", sa.BigInteger, dialect))
    )


def rows(session: Session, level: Level, keys: Any) -> list[Row]:
    """For each internal id in `keys` (of `keys_for`) its columns: of the study, the series, the instance."""
    return session.all(_rows(level, session.dialect), {"keys": keys})


@lru_cache(maxsize=2)
def _patients(dialect: str) -> Statement:
    c = t.patients.c
    return Statement(
        sa.select(c.id, c.study_count, c.series_count, c.instance_count).where(
            one_of(c.id, "keys", sa.BigInteger, dialect)
        )
    )


def patient_counts(session: Session, keys: Any) -> dict[int, tuple[int, int, int]]:
    """How many studies, series and instances each patient has, by internal id."""
    return {
        row[0]: (row[1], row[2], row[3]) for row in session.all(_patients(session.dialect), {"keys": keys})
    }


@lru_cache(maxsize=2)
def _first_series(dialect: str) -> Statement:
    series, other = t.series, t.series.alias("other")
    first = sa.select(sa.func.min(other.c.id)).where(other.c.study == t.studies.c.id)
    return Statement(
        sa.select(t.studies.c.id, series.c.main_tags)
        .join_from(t.studies, series, series.c.id == first.correlate_except(other).scalar_subquery())
        .where(one_of(t.studies.c.id, "keys", sa.BigInteger, dialect))
    )


def first_series(session: Session, keys: Any) -> list[Row]:
    """Internal id and the main tags of one series of each study, that which arrived first."""
    return session.all(_first_series(session.dialect), {"keys": keys})
