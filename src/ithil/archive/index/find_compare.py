"""One constraint of a search as conditions of SQL, and how far they can be believed.

Columns in the form of `normalise` take case, accents and a few characters away on both sides, so what they let
through is looked at again; so is whatever hangs on the difference between an empty value and none, which only
the JSON of the main tags knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from ithil.archive import fuzzy
from ithil.archive.index.find_columns import Form, Place
from ithil.archive.index.find_conditions import (
    LOST,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    HasKey,
    JsonLike,
    Never,
    Starts,
    glob_pattern,
    like_literal,
)
from ithil.archive.matching import Equal, Fuzzy, Match, OneOf, Range, Wildcard, fold
from ithil.dicom.main_tags import normalise

_LAST_CHARACTER = "\U0010ffff"


class Certainty(Enum):
    """Whether a row that satisfies the conditions matches."""

    ALWAYS = 0
    UNLESS_LOST = 1  # it does, if its JSON has none of the characters that normalising loses
    NEVER = 2  # its value decides


@dataclass(frozen=True, slots=True)
class Compared:
    """Conditions with the values of their parameters. No row that matches fails them."""

    conditions: tuple[Condition, ...]
    values: dict[str, Any] = field(default_factory=dict)
    certainty: Certainty = Certainty.ALWAYS


def compare(
    place: Place, key: str, match: Match | Fuzzy, name: str, *, case_sensitive: bool, dialect: str
) -> Compared:
    """The conditions for `key` of the JSON at `place`, or for its column.

    `name` begins the names of the parameters.
    """
    if isinstance(match, Fuzzy):
        return _fuzzy(place, key, match, name, dialect)
    if place.json and isinstance(match, Wildcard) and match.pattern == "*":
        return Compared((HasKey(place.json, key),))
    if place.column is None:
        return _in_json(place.json, key, match, name)
    if place.form is Form.COUNT:
        return _number(place.column, match, name)
    if place.form is Form.NORM:
        return _normalised(place.column, match, name, case_sensitive, dialect)
    upper = place.form is Form.CODE and not case_sensitive
    return _plain(place, place.column, match, name, upper, dialect)


def _number(column: str, match: Match, name: str) -> Compared:
    texts = [match.value] if isinstance(match, Equal) else match.values if isinstance(match, OneOf) else ()
    numbers = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]
    if not numbers:
        return Compared((Never(),))
    return Compared((Compare(column, "in", name),), {name: numbers})


def _plain(place: Place, column: str, match: Match, name: str, upper: bool, dialect: str) -> Compared:
    """A column that holds the value as it is; with `upper` case does not count."""

    def form(text: str) -> str:
        return text.upper() if upper else text

    if isinstance(match, Equal):
        return Compared((Compare(column, "=", name, upper),), {name: form(match.value)})
    if isinstance(match, OneOf):
        values = [form(value) for value in match.values]
        certainty = Certainty.NEVER if "" in values and place.json else Certainty.ALWAYS
        return Compared((Compare(column, "in", name, upper),), {name: values}, certainty)
    if isinstance(match, Wildcard):
        return Compared(
            (Compare(column, "glob", name, upper),), {name: glob_pattern(form(match.pattern), dialect)}
        )
    conditions: list[Condition] = []
    ends: dict[str, Any] = {}
    for operator, end, value in ((">=", f"{name}_from", match.lower), ("<=", f"{name}_to", match.upper)):
        if value is not None:
            conditions.append(Compare(column, operator, end))
            ends[end] = value
    # Without a lower end an empty value matches, but no value does not.
    certainty = Certainty.NEVER if match.lower is None and place.json else Certainty.ALWAYS
    return Compared(tuple(conditions), ends, certainty)


def _normalised(column: str, match: Match, name: str, case_sensitive: bool, dialect: str) -> Compared:
    """A column in the form of `normalise`."""
    if isinstance(match, Equal):
        certainty = _certainty(match.value, case_sensitive)
        return Compared((Compare(column, "=", name),), {name: normalise(match.value)}, certainty)
    if isinstance(match, OneOf):
        forms = [normalise(value) for value in match.values]
        certainty = _certainty("".join(match.values), case_sensitive)
        if "" in forms:
            certainty = Certainty.NEVER
        return Compared((Compare(column, "in", name),), {name: forms}, certainty)
    if isinstance(match, Range):
        raise TypeError("a normalised column has no ranges")
    pattern = match.pattern
    certainty = _certainty(pattern, case_sensitive)
    if certainty is Certainty.NEVER:
        # At the end of a value they are blanks that were cut off.
        pattern = re.sub(r"[%_\s]+", "*", pattern)
    pattern = normalise(pattern)
    inside = pattern[1:-1]
    if dialect == "sqlite" and inside and pattern == f"*{inside}*" and not re.search(r"[*?]", inside):
        return Compared((Compare(column, "has", name),), {name: inside}, certainty)
    conditions: list[Condition] = [Compare(column, "glob", name)]
    values: dict[str, Any] = {name: glob_pattern(pattern, dialect)}
    prefix = re.split(r"[*?]", pattern, maxsplit=1)[0]
    if prefix and dialect == "sqlite":
        conditions.append(Starts(column, name))
        values |= {f"{name}_from": prefix, f"{name}_to": prefix + _LAST_CHARACTER}
    return Compared(tuple(conditions), values, certainty)


def _fuzzy(place: Place, key: str, match: Fuzzy, name: str, dialect: str) -> Compared:
    """Candidates have a part of each word, or match literally."""
    if place.column is None or place.form is not Form.NORM:
        return Compared((HasKey(place.json, key),), {}, Certainty.NEVER)
    values: dict[str, Any] = {}

    def has(text: str) -> Condition:
        parameter = f"{name}_{len(values)}"
        values[parameter] = glob_pattern(f"*{text}*", dialect)
        assert place.column is not None
        return Compare(place.column, "glob", parameter)

    words = fuzzy.words(match.text)[: fuzzy.MOST_WORDS]
    like = AllOf(tuple(AnyOf(tuple(has(part) for part in fuzzy.parts(word))) for word in words))
    literal = _normalised(place.column, match.literal, name, False, dialect)
    return Compared((AnyOf((like, AllOf(literal.conditions))),), values | literal.values, Certainty.NEVER)


def _certainty(text: str, case_sensitive: bool) -> Certainty:
    if case_sensitive or any(character in text for character in LOST):
        return Certainty.NEVER
    return Certainty.UNLESS_LOST


def _in_json(column: str, key: str, match: Match, name: str) -> Compared:
    """A value that is only in the JSON of the main tags or of the metadata."""
    if isinstance(match, Equal):
        text = match.value
    elif isinstance(match, Wildcard):
        text = match.pattern.replace("?", "*")
    else:
        return Compared((HasKey(column, key),), {}, Certainty.NEVER)
    # As it stands in JSON and in a LIKE pattern; what is beyond ASCII is for Python to see.
    pieces = [like_literal(orjson.dumps(piece).decode()[1:-1]) for piece in fold(text).split("*")]
    pattern = "%".join([f'%"{key}":"', *pieces, ""])
    return Compared((JsonLike(column, name),), {name: pattern}, Certainty.NEVER)
