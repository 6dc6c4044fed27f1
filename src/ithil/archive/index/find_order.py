"""What to sort the answer of a search by, as SQL.

Values of JSON columns are cut out of their text: PostgreSQL's own JSON functions fail on text that a hostile
file can bring, and one such row must not fail every search. Text that is no number counts as no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_columns import INSTANCE_NUMBER, LAST_UPDATE, ORDER_COLUMNS, place_of
from ithil.archive.query import BadQuery, Order, OrderKind
from ithil.dicom.level import Level

_INTEGER = r"^\s*([+-]?[0-9]{1,18})(?![0-9])"
_FLOAT = r"^\s*([+-]?[0-9]{1,30}(?:[.][0-9]{0,30})?(?:[eE][+-]?[0-9]{1,2})?)"
_METADATA = frozenset({OrderKind.METADATA, OrderKind.METADATA_AS_INT, OrderKind.METADATA_AS_FLOAT})
_AS = {
    OrderKind.TAG_AS_INT: "int",
    OrderKind.METADATA_AS_INT: "int",
    OrderKind.TAG_AS_FLOAT: "float",
    OrderKind.METADATA_AS_FLOAT: "float",
}

Value = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A key to sort rows of `searched` by: the `column` of the row at `level`, and within it the JSON `key`.

    `metadata` is the number of the metadata that the row may have in a table of its own.
    """

    searched: Level
    level: Level
    column: str
    key: str = ""
    metadata: int | None = None
    read_as: str = ""  # int or float; else text
    descending: bool = False

    def sql(self, table: sa.FromClause, dialect: str) -> Value:
        """What stands in ORDER BY."""
        value = self._value(table, self.searched, dialect)
        kind = self._column(t.BY_LEVEL[self.level]).type
        if self.read_as and (self.key or isinstance(kind, sa.Text)):
            value = _number(value, self.read_as, dialect)
        elif isinstance(kind, sa.Text) and not self.descending:
            value = sa.func.nullif(value, "")  # downwards empty text is last by itself, and the index serves
        if self.descending:
            # A text column has no NULL, and without the clause its index gives the order.
            plain = not self.key and not self.read_as
            return value.desc() if plain else value.desc().nulls_last()
        return value.asc().nulls_last()

    def _column(self, table: sa.FromClause) -> Value:
        return table.c[self.column]

    def _value(self, table: sa.FromClause, level: Level, dialect: str) -> Value:
        if level > self.level:
            above = t.BY_LEVEL[level - 1]
            return (
                sa.select(self._value(above, Level(level - 1), dialect))
                .select_from(above)
                .where(above.c.id == table.c[t.PARENT_COLUMN[level]])
                .correlate_except(above)
                .scalar_subquery()
            )
        value = self._column(table)
        if self.key:
            value = _from_json(value, self.key, dialect)
        if self.metadata is not None:
            m = t.metadata.c
            changed = sa.select(m.value).where(
                m.level == sa.literal_column(str(int(self.level))),
                m.resource == table.c.id,
                m.type == sa.literal_column(str(self.metadata)),
            )
            value = sa.func.coalesce(changed.correlate_except(t.metadata).scalar_subquery(), value)
        return value


def newest_first(searched: Level) -> OrderKey:
    """The key that turns the order of arrival round."""
    return OrderKey(searched, searched, "id", descending=True)


def order_keys(
    order: Sequence[Order], searched: Level, main_tags: Mapping[Level, Sequence[int]]
) -> tuple[OrderKey, ...]:
    """The keys in order. Raises BadQuery for a tag that is not kept at the searched level or above."""
    return tuple(_key(each, searched, main_tags) for each in order)


def _key(order: Order, searched: Level, main_tags: Mapping[Level, Sequence[int]]) -> OrderKey:
    read_as = _AS.get(order.kind, "")
    if order.kind in _METADATA:
        if order.key == LAST_UPDATE and searched < Level.INSTANCE:
            return OrderKey(searched, searched, "last_update", read_as=read_as, descending=order.descending)
        return OrderKey(searched, searched, "metadata", str(order.key), order.key, read_as, order.descending)
    place = place_of(order.key, searched, main_tags)
    if place is None or place.level > searched:
        raise BadQuery("Resources can only be sorted by main tags of their level or above")
    column = place.column or ORDER_COLUMNS.get((place.level, order.key))
    if place.level == Level.INSTANCE and order.key == INSTANCE_NUMBER and read_as == "int":
        column = "instance_number"
    if column is not None:
        return OrderKey(searched, place.level, column, read_as=read_as, descending=order.descending)
    return OrderKey(searched, place.level, place.json, f"{order.key:08x}", None, read_as, order.descending)


def _from_json(column: Value, key: str, dialect: str) -> Value:
    if dialect == "sqlite":
        return sa.func.json_extract(column, sa.literal(f'$."{key}"'))
    return sa.func.substring(column, sa.literal(rf'"{key}":"((?:[^"\\]|\\.)*)"'))


def _number(value: Value, read_as: str, dialect: str) -> Value:
    kind: Any = sa.BigInteger() if read_as == "int" else sa.Double()
    if dialect == "postgresql":
        return sa.cast(sa.func.substring(value, sa.literal(_INTEGER if read_as == "int" else _FLOAT)), kind)
    # SQLite reads as many digits as there are and takes text without any for 0.
    digits = sa.func.trim(value, sa.literal(" +-")).op("GLOB")(sa.literal("[0-9.]*"))
    return sa.case((digits, sa.cast(value, kind)))
