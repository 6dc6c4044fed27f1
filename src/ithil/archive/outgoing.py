"""Instances on their way to another application entity: which they are, in which order, of which kinds.

C-GET, C-MOVE and the jobs that send all start from here. What is retrieved can be the whole archive, so nothing
here keeps a list: instances come in batches, read from the index when they are asked for, with no transaction
open while the network takes what came before. Instances of a series come together, in the order of their
Instance Number, since that is how viewers like to show them while they arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.read import DICOM_FILE_COLUMNS, keys_for
from ithil.archive.index.statement import Row, Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.query import Query
from ithil.dicom.level import Level

BATCH = 500
"""Instances that are read from the index at once."""

Kind = tuple[str, str]
"""SOP class and transfer syntax, which decide what has to be negotiated."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An instance that is to be sent."""

    instance: str  # its public id
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    file: Attachment

    @property
    def kind(self) -> Kind:
        """What has to be negotiated for it."""
        return self.sop_class, self.transfer_syntax


_i = t.instances.c
_COLUMNS = [_i.public_id, _i.sop_class_uid, _i.sop_instance_uid, _i.transfer_syntax_uid, *DICOM_FILE_COLUMNS]
_NO_NUMBER = sa.literal_column(str(2**63 - 1), sa.BigInteger)  # after all that have one
_NUMBER = sa.func.coalesce(_i.instance_number, _NO_NUMBER)


def _both(build: Any, column: Any) -> Statement:
    """A statement about rows whose `column` is in the parameter `keys`."""
    return Statement(
        build(one_of(column, "keys", sa.Text, "sqlite")),
        postgresql=build(one_of(column, "keys", sa.Text, "postgresql")),
    )


_BY_IDS = _both(
    lambda among: sa.select(*_COLUMNS).where(among).order_by(_i.series, _NUMBER, _i.id), _i.public_id
)
_OF_SERIES = Statement(
    sa.select(*_COLUMNS, _NUMBER, _i.id)
    .join_from(t.instances, t.series, _i.series == t.series.c.id)
    .where(
        t.series.c.public_id == sa.bindparam("series"),
        sa.tuple_(_NUMBER, _i.id)
        > sa.tuple_(sa.bindparam("number", type_=sa.BigInteger), sa.bindparam("after", type_=sa.BigInteger)),
    )
    .order_by(_NUMBER, _i.id)
    .limit(BATCH)
)


def _kinds(group: Any, column: Any) -> Statement:
    return _both(
        lambda among: (
            sa.select(_i.sop_class_uid, _i.transfer_syntax_uid, sa.func.count())
            .select_from(group)
            .where(among)
            .group_by(_i.sop_class_uid, _i.transfer_syntax_uid)
        ),
        column,
    )


_KINDS_OF_SERIES = _kinds(sa.join(t.instances, t.series, _i.series == t.series.c.id), t.series.c.public_id)
_KINDS_OF_INSTANCES = _kinds(t.instances, _i.public_id)


def by_ids(archive: Archive, instances: Sequence[str]) -> dict[str, Outgoing]:
    """The instances with these public ids, without those that are unknown."""
    with archive.index.read() as session:
        rows = session.all(_BY_IDS, {"keys": keys_for(session, list(instances))})
    return {row[0]: _from_row(row) for row in rows}


def kinds(archive: Archive, queries: Sequence[Query]) -> Counter[Kind]:
    """How many instances of each kind the queries find, at whatever level they search."""
    found: Counter[Kind] = Counter()
    for query in queries:
        of_instances = query.level == Level.INSTANCE
        statement = _KINDS_OF_INSTANCES if of_instances else _KINDS_OF_SERIES
        for ids in find.ids(archive, _in_series(query)):
            with archive.index.read() as session:
                rows = session.all(statement, {"keys": keys_for(session, ids)})
            for sop_class, transfer_syntax, count in rows:
                found[sop_class, transfer_syntax] += count
    return found


def matching(archive: Archive, queries: Sequence[Query]) -> Iterator[list[Outgoing]]:
    """The instances that the queries find, in batches."""
    for query in queries:
        for ids in find.ids(archive, _in_series(query)):
            if query.level == Level.INSTANCE:
                yield list(by_ids(archive, ids).values())
                continue
            for series in ids:
                yield from of_series(archive, series)


def of_series(archive: Archive, series: str) -> Iterator[list[Outgoing]]:
    """The instances of a series by the order of their Instance Number, in batches."""
    number, after = -(2**63), -1
    while True:
        with archive.index.read() as session:
            rows = session.all(_OF_SERIES, {"series": series, "number": number, "after": after})
        if rows:
            yield [_from_row(row) for row in rows]
        if len(rows) < BATCH:
            return
        number, after = rows[-1][-2:]


def _in_series(query: Query) -> Query:
    """The series, or else the instances, in which all that a query finds lies."""
    return query if query.level >= Level.SERIES else replace(query, level=Level.SERIES)


def _from_row(row: Row) -> Outgoing:
    instance, sop_class, sop_instance, transfer_syntax, *file = row[:10]
    return Outgoing(instance, sop_class, sop_instance, transfer_syntax, Attachment(DICOM_FILE, *file))
