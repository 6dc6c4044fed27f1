"""The conditions of a search as SQL.

A condition is a small value that tells its SQL and nothing of what is asked: values go beside it, as parameters.
So searches of the same shape share one statement, and no text of a user ever stands in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ithil.archive.index import tables as t
from ithil.dicom.level import Level

Sql = sa.ColumnElement[bool]
Table = sa.FromClause


class Condition(Protocol):
    """Something that a row of a table must satisfy. Equal conditions have equal SQL."""

    def sql(self, table: Table, dialect: str) -> Sql:
        """The condition on the rows of `table`, which may be an alias."""
        ...


def one_of(column: sa.ColumnElement[Any], name: str, kind: Any, dialect: str) -> Sql:
    """`column` is in the list that the parameter `name` holds: as JSON for SQLite, as an array for PostgreSQL."""
    if dialect == "sqlite":
        each = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value")
        return column.in_(sa.select(each.c.value))
    # As an operator, since SQLAlchemy turns an equation round if it likes the right side better on the left.
    return column.op("=")(sa.func.any(sa.bindparam(name, type_=postgresql.ARRAY(kind))))


def with_keys(
    query: sa.Select[Any], source: Any, column: sa.ColumnElement[Any], dialect: str
) -> sa.Select[Any]:
    """`query` from those rows of `source` whose `column`, an internal id, is in the list that the parameter `keys`
    holds. No id may be in the list twice.

    SQLite goes through the list as it is; for `one_of` it would be sorted first, which takes as long as the rows.
    """
    if dialect != "sqlite":
        return query.select_from(source).where(one_of(column, "keys", sa.BigInteger, dialect))
    each = sa.func.json_each(sa.bindparam("keys", type_=sa.Text)).table_valued("value")
    return query.select_from(sa.join(each, source, column == each.c.value))


def some(source: sa.FromClause, *where: Sql) -> Sql:
    """There is a row of `source`, seen from the rows of all tables that are named outside."""
    return sa.exists(sa.literal_column("1")).select_from(source).where(*where).correlate_except(source)


def contains(column: sa.ColumnElement[Any], text: str) -> Sql:
    """The text, a constant of ours, stands somewhere in the column."""
    return column.like(sa.literal(f"%{text}%"))


LOST = ("%", "_")
"""Characters of which normalising makes blanks."""


def has_lost(column: sa.ColumnElement[Any]) -> Sql:
    """A text has one of the characters that normalising loses."""
    return sa.or_(*(column.like(sa.literal(f"%\\{one}%"), escape="\\") for one in LOST))


@dataclass(frozen=True, slots=True)
class Compare:
    """A column with the parameter `name`: `=`, `>=`, `<=`, `in`, `has` for a text that stands somewhere in it (SQLite
    only, which takes longer for a pattern), or `glob` with a pattern of `glob_pattern`.

    With `upper` the value counts in upper case (code strings, which are ASCII). With `passing` an index of the
    column is left aside.
    """

    column: str
    operator: str
    name: str
    upper: bool = False
    passing: bool = False

    def sql(self, table: Table, dialect: str) -> Sql:
        column: sa.ColumnElement[Any] = table.c[self.column]
        kind = column.type
        if self.upper:
            column = sa.func.upper(column)
        if self.passing:
            column = column.op("||")(sa.literal_column("''"))
        if self.operator == "in":
            return one_of(column, self.name, type(kind), dialect)
        value = sa.bindparam(self.name, type_=kind)
        if self.operator == "has":
            return sa.func.instr(column, value) > sa.literal_column("0")
        if self.operator == "glob":
            return column.op("GLOB")(value) if dialect == "sqlite" else column.like(value, escape="\\")
        return {"=": column.__eq__, ">=": column.__ge__, "<=": column.__le__}[self.operator](value)


@dataclass(frozen=True, slots=True)
class Starts:
    """A column between the parameters `name`_from and `name`_to: lets SQLite find a prefix by an index."""

    column: str
    name: str

    def sql(self, table: Table, dialect: str) -> Sql:
        return table.c[self.column].between(
            sa.bindparam(f"{self.name}_from", type_=sa.Text), sa.bindparam(f"{self.name}_to", type_=sa.Text)
        )


@dataclass(frozen=True, slots=True)
class HasKey:
    """A JSON column has the key, whatever its value. Exact: a quote within a value has a backslash before it."""

    column: str
    key: str

    def sql(self, table: Table, dialect: str) -> Sql:
        return contains(table.c[self.column], f'"{self.key}":')


@dataclass(frozen=True, slots=True)
class JsonLike:
    """A JSON column matches the parameter `name`, a LIKE pattern, but for case; or it is not all ASCII.

    Lets more through than match, never less: a value in ASCII is compared by its letters, and where there are
    others, their case and accents are left to Python.
    """

    column: str
    name: str

    def sql(self, table: Table, dialect: str) -> Sql:
        column = table.c[self.column]
        pattern = sa.bindparam(self.name, type_=sa.Text)
        if dialect == "sqlite":
            octets = sa.func.length(sa.cast(column, sa.LargeBinary))
            return sa.or_(column.like(pattern, escape="\\"), sa.func.length(column) != octets)
        octets = sa.func.octet_length(column)
        return sa.or_(column.ilike(pattern, escape="\\"), sa.func.length(column) != octets)


@dataclass(frozen=True, slots=True)
class Never:
    """No row at all."""

    def sql(self, table: Table, dialect: str) -> Sql:
        return sa.literal_column("1") == sa.literal_column("0")


@dataclass(frozen=True, slots=True)
class Either:
    """One of two conditions."""

    first: Condition
    second: Condition

    def sql(self, table: Table, dialect: str) -> Sql:
        return sa.or_(self.first.sql(table, dialect), self.second.sql(table, dialect))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the conditions, of which there is one."""

    conditions: tuple[Condition, ...]

    def sql(self, table: Table, dialect: str) -> Sql:
        return sa.or_(*conjunction(table, self.conditions, dialect))


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the conditions, of which there is one."""

    conditions: tuple[Condition, ...]

    def sql(self, table: Table, dialect: str) -> Sql:
        return sa.and_(*conjunction(table, self.conditions, dialect))


@dataclass(frozen=True, slots=True)
class Above:
    """The row above at the next level satisfies all conditions."""

    level: Level  # of the row itself
    conditions: tuple[Condition, ...]

    def sql(self, table: Table, dialect: str) -> Sql:
        above = t.BY_LEVEL[self.level - 1]
        conditions = (each.sql(above, dialect) for each in self.conditions)
        found = sa.select(above.c.id).select_from(above).where(*conditions).correlate_except(above)
        return table.c[t.PARENT_COLUMN[self.level]].in_(found)


@dataclass(frozen=True, slots=True)
class Below:
    """Some row of the next level below it satisfies all conditions."""

    level: Level  # of the row itself
    conditions: tuple[Condition, ...]

    def sql(self, table: Table, dialect: str) -> Sql:
        below = t.BY_LEVEL[self.level + 1]
        joined = below.c[t.PARENT_COLUMN[self.level + 1]] == table.c.id
        return some(below, joined, *(each.sql(below, dialect) for each in self.conditions))


@dataclass(frozen=True, slots=True)
class InStudy:
    """Some series of the study, or with `instances` some instance of it, satisfies the condition."""

    condition: Condition
    instances: bool = False

    def sql(self, table: Table, dialect: str) -> Sql:
        series = t.series.alias("any_series")
        if not self.instances:
            return some(series, series.c.study == table.c.id, self.condition.sql(series, dialect))
        instances = t.instances.alias("any_instance")
        return some(
            sa.join(series, instances, instances.c.series == series.c.id),
            series.c.study == table.c.id,
            self.condition.sql(instances, dialect),
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of the row and those of the parameter `labels`: `All`, `Any` or `None` of them are there.

    With `bare` it has no label at all. `All` counts them against the parameter `label_count`.
    """

    level: Level
    constraint: str
    bare: bool = False

    def sql(self, table: Table, dialect: str) -> Sql:
        labels = t.labels
        of_row = [
            labels.c.level == sa.literal_column(str(int(self.level))),
            labels.c.resource == table.c.id,
        ]
        if self.bare:
            return ~some(labels, *of_row)
        named = one_of(labels.c.label, "labels", sa.Text, dialect)
        if self.constraint == "All":
            matching = sa.select(sa.func.count()).select_from(labels).where(*of_row, named)
            count = matching.correlate_except(labels).scalar_subquery()
            return count == sa.bindparam("label_count", type_=sa.Integer)
        found = some(labels, *of_row, named)
        return found if self.constraint == "Any" else ~found


@dataclass(frozen=True, slots=True)
class HasMetadata:
    """The row has metadata of that number in the table of what can change."""

    level: Level
    number: int

    def sql(self, table: Table, dialect: str) -> Sql:
        m = t.metadata.c
        return some(
            t.metadata,
            m.level == sa.literal_column(str(int(self.level))),
            m.resource == table.c.id,
            m.type == sa.literal_column(str(self.number)),
        )


def conjunction(table: Table, conditions: Sequence[Condition], dialect: str) -> list[Sql]:
    """The SQL of all conditions."""
    return [each.sql(table, dialect) for each in conditions]


def glob_pattern(pattern: str, dialect: str) -> str:
    """The pattern of `*` and `?` as the database's operator for it reads it."""
    if dialect == "sqlite":
        return pattern.replace("[", "[[]")
    return like_literal(pattern).replace("*", "%").replace("?", "_")


def like_literal(text: str) -> str:
    """Text that stands for itself in a LIKE pattern whose escape character is the backslash."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
