"""What a search asks of one value: the kinds of matching of PS3.4 C.2.2.2, from their text and on text.

`parse` reads the text of a query as C-FIND, QIDO-RS and `/tools/find` all spell it: nothing for any value, a
backslash between the values of a list, a hyphen in dates and times for a range, `*` and `?` for wildcards.
`accepts` is the same question put to a value in Python. The index asks it in SQL (`index/find_fields.py`); what SQL
cannot tell for certain is asked again here.

Values are compared without regard to case and accents unless a search says otherwise. No test takes more than
time in proportion to pattern times value, whatever they look like: a pattern is looked up piece by piece, never
handed to a regular expression that could go back and forth.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ithil.archive import fuzzy
from ithil.dicom.dictionary import format_tag, is_private, tag_vr
from ithil.dicom.main_tags import normalise

RANGE_VRS = frozenset({"DA", "TM", "DT"})
"""VRs with range matching (PS3.4 C.2.2.2.5)."""

WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs with wild card matching (PS3.4 C.2.2.2.4)."""

LONGEST_PATTERN = (
    1024  # characters, once repeated asterisks are one; no value of these VRs is searched by more
)
MOST_VALUES = 10_000  # in one list

LONGEST_VALUE = 1 << 16
"""Bytes of the longest value in a file that is compared."""


class BadMatch(ValueError):
    """A text that does not say what to match; the message never quotes it."""


@dataclass(frozen=True, slots=True)
class Equal:
    """Exactly this value, which is not empty (single value matching)."""

    value: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these values (list of UID matching, and Orthanc's extension of it to every VR)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`*` stands for any characters or none, `?` for any one. A lone `*` matches whatever is there at all."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Not before `lower`, not after `upper`, both included and compared as text; None leaves a side open."""

    lower: str | None
    upper: str | None


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A person's name that is like `text`, or that `literal` matches; see `fuzzy`."""

    text: str
    literal: Equal | OneOf | Wildcard


@dataclass(frozen=True, slots=True)
class Item:
    """Some item of the sequence in which all of these attributes match (sequence matching, PS3.4 C.2.2.2.6)."""

    keys: tuple[tuple[int, Question], ...]


Match = Equal | OneOf | Wildcard | Range
"""What is asked of one text."""

Question = Match | Fuzzy | Item
"""What is asked of an attribute."""


def parse(tag: int, text: str) -> Match | None:
    """What the text of a query asks of a tag; None if every resource matches (universal matching).

    Raises BadMatch for wildcards in a VR that has none, and for more than the limits allow.
    """
    text = _cleaned(text)
    vr = tag_vr(tag)
    if not text or (text == "-" and vr in RANGE_VRS):
        return None
    if vr in RANGE_VRS and "-" in text and "\\" not in text:
        if "*" in text or "?" in text:
            raise BadMatch(f"Wildcards are not allowed on tag {format_tag(tag)}")
        lower, _, upper = text.partition("-")
        return Range(lower.strip() or None, upper.strip() or None)
    found = parse_text(text)
    # Of a private tag nobody knows here; what was declared of it decides (see `query_tags`).
    if isinstance(found, Wildcard) and vr not in WILDCARD_VRS and not is_private(tag):
        raise BadMatch(f"Wildcards are not allowed on tag {format_tag(tag)}")
    return found


def _cleaned(text: str) -> str:
    """Without blanks around it, and without NUL: no value has one, and PostgreSQL takes none in a question."""
    return text.replace("\0", "").strip()


def parse_text(text: str) -> Match:
    """The same for what has no VR, such as metadata: a list, a pattern or a value."""
    text = _cleaned(text)
    if "\\" in text:
        values = tuple(dict.fromkeys(value.strip() for value in text.split("\\")))
        if len(values) > MOST_VALUES:
            raise BadMatch("A list has too many values")
        return OneOf(values)
    if "*" in text or "?" in text:
        pattern = re.sub(r"\*{2,}", "*", text)
        if len(pattern) > LONGEST_PATTERN:
            raise BadMatch("A pattern is too long")
        return Wildcard(pattern)
    return Equal(text)


# `normalise` makes blanks of them; characters for private use survive it.
_KEPT = str.maketrans({"%": "\ue000", "_": "\ue001"})
_BACK = str.maketrans({"\ue000": "%", "\ue001": "_"})


def fold(text: str) -> str:
    """The form in which case and accents do not count, and everything else does."""
    if "%" in text or "_" in text:
        return normalise(text.translate(_KEPT)).translate(_BACK)
    return normalise(text)


Accepts = Callable[[str], bool]


def accepts(match: Match | Fuzzy, *, case_sensitive: bool) -> Accepts:
    """A function that tells whether a value matches: the whole of it, or one of several values in it."""
    if isinstance(match, Fuzzy):
        literal, like = accepts(match.literal, case_sensitive=False), fuzzy.like(match.text)
        return lambda value: literal(value) or any(map(like, value.split("\\")))
    form: Callable[[str], str] = str.strip if case_sensitive else fold
    test = _test(match, form)

    def accept(value: str) -> bool:
        value = form(value)
        if test(value):
            return True
        return "\\" in value and any(test(part.strip()) for part in value.split("\\"))

    return accept


def _test(match: Match, form: Callable[[str], str]) -> Accepts:
    if isinstance(match, Equal):
        return form(match.value).__eq__
    if isinstance(match, OneOf):
        return frozenset(form(value) for value in match.values).__contains__
    if isinstance(match, Wildcard):
        return _glob(form(match.pattern))
    return _between(match.lower, match.upper)


def _between(lower: str | None, upper: str | None) -> Accepts:
    return lambda value: (lower is None or value >= lower) and (upper is None or value <= upper)


def _glob(pattern: str) -> Accepts:
    """Pieces between asterisks are found from left to right, each as early as it can be."""
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return _alike(pattern)
    first, *middle, last = pieces
    starts, ends = _alike(first), _alike(last)
    searches = [_search(piece) for piece in middle if piece]
    shortest = len(first) + len(last)

    def accept(value: str) -> bool:
        if len(value) < shortest or not starts(value[: len(first)]):
            return False
        end = len(value) - len(last)
        if not ends(value[end:]):
            return False
        position = len(first)
        for search in searches:
            position = search(value, position, end)
            if position < 0:
                return False
        return True

    return accept


def _alike(piece: str) -> Accepts:
    """Equality where `?` stands for any character."""
    if "?" not in piece:
        return piece.__eq__
    return lambda value: (
        len(value) == len(piece) and all(p in ("?", c) for p, c in zip(piece, value, strict=True))
    )


def _search(piece: str) -> Callable[[str, int, int], int]:
    """Where the first occurrence of a piece between two places ends, or -1."""
    if "?" not in piece:

        def find(value: str, start: int, end: int) -> int:
            found = value.find(piece, start, end)
            return found if found < 0 else found + len(piece)

        return find
    # Every character of this expression takes exactly one, so there is nothing to go back to.
    expression = re.compile("".join("." if c == "?" else re.escape(c) for c in piece), re.DOTALL)

    def search(value: str, start: int, end: int) -> int:
        found = expression.search(value, start, end)
        return -1 if found is None else found.end()

    return search
