"""What searches by attributes answer with: the rows that were found together with what is around them.

One statement for a batch of internal ids yields the main tags and counts of studies with all that an answer
collects above and below them; another, if it is about series or instances, what these are shown with. So an
answer costs two or three statements whatever its length.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_columns import IN_STUDY
from ithil.archive.index.find_conditions import with_keys
from ithil.archive.index.find_rows import upwards
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Row, Session, Statement
from ithil.dicom.level import Level

SERIES_COLUMNS = 4
"""Columns of the series, after the internal id of the row itself: internal ids of study and series, main tags of
the series, number of its instances."""


@lru_cache(maxsize=8)
def _rows(level: Level, dialect: str) -> Statement:
    key, series, instance = t.BY_LEVEL[level].c.id, t.series.c, t.instances.c
    columns: list[sa.ColumnElement[Any]] = [
        *(key, series.study, series.id, series.main_tags, series.instance_count)
    ]
    if level == Level.INSTANCE:
        columns += [
            instance.main_tags,
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            instance.pixel_data_offset,
            *DICOM_FILE_COLUMNS,
        ]
    return Statement(with_keys(sa.select(*columns), upwards(level, Level.SERIES), key, dialect))


def rows(session: Session, level: Level, keys: Any) -> list[Row]:
    """For each internal id in `keys` (of `keys_for`) its columns: of the series, the instance."""
    return session.all(_rows(level, session.dialect), {"keys": keys})


@lru_cache(maxsize=32)
def _studies(in_study: tuple[int, ...], of_patient: bool, of_one_series: bool, dialect: str) -> Statement:
    study, patient = t.studies.c, t.patients.c
    columns: list[sa.ColumnElement[Any]] = [
        *(study.id, study.main_tags, study.patient_main_tags, study.series_count, study.instance_count),
        *(_collected(tag, dialect) for tag in in_study),
    ]
    source: Any = t.studies
    if of_one_series:
        series = t.series.c
        first = sa.select(series.main_tags).where(series.study == study.id).order_by(series.id)
        columns.append(first.limit(sa.literal_column("1")).correlate(t.studies).scalar_subquery())
    if of_patient:
        columns += [patient.study_count, patient.series_count, patient.instance_count]
        source = sa.join(source, t.patients, study.patient == patient.id)
    return Statement(with_keys(sa.select(*columns), source, study.id, dialect))


def _collected(tag: int, dialect: str) -> sa.ColumnElement[Any]:
    """The different values of a column of the series or instances of a study, as the text of a JSON array."""
    column, of_instances = IN_STUDY[tag]
    source: Any = t.series
    if of_instances:
        source = sa.join(source, t.instances, t.instances.c.series == t.series.c.id)
    different = sa.distinct((t.instances if of_instances else t.series).c[column])
    array: Any = sa.func.json_group_array(different)
    if dialect != "sqlite":
        array = sa.cast(sa.func.json_agg(different), sa.Text)
    found = sa.select(array).select_from(source).where(t.series.c.study == t.studies.c.id)
    return found.correlate(t.studies).scalar_subquery()


def studies(
    session: Session, keys: Any, in_study: tuple[int, ...], of_one_series: bool, of_patient: bool
) -> list[Row]:
    """For each internal id in `keys` it, the main tags, those of the patient, the number of series and of instances;
    and behind them what is asked for.

    That is for each tag in `in_study`, of `IN_STUDY`, its values as a JSON array; then the main tags of the series
    that arrived first; then how many studies, series and instances the patient has. What there is none of may be
    None.
    """
    statement = _studies(in_study, of_patient, of_one_series, session.dialect)
    return session.all(statement, {"keys": keys})
