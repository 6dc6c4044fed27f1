"""The resources above a batch of resources, and what is counted or collected around them.

For tags that the rows themselves do not hold: main tags of the levels above, `NumberOf...` and `...InStudy`
(PS3.4 C.6.1.1, C.6.2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.find_rows import upwards
from ithil.archive.index.read import keys_for, tags_from_json
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level

_COUNTS = ("study_count", "series_count", "instance_count")
_WIDTH = 6  # columns of one member


@dataclass(frozen=True, slots=True)
class Member:
    """A patient, study or series: its internal id, main tags and counts (studies, series, instances).

    A study has the tags of its patient too, as its own files have them: patients without an identifier are one
    patient to the index, and the name of the first of them must not stand for all.
    """

    key: int
    main_tags: dict[int, str]
    counts: tuple[int, int, int]


@lru_cache(maxsize=8)
def _families(level: Level, dialect: str) -> Statement:
    table = t.BY_LEVEL[level]
    columns: list[sa.ColumnElement[Any]] = [table.c.public_id]
    for number in range(min(level, Level.SERIES) + 1):
        c = t.BY_LEVEL[number].c
        columns += [c.id, c.main_tags]
        columns += [c[name] if name in c else sa.literal_column("0") for name in _COUNTS]
        columns.append(c.patient_main_tags if number == Level.STUDY else sa.literal_column("'{}'"))
    return Statement(
        sa.select(*columns)
        .select_from(upwards(level, Level.PATIENT))
        .where(one_of(table.c.public_id, "keys", sa.Text, dialect))
    )


def families(session: Session, level: Level, public_ids: Sequence[str]) -> dict[str, list[Member]]:
    """For each resource its patient, study and series, as far as they are not below it."""
    found: dict[str, list[Member]] = {}
    parsed: dict[tuple[int, int], Member] = {}  # relatives are shared
    rows = session.all(_families(level, session.dialect), {"keys": keys_for(session, public_ids)})
    for public_id, *columns in rows:
        members = []
        for number in range(len(columns) // _WIDTH):
            key, main_tags, *counts, of_patient = columns[_WIDTH * number : _WIDTH * (number + 1)]
            member = parsed.get((number, key))
            if member is None:
                tags = {**tags_from_json(of_patient), **tags_from_json(main_tags)}
                member = Member(key, tags, (counts[0], counts[1], counts[2]))
                parsed[number, key] = member
            members.append(member)
        found[public_id] = members
    return found


@lru_cache(maxsize=4)
def _in_studies(column: str, dialect: str) -> Statement:
    study = t.series.c.study
    among = one_of(study, "keys", sa.BigInteger, dialect)
    if column in t.series.c:
        return Statement(sa.select(study, t.series.c[column]).where(among).distinct())
    return Statement(
        sa.select(study, t.instances.c[column])
        .join_from(t.series, t.instances, t.instances.c.series == t.series.c.id)
        .where(among)
        .distinct()
    )


def in_studies(session: Session, column: str, studies: Sequence[int]) -> dict[int, list[str]]:
    """The different values of a column of series or instances in each study, sorted, without the empty one."""
    found: dict[int, list[str]] = {}
    rows = session.all(_in_studies(column, session.dialect), {"keys": keys_for(session, studies)})
    for study, value in rows:
        if value:
            found.setdefault(study, []).append(value)
    return {study: sorted(values) for study, values in found.items()}
