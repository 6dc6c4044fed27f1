"""Declared query tags as conditions of a search.

The table of values holds the whole value and each of several ones, in the form that searches compare, and as it was.
So the database decides alone, and no value is looked at again.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_compare import Compared
from ithil.archive.index.find_conditions import Compare, Condition, Never, Sql, Starts, Table, glob_pattern
from ithil.archive.index.query_tags import READY, QueryTag
from ithil.archive.matching import (
    RANGE_VRS,
    Equal,
    Fuzzy,
    Item,
    Match,
    OneOf,
    Question,
    Range,
    Wildcard,
    fold,
)
from ithil.archive.query import Constraint
from ithil.dicom.level import Level

NUMBER_VRS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"})
"""VRs whose values are compared as numbers."""

_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class HasValue:
    """The row has a value in a declared tag that satisfies all conditions on the table of values."""

    key: int
    level: Level
    conditions: tuple[Condition, ...] = ()

    def sql(self, table: Table, dialect: str) -> Sql:
        values = t.query_tag_values.alias()
        found = sa.select(values.c.resource).where(
            values.c.tag == sa.literal_column(str(self.key)),
            values.c.level == sa.literal_column(str(int(self.level))),
            *(condition.sql(values, dialect) for condition in self.conditions),
        )
        return table.c.id.in_(found.correlate_except(values))


Declared = Callable[[], Sequence[QueryTag]]
"""Gives the declared tags; asked only for a constraint on what is no main tag."""


@dataclass(slots=True)
class Found:
    """Conditions on the rows of levels, with the values of their parameters; `exact` if they alone decide."""

    conditions: list[tuple[Level, Condition]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    exact: bool = False


def conditions(constraint: Constraint, declared: Declared, name: str, dialect: str) -> Found:
    """What declared tags can say of a constraint; `name` begins the names of the parameters.

    Of an item of a sequence they only tell for certain if one attribute of it is asked for: with several, nobody
    knows whether it is one item that has them all.
    """
    ready = {tag.path: tag for tag in declared() if tag.status == READY}
    found = Found()
    if not ready:
        return found
    leaves = list(_leaves((constraint.tag,), constraint.match))
    found.exact = len(leaves) == 1
    for number, (path, question) in enumerate(leaves):
        tag = ready.get(path)
        if tag is None:
            found.exact = False
        elif isinstance(question, Fuzzy):
            found.exact = False
            found.conditions.append((tag.level, HasValue(tag.key, tag.level)))
        else:
            one = compare(
                tag,
                question,
                f"{name}q{number}",
                case_sensitive=constraint.case_sensitive,
                dialect=dialect,
            )
            found.conditions += [(tag.level, condition) for condition in one.conditions]
            found.values |= one.values
    return found


def _leaves(path: tuple[int, ...], question: Question) -> Iterator[tuple[tuple[int, ...], Match | Fuzzy]]:
    """What is asked of single attributes, with the paths that lead to them."""
    if isinstance(question, Item):
        for tag, inner in question.keys:
            yield from _leaves((*path, tag), inner)
    else:
        yield path, question


def compare(tag: QueryTag, match: Match, name: str, *, case_sensitive: bool, dialect: str) -> Compared:
    """The conditions for the rows of the level of `tag`; `name` begins the names of the parameters."""
    if tag.vr in RANGE_VRS:
        match = _range(match)
    if tag.vr in NUMBER_VRS and isinstance(match, (Equal, OneOf)):
        found = _numbers(tag.vr, match, name)
    else:
        found = _texts(match, name, case_sensitive, dialect)
    return Compared((HasValue(tag.key, tag.level, found.conditions),), found.values)


def _range(match: Match) -> Match:
    """The range that a text asks for; without the VR of a private tag, nobody could know that it is one."""
    if not isinstance(match, Equal) or "-" not in match.value:
        return match
    lower, _, upper = match.value.partition("-")
    return Range(lower.strip() or None, upper.strip() or None)


def _numbers(vr: str, match: Equal | OneOf, name: str) -> Compared:
    texts = (match.value,) if isinstance(match, Equal) else match.values
    numbers = [number for number in (as_number(vr, text) for text in texts) if number is not None]
    if not numbers:
        return Compared((Never(),))
    return Compared((Compare("number", "in", name),), {name: numbers})


_NUMBER = re.compile(r"\s*[+-]?[0-9]{0,40}\.?[0-9]{0,40}([eE][+-]?[0-9]{1,3})?\s*\Z")


def as_number(vr: str, text: str) -> float | None:
    """The number that a text says, as a value of this VR holds it; None if it says none."""
    if not _NUMBER.match(text):
        return None
    try:
        number = float(text)
        if vr == "FL":
            number = struct.unpack("f", struct.pack("f", number))[0]
    except (ValueError, OverflowError):
        return None
    return number if abs(number) != float("inf") else None


def _texts(match: Match, name: str, case_sensitive: bool, dialect: str) -> Compared:
    conditions: list[Condition] = []
    values: dict[str, Any] = {}
    exact = f"{name}_exact"
    if isinstance(match, Equal):
        conditions.append(Compare("norm", "=", name))
        values[name] = fold(match.value)
        if case_sensitive:
            conditions.append(Compare("value", "=", exact))
            values[exact] = match.value.strip()
    elif isinstance(match, OneOf):
        conditions.append(Compare("norm", "in", name))
        values[name] = [fold(value) for value in match.values]
        if case_sensitive:
            conditions.append(Compare("value", "in", exact))
            values[exact] = [value.strip() for value in match.values]
    elif isinstance(match, Wildcard):
        if match.pattern != "*":
            pattern = fold(match.pattern)
            conditions.append(Compare("norm", "glob", name))
            values[name] = glob_pattern(pattern, dialect)
            prefix = re.split(r"[*?]", pattern, maxsplit=1)[0]
            if prefix and dialect == "sqlite":
                conditions.append(Starts("norm", name))
                values |= {f"{name}_from": prefix, f"{name}_to": prefix + _LAST_CHARACTER}
            if case_sensitive:
                conditions.append(Compare("value", "glob", exact))
                values[exact] = glob_pattern(match.pattern.strip(), dialect)
    else:
        for operator, end, value in ((">=", f"{name}_from", match.lower), ("<=", f"{name}_to", match.upper)):
            if value is not None:
                conditions.append(Compare("norm", operator, end))
                values[end] = value
    return Compared(tuple(conditions), values)
