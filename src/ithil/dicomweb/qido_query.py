"""The query of a QIDO-RS request as a search of the archive, and what its answer is to show (PS3.18 8.3.4, 10.6.1).

Names of attributes are keywords, eight digits, or paths of either with dots. What a request names and this server
does not know is passed over, as PS3.18 8.3.1 wants, and the answer has a warning that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from ithil import error_codes as codes
from ithil.archive import fuzzy
from ithil.archive.matching import (
    MOST_VALUES,
    WILDCARD_VRS,
    BadMatch,
    Equal,
    Fuzzy,
    Item,
    Match,
    OneOf,
    Question,
    Range,
    parse,
)
from ithil.archive.query import MOST_CONSTRAINTS, Constraint, Order, OrderKind, Query
from ithil.dicom.dictionary import is_private_creator, parse_tag, tag_vr, when_changed
from ithil.dicom.level import Level
from ithil.dicom.main_tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.error_codes import CodedError
from ithil.http.request import Request, parse_pairs
from ithil.settings import Settings

MOST_INCLUDED = 1000
"""Attributes that `includefield` can name, those that nobody knows and repetitions among them."""

_NAMES_TOLD = 5  # unknown names that a warning repeats

DEEPEST = 16
"""Sequences on the way to an attribute."""

_LARGEST = 2**62
_ALL = "all"
_OTHER = frozenset({"accept", "charset", "_method"})  # PS3.18 8.3.3; the last is Orthanc's
_NOT_MATCHED = frozenset({0x00080005, 0x00080052, 0x00080054, 0x00080201, 0x00081190})
_TEXTS_WITH_COMMAS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBERS_IN_ORDER = {
    Level.SERIES: (0x00200011,),
    Level.INSTANCE: (0x00200011, SERIES_INSTANCE_UID, 0x00200013),
}

Path = tuple[int, ...]
"""The sequences on the way to an attribute and the attribute itself."""


@dataclass(slots=True)
class Search:
    """A request of QIDO-RS.

    Attributes:
        query: what is searched, without its part.
        within: the level of the resource that the path names, PATIENT if it names none.
        included: attributes that the answer is to show beside the usual ones.
        everything: `includefield=all`.
        limit: most matches, 0 for all.
        offset: matches that are passed over.
        warnings: what was asked and not done, one sentence each.
    """

    query: Query
    within: Level
    included: frozenset[int]
    everything: bool = False
    limit: int = 0
    offset: int = 0
    warnings: list[str] = field(default_factory=list)


def read(request: Request, level: Level) -> Search:
    """The search that a request for resources of a level asks for. Raises CodedError (400)."""
    settings = request.context.settings
    reader = _Reader(settings)
    for name, value in parse_pairs(request.raw_query):
        reader.take(name, value)
    named = {
        STUDY_INSTANCE_UID: request.arguments.get("study"),
        SERIES_INSTANCE_UID: request.arguments.get("series"),
    }
    within = (
        Level.SERIES
        if named[SERIES_INSTANCE_UID]
        else Level.STUDY
        if named[STUDY_INSTANCE_UID]
        else Level.PATIENT
    )
    constraints = [Constraint(tag, Equal(uid), case_sensitive=True) for tag, uid in named.items() if uid]
    constraints += reader.constraints()
    if len(constraints) > MOST_CONSTRAINTS:
        raise _bad(f"A search can have {MOST_CONSTRAINTS} attributes to match")
    query = Query(
        level,
        tuple(constraints),
        order=_order(level, constraints),
        open_files=settings.storage_access_on_find == "Always",
        newest_first=True,
    )
    return Search(
        query,
        within,
        frozenset(reader.included),
        reader.everything,
        reader.limit,
        reader.offset,
        reader.warnings,
    )


def _order(level: Level, constraints: Iterable[Constraint]) -> tuple[Order, ...]:
    """In which order matches come, so that `offset` leads through all of them.

    Studies: the latest StudyDate first, of equal ones the last to arrive. Series and instances within a study by
    their numbers. Nothing for those of the whole archive, where sorting by number would say nothing.
    """
    if level == Level.STUDY:
        return (Order(OrderKind.TAG, 0x00080020, descending=True),)
    if any(each.tag == STUDY_INSTANCE_UID and isinstance(each.match, Equal) for each in constraints):
        return tuple(
            Order(OrderKind.TAG if tag == SERIES_INSTANCE_UID else OrderKind.TAG_AS_INT, tag)
            for tag in _NUMBERS_IN_ORDER[level]
        )
    return ()


class _Reader:
    """Takes one argument of the query after the other."""

    def __init__(self, settings: Settings) -> None:
        self.included: set[int] = set()
        self.everything = False
        self.limit = self.offset = 0
        self._case_sensitive = bool(settings.dicom_web.qido_case_sensitive)
        self._fuzzy = False
        self._texts: dict[Path, str] = {}
        self._named = 0
        self._unknown: dict[str, list[str]] = {}

    @property
    def warnings(self) -> list[str]:
        """What was asked and is not known: a sentence for parameters, and one for attributes to include."""
        return [_unknown(kind, names) for kind, names in self._unknown.items()]

    def take(self, name: str, value: str) -> None:
        if name == "limit":
            self.limit = _number(name, value)
        elif name == "offset":
            self.offset = _number(name, value)
        elif name == "fuzzymatching":
            self._fuzzy = _boolean(name, value)
        elif name == "includefield":
            for one in value.split(","):
                self._include(one.strip())
        elif name not in _OTHER:
            self._match(name, value)

    def _include(self, name: str) -> None:
        if not name:
            return
        self._named += 1
        if self._named > MOST_INCLUDED:
            raise _bad(f"includefield can name {MOST_INCLUDED} attributes")
        if name == _ALL:
            self.everything = True
            return
        path = _path(name)
        if path is None:
            self._unknown.setdefault("includefield", []).append(name)
            return
        self.included.add(path[0])

    def _match(self, name: str, value: str) -> None:
        path = _path(name)
        if path is None:
            self._unknown.setdefault("The parameters", []).append(name)
            return
        if len(path) == 1 and path[0] in _NOT_MATCHED:
            return
        self.included.add(path[0])  # what was asked for is shown (PS3.18 10.6.3.3)
        before = self._texts.get(path)
        self._texts[path] = value if before is None else f"{before}\\{value}"
        if len(self._texts) > MOST_CONSTRAINTS:
            raise _bad(f"A search can have {MOST_CONSTRAINTS} attributes to match")

    def constraints(self) -> list[Constraint]:
        """What is to be matched; keys of the same sequence are those of one item."""
        found = []
        items: dict[int, list[tuple[Path, Question]]] = {}
        for path, text in self._texts.items():
            question = self._question(path[-1], text)
            if question is None:
                continue
            if len(path) == 1:
                found.append(Constraint(path[0], question, self._case_sensitive))
            else:
                items.setdefault(path[0], []).append((path[1:], question))
        found += [Constraint(tag, _item(keys), self._case_sensitive) for tag, keys in items.items()]
        return found

    def _question(self, tag: int, text: str) -> Question | None:
        vr = tag_vr(tag)
        text = text.strip()
        if vr not in WILDCARD_VRS and vr != "UN" and not text.strip("*"):
            return None  # strictly `*` is not for this VR, but what it means is beyond doubt
        if vr == "SQ":
            raise _bad("A sequence is matched by an attribute within it: Sequence.Attribute=value")
        if vr in ("DA", "TM") and "-" in text and ("," in text or text.count("-") > 1):
            raise _bad(
                "Dates and times are written without hyphens; one hyphen makes a range: 20240101-20241231"
            )
        try:
            match = _listed(vr, parse(tag, text), text)
        except BadMatch as error:
            raise _bad(str(error)) from None
        if self._fuzzy and vr == "PN" and match is not None and not isinstance(match, Range):
            name = text.replace("\\", " ")
            return Fuzzy(name, match) if fuzzy.words(name) else match
        return match


def _listed(vr: str, match: Match | None, text: str) -> Match | None:
    """The match of a text in which commas may stand between values, as in lists of UIDs (PS3.4 C.2.2.2.2).

    In a VR whose values can have commas themselves the whole text matches too.
    """
    if "," not in text or not isinstance(match, Equal | OneOf):
        return match
    values = [part.strip() for part in text.replace("\\", ",").split(",")]
    if len(values) > MOST_VALUES:
        raise BadMatch("A list has too many values")
    if vr in _TEXTS_WITH_COMMAS:
        values.insert(0, text)
    found = tuple(dict.fromkeys(value for value in values if value))
    if len(found) > 1:
        return OneOf(found)
    return Equal(found[0]) if found else None


def _item(keys: list[tuple[Path, Question]]) -> Item:
    plain = [(path[0], question) for path, question in keys if len(path) == 1]
    deeper: dict[int, list[tuple[Path, Question]]] = {}
    for path, question in keys:
        if len(path) > 1:
            deeper.setdefault(path[0], []).append((path[1:], question))
    return Item((*plain, *((tag, _item(inner)) for tag, inner in deeper.items())))


def _path(name: str) -> Path | None:
    """The attribute that a name or a path with dots means, None if no dictionary knows it."""
    return _usual_path(name) if len(name) <= _LONGEST_USUAL else _path_of(name)


_LONGEST_USUAL = 64  # characters of a name that is worth remembering


@lru_cache(maxsize=1024)
def _usual_path(name: str) -> Path | None:
    return _path_of(name)


when_changed(_usual_path.cache_clear)


def _path_of(name: str) -> Path | None:
    steps = name.split(".")
    if len(steps) > DEEPEST:
        raise _bad(f"An attribute can be in {DEEPEST} sequences at most")
    try:
        path = tuple(parse_tag(step) for step in steps)
    except ValueError:
        return None
    if is_private_creator(path[-1]) or any(tag_vr(step) not in ("SQ", "UN") for step in path[:-1]):
        return None
    return path


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise _bad(f'The argument "{name}" must be a whole number that is not negative')
    return min(int(value), _LARGEST)


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise _bad(f'The argument "{name}" must be true or false')
    return value.lower() == "true"


def _unknown(kind: str, names: list[str]) -> str:
    """The warning about unknown names; it repeats the first few that can stand there, and counts the others."""
    told = [name for name in names[:_NAMES_TOLD] if _can_be_told(name)]
    listed = f" {', '.join(told)}" if told else ""
    if len(names) == 1:
        return f"{kind}{listed} is unknown and was ignored"
    more = f" ({len(names)} in all)" if len(names) > len(told) else ""
    return f"{kind}{listed}{more} are unknown and were ignored"


def _can_be_told(name: str) -> bool:
    return len(name) <= 64 and name.isascii() and name.replace(".", "").isalnum()


def _bad(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)
