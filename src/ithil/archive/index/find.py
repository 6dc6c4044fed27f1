"""Searches in SQL: from a `Query` to a statement, its parameters, and what is left to be checked in Python.

The statement yields the internal ids of candidates, a window at a time. It is exact wherever columns can tell;
otherwise it lets too many through, never too few, and the `Check`s of the plan decide by the values themselves,
which lie in JSON columns of the same rows. The cost of a search then follows what it finds, not what is stored.

Statements are made once for each shape of a query (which tags, which kinds of matching) and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_columns import IN_STUDY, INSTANCE_AVAILABILITY, Form, Place, place_of
from ithil.archive.index.find_compare import Certainty, compare
from ithil.archive.index.find_conditions import (
    Above,
    Below,
    Compare,
    Condition,
    Either,
    HasMetadata,
    InStudy,
    Labelled,
    Never,
    conjunction,
)
from ithil.archive.index.find_order import OrderKey, order_keys
from ithil.archive.index.read import resource_select
from ithil.archive.index.statement import Row, Session, Statement
from ithil.archive.matching import Accepts, accepts
from ithil.archive.query import (
    BadQuery,
    Constraint,
    LabelsConstraint,
    MetadataConstraint,
    Moment,
    Query,
)
from ithil.dicom.level import Level

_LAST_UPDATE = 7  # the number of the metadata that is a column

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
    order: tuple[OrderKey, ...] = ()
    driven: bool = False  # an index finds the rows, so that going through all of them in order is no gain

    @property
    def direct(self) -> bool:
        """Whether the rows can be read as they are found, without looking for their internal ids first."""
        return self.exact and not self.order and not self.driven

    @property
    def exact(self) -> bool:
        """Whether the statement alone decides."""
        return not (self.checks or self.checks_below or self.metadata_checks or self.file_checks)

    def window(self, session: Session, after: int, offset: int, limit: int) -> list[int]:
        """Internal ids of candidates behind `after`, in order; `after` is for queries without an order."""
        shape = (self.level, self.dialect, tuple(self.conditions), self.order, self.driven, after > 0)
        values = {**self.values, "window": limit, "offset": offset}
        if after:
            values["after"] = after
        return [row[0] for row in session.all(_window(*shape), parameters(values, self.dialect))]

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
) -> Statement:
    table = t.BY_LEVEL[level]
    key: sa.ColumnElement[Any] = table.c.id
    if driven:
        # Not the column itself, so that the database does not go through the whole table to save a sort.
        key = table.c.id + sa.literal_column("0")
    query = sa.select(table.c.id).where(*conjunction(table, conditions, dialect))
    if resumed:
        query = query.where(key > sa.bindparam("after", type_=sa.BigInteger))
    for each in order:
        query = query.order_by(each.sql(table, dialect))
    query = query.order_by(table.c.id.desc() if order and order[-1].descending else key)
    return Statement(query.limit(sa.bindparam("window")).offset(sa.bindparam("offset")))


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


def plan(query: Query, dialect: str, main_tags: Mapping[Level, Sequence[int]]) -> Plan:
    """The plan of a query. Raises BadQuery for an order that the index cannot give."""
    made = Plan(query.level, dialect)
    by_level: dict[Level, list[Condition]] = {level: [] for level in Level}
    for number, constraint in enumerate(query.constraints):
        _add_constraint(made, by_level, f"p{number}", constraint, main_tags, open_files=query.open_files)
    for number, moment in enumerate(query.moments):
        _add_moment(made, by_level, f"t{number}", moment, main_tags)
    for number, about in enumerate(query.metadata):
        _add_metadata(made, by_level[query.level], f"m{number}", about)
    _add_labels(made, by_level[query.level], query)
    for number, (level, public_id) in enumerate(query.parents):
        by_level[level].append(Compare("public_id", "=", f"parent{number}"))
        made.values[f"parent{number}"] = public_id
        made.driven = True
    _join_levels(made, by_level)
    made.order = order_keys(query.order, query.level, main_tags)
    return made


def _join_levels(made: Plan, by_level: Mapping[Level, list[Condition]]) -> None:
    """Make conditions on the levels above and below conditions on the rows of the searched one."""
    above: tuple[Condition, ...] = ()
    for level in list(Level)[: made.level]:
        above = (*(_lifted(level, above)), *by_level[level])
    below: tuple[Condition, ...] = ()
    for level in reversed(list(Level)[made.level + 1 :]):
        below = (*by_level[level], *((Below(level, below),) if below else ()))
    made.conditions += [*_lifted(made.level, above), *by_level[made.level]]
    if below:
        made.conditions.append(Below(made.level, below))
        made.conditions_below = below


def _lifted(level: Level, above: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return (Above(level, above),) if above else ()


# -- tags ----------------------------------------------------------------------------------------------------


def _add_constraint(
    made: Plan,
    by_level: Mapping[Level, list[Condition]],
    name: str,
    constraint: Constraint,
    main_tags: Mapping[Level, Sequence[int]],
    *,
    open_files: bool,
) -> None:
    tag, match, case_sensitive = constraint.tag, constraint.match, constraint.case_sensitive
    accept = accepts(match, case_sensitive=case_sensitive)
    if tag == INSTANCE_AVAILABILITY:
        if not accept("ONLINE"):
            by_level[made.level].append(Never())
        return
    if tag in IN_STUDY:
        column, of_instances = IN_STUDY[tag]
        place = Place(Level.STUDY, column, Form.CODE, json="")
        found = compare(place, "", match, name, case_sensitive=case_sensitive, dialect=made.dialect)
        by_level[Level.STUDY] += [InStudy(condition, of_instances) for condition in found.conditions]
        made.values |= found.values
        return
    known = place_of(tag, made.level, main_tags)
    if known is None:
        if open_files:
            made.file_checks.append((tag, accept))
        else:
            by_level[made.level].append(Never())
        return
    key = f"{tag:08x}"
    found = compare(known, key, match, name, case_sensitive=case_sensitive, dialect=made.dialect)
    by_level[known.level] += found.conditions
    made.values |= found.values
    if found.certainty is not Certainty.ALWAYS:
        check = Check(known.level, known.json, key, accept, found.certainty is Certainty.UNLESS_LOST)
        (made.checks if known.level <= made.level else made.checks_below).append(check)
    if known.indexed and known.level <= made.level:
        made.driven = True


def _add_moment(
    made: Plan,
    by_level: Mapping[Level, list[Condition]],
    name: str,
    moment: Moment,
    main_tags: Mapping[Level, Sequence[int]],
) -> None:
    """The index finds the days; the time counts on the first and the last of them alone."""
    place, of_time = (
        place_of(moment.date, made.level, main_tags),
        place_of(moment.time, made.level, main_tags),
    )
    if place is None or of_time is None or place.level != of_time.level or not place.json:
        raise BadQuery("Date and time of a moment must be main tags of one level")
    found = compare(
        place, f"{moment.date:08x}", moment.dates, name, case_sensitive=True, dialect=made.dialect
    )
    by_level[place.level] += found.conditions
    made.values |= found.values
    dates, times = moment.dates, moment.times
    check = MomentCheck(
        place.level,
        place.json,
        f"{moment.date:08x}",
        f"{moment.time:08x}",
        None if dates.lower is None else dates.lower + (times.lower or ""),
        None if dates.upper is None else dates.upper + (times.upper or ""),
    )
    (made.checks if place.level <= made.level else made.checks_below).append(check)
    if place.indexed and place.level <= made.level:
        made.driven = True


# -- metadata and labels -------------------------------------------------------------------------------------


def _add_metadata(made: Plan, conditions: list[Condition], name: str, about: MetadataConstraint) -> None:
    accept = accepts(about.match, case_sensitive=about.case_sensitive)
    if about.number == _LAST_UPDATE:
        if made.level == Level.INSTANCE:
            conditions.append(Never())
            return
        place = Place(made.level, "last_update", Form.RAW, json="")
        found = compare(place, "", about.match, name, case_sensitive=True, dialect=made.dialect)
        conditions += found.conditions
        made.values |= found.values
        return
    place = Place(made.level, None, json="metadata")
    found = compare(
        place, str(about.number), about.match, name, case_sensitive=about.case_sensitive, dialect=made.dialect
    )
    conditions.append(Either(HasMetadata(made.level, about.number), found.conditions[0]))
    made.values |= found.values
    made.metadata_checks.append((about.number, accept))


def _add_labels(made: Plan, conditions: list[Condition], query: Query) -> None:
    labels = list(dict.fromkeys(query.labels))
    if labels:
        conditions.append(Labelled(made.level, query.labels_constraint.value))
        made.values["labels"] = labels
        if query.labels_constraint is LabelsConstraint.ALL:
            made.values["label_count"] = len(labels)
    elif query.labelled and query.labels_constraint is LabelsConstraint.NONE:
        conditions.append(Labelled(made.level, "None", bare=True))


# -- rows to check -------------------------------------------------------------------------------------------


def parameters(values: Values, dialect: str) -> Values:
    """Parameters as the driver takes them: a list is JSON for SQLite."""
    if dialect != "sqlite":
        return values
    return {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value
        for name, value in values.items()
    }
