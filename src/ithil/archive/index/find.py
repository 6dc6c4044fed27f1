"""Searches in SQL: from a `Query` to a statement, its parameters, and what is left to be checked in Python.

The statement yields the internal ids of candidates, a window at a time. It is exact wherever columns can tell;
otherwise it lets too many through, never too few, and the `Check`s of the plan decide by the values themselves,
which lie in JSON columns of the same rows. The cost of a search then follows what it finds, not what is stored.

Statements are made once for each shape of a query (which tags, which kinds of matching) and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import (
    Compare,
    Condition,
    Starts,
    conjunction,
    has_lost,
)
from ithil.archive.index.find_order import OrderKey
from ithil.archive.index.read import resource_select
from ithil.archive.index.statement import Row, Session, Statement
from ithil.archive.matching import Accepts
from ithil.archive.sequence_match import HoldsIn
from ithil.dicom.level import Level

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """A question that only the value itself answers: `key` of the JSON in `column` of the row at `level`.

    With `trusted` the SQL was right unless the JSON has one of the characters that normalising loses.
    """

    level: Level
    column: str
    key: str
    accept: Accepts
    trusted: bool = False

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether the value is there and matches."""
        value = tags.get(self.key)
        return value is not None and self.accept(value)


@dataclass(frozen=True, slots=True)
class MomentCheck:
    """Whether the date and the time under two keys of a JSON column are within a range of moments.

    A time that ends early, as `12`, stands for all that begins with it; a missing one for the begin of the day.
    """

    level: Level
    column: str
    date: str
    time: str
    lower: str | None
    upper: str | None
    trusted: bool = False

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether both are there, or the date alone, and within the range."""
        date = tags.get(self.date)
        if not date:
            return False
        moment = date.strip() + tags.get(self.time, "").strip()
        if self.lower is not None and moment < self.lower:
            return False
        return self.upper is None or moment <= self.upper or moment.startswith(self.upper)


@dataclass(frozen=True, slots=True)
class Probe:
    """A quick look for the few rows that can match, where the alternative is to meet all rows in some order.

    The column `key` of the rows at `level` that satisfy `conditions` has the internal ids; the less it costs, the
    smaller is `rank`.
    """

    level: Level
    key: str
    conditions: tuple[Condition, ...]
    rank: int


@dataclass(slots=True)
class Plan:
    """How to answer a query on one database."""

    level: Level
    dialect: str
    conditions: list[Condition] = field(default_factory=list)
    values: Values = field(default_factory=dict)
    checks: list[Check | MomentCheck] = field(default_factory=list)  # at the searched level and above
    checks_below: list[Check | MomentCheck] = field(default_factory=list)
    conditions_below: tuple[Condition, ...] = ()
    metadata_checks: list[tuple[int, Accepts]] = field(default_factory=list)
    file_checks: list[tuple[int, Accepts]] = field(default_factory=list)
    sequence_checks: list[HoldsIn] = field(default_factory=list)  # of the headers of files
    order: tuple[OrderKey, ...] = ()
    probe: Probe | None = None
    driven: bool = False  # an index finds the rows, so that going through all of them in order is no gain
    selective: bool = False  # and leads straight to those few that can match

    @property
    def direct(self) -> bool:
        """Whether the rows can be read as they are found, without looking for their internal ids first."""
        return self.exact and not self.order and not self.driven

    @property
    def exact(self) -> bool:
        """Whether the statement alone decides."""
        return not (self.checks or self.checks_below or self.metadata_checks or self.opens_files)

    @property
    def opens_files(self) -> bool:
        """Whether the file of one instance of each candidate is looked into."""
        return bool(self.file_checks or self.sequence_checks)

    @property
    def doubts(self) -> tuple[str, ...]:
        """The JSON columns whose text tells whether a candidate has to be looked at again; without any, all have to
        be."""
        checks = self.checks
        if self.checks_below or self.metadata_checks or self.opens_files:
            return ()
        if not all(each.trusted and each.level == self.level for each in checks):
            return ()
        return tuple(dict.fromkeys(each.column for each in checks))

    def window(
        self, session: Session, after: int, offset: int, limit: int, doubtful: set[int] | None = None
    ) -> list[int]:
        """Internal ids of candidates behind `after`, in order; `after` is for queries without an order.

        With `doubtful`, those that have to be looked at again because of `doubts` are added to it: all of them where
        the database would ask that of more rows than there are in the window.
        """
        doubts = () if doubtful is None or not self.selective else self.doubts
        shape = (self.level, self.dialect, tuple(self.conditions), self.order, self.driven, after > 0, doubts)
        values = {**self.values, "window": limit, "offset": offset}
        if after:
            values["after"] = after
        found = session.all(_window(*shape), parameters(values, self.dialect))
        if doubtful is not None:
            doubtful.update(row[0] for row in found if not doubts or row[1])
        return [row[0] for row in found]

    def few(self, session: Session, most: int) -> list[int] | None:
        """Internal ids of the rows that satisfy `probe`; None if there are more than `most`."""
        assert self.probe is not None
        values = parameters({**self.values, "window": most + 1}, self.dialect)
        found = session.all(_probe(self.dialect, self.probe), values)
        return [row[0] for row in found] if len(found) <= most else None

    def narrow(self, keys: list[int]) -> None:
        """Look among the rows with these internal ids only."""
        self.conditions.insert(0, Compare("id", "in", "narrowed"))
        self.values["narrowed"] = keys
        self.driven = self.selective = True

    def walk(self) -> None:
        """Meet the rows in the order of the answer, for which SQLite has to be kept from the index of the probe."""
        if self.probe is not None and self.dialect == "sqlite":
            probed = self.probe.conditions
            self.conditions = [
                replace(each, passing=True) if isinstance(each, Compare) and each in probed else each
                for each in self.conditions
                if not (isinstance(each, Starts) and each in probed)
            ]

    def rows(self, session: Session, after: int, offset: int, limit: int, *, whole: bool) -> list[Row]:
        """The same for queries without an order: rows of `resource_select`, or of internal and public id."""
        shape = (self.level, self.dialect, tuple(self.conditions), after > 0, whole)
        values = {**self.values, "window": limit, "offset": offset}
        if after:
            values["after"] = after
        return session.all(_rows(*shape), parameters(values, self.dialect))

    def count(self, session: Session) -> int:
        """How many rows satisfy the statement."""
        statement = _count(self.level, self.dialect, tuple(self.conditions))
        row = session.one(statement, parameters(self.values, self.dialect))
        return int(row[0]) if row else 0


@lru_cache(maxsize=256)
def _window(
    level: Level,
    dialect: str,
    conditions: tuple[Condition, ...],
    order: tuple[OrderKey, ...],
    driven: bool,
    resumed: bool,
    doubts: tuple[str, ...],
) -> Statement:
    table = t.BY_LEVEL[level]
    key: sa.ColumnElement[Any] = table.c.id
    if driven:
        # Not the column itself, so that the database does not go through the whole table to save a sort.
        key = table.c.id + sa.literal_column("0")
    query = sa.select(table.c.id).where(*conjunction(table, conditions, dialect))
    if doubts:
        # Seen from a row of its own, so that candidates can still be found by an index that holds all else.
        own = table.alias("own")
        lost = sa.select(sa.or_(*(has_lost(own.c[column]) for column in doubts))).where(
            own.c.id == table.c.id
        )
        query = query.add_columns(lost.correlate(table).scalar_subquery())
    if resumed:
        query = query.where(key > sa.bindparam("after", type_=sa.BigInteger))
    for each in order:
        query = query.order_by(each.sql(table, dialect))
    query = query.order_by(table.c.id.desc() if order and order[-1].descending else key)
    return Statement(query.limit(sa.bindparam("window")).offset(sa.bindparam("offset")))


@lru_cache(maxsize=64)
def _probe(dialect: str, probe: Probe) -> Statement:
    table = t.BY_LEVEL[probe.level]
    query = sa.select(table.c[probe.key]).where(*conjunction(table, probe.conditions, dialect))
    return Statement((query.distinct() if probe.key != "id" else query).limit(sa.bindparam("window")))


@lru_cache(maxsize=256)
def _rows(
    level: Level, dialect: str, conditions: tuple[Condition, ...], resumed: bool, whole: bool
) -> Statement:
    table = t.BY_LEVEL[level]
    query = resource_select(level) if whole else sa.select(table.c.id, table.c.public_id)
    query = query.where(*conjunction(table, conditions, dialect))
    if resumed:
        query = query.where(table.c.id > sa.bindparam("after", type_=sa.BigInteger))
    query = query.order_by(table.c.id)
    return Statement(query.limit(sa.bindparam("window")).offset(sa.bindparam("offset")))


@lru_cache(maxsize=256)
def _count(level: Level, dialect: str, conditions: tuple[Condition, ...]) -> Statement:
    table = t.BY_LEVEL[level]
    return Statement(
        sa.select(sa.func.count()).select_from(table).where(*conjunction(table, conditions, dialect))
    )


def parameters(values: Values, dialect: str) -> Values:
    """Parameters as the driver takes them: a list is JSON for SQLite."""
    if dialect != "sqlite":
        return values
    return {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value
        for name, value in values.items()
    }
