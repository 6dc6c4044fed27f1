"""The identifier of a C-FIND request (PS3.4 C.4.1.1.3.1) as a search of the archive, and what to answer.

Rules of the hierarchy are taken leniently, as Orthanc does and its clients count on: keys of any level may
come with any level, whether relational queries were negotiated or not. A conforming hierarchical query has the
same answer either way (PS3.4 C.4.1.3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from ithil.archive.matching import RANGE_VRS, WILDCARD_VRS, BadMatch, Match, Range, parse, parse_text
from ithil.archive.query import MOST_CONSTRAINTS, Constraint, Moment, Query
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.dictionary import format_tag, is_private, is_private_creator, tag_vr
from ithil.dicom.level import Level
from ithil.dicom.values import value_text
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.services.data_set import identifier_of
from ithil.services.provider import Call

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"

CHARACTER_SET = 0x00080005
QUERY_RETRIEVE_LEVEL = 0x00080052
RETRIEVE_AE_TITLE = 0x00080054
TIMEZONE_OFFSET = 0x00080201
MOST_KEYS = 1000

_LEVELS = {
    "PATIENT": Level.PATIENT,
    "STUDY": Level.STUDY,
    "SERIES": Level.SERIES,
    "IMAGE": Level.INSTANCE,
    "INSTANCE": Level.INSTANCE,
}
_NOT_MATCHED = frozenset({CHARACTER_SET, QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE, TIMEZONE_OFFSET})
_MOMENTS = (
    (0x00080020, 0x00080030),  # study
    (0x00080021, 0x00080031),  # series
    (0x00080012, 0x00080013),  # creation of the instance
    (0x00400244, 0x00400245),  # start of the performed procedure step
)


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute that the caller wants to see in the answers.

    `creator` is the private creator that the identifier names for the block of a private attribute, `text`
    the value of the key, which private creators are answered with.
    """

    tag: int
    vr: str
    creator: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a C-FIND asks for. `level_text` is the level as the caller spelt it.

    `ignored` says that it has keys that are not matched, so that answers have the status FF01H.
    """

    query: Query
    level_text: str
    keys: tuple[Key, ...]
    ignored: bool = False


def read(call: Call, data_set: bytes | None, *, combined: bool = False) -> Identifier:
    """The search in the identifier of a request.

    With `combined`, a range of dates and one of times together are one range of moments (PS3.4 C.2.2.2.5.3).
    Raises Refusal with A900H for an identifier that does not fit the SOP class and C000H for one that cannot
    be understood (PS3.4 C.4.1.1.4).
    """
    parsed = identifier_of(call, data_set)
    if len(parsed.elements) > MOST_KEYS:
        raise Refusal(status.CANNOT_UNDERSTAND, f"An identifier can have {MOST_KEYS} keys")
    level_text, level = _level(call, parsed)
    return _search(call, parsed, level_text, level, combined=combined)


def _level(call: Call, parsed: Dataset) -> tuple[str, Level]:
    element = parsed.find(QUERY_RETRIEVE_LEVEL)
    text = _text(parsed, element, "CS").strip() if element is not None else ""
    if not text:
        raise Refusal(status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "QueryRetrieveLevel (0008,0052) is missing")
    level = _LEVELS.get(text.upper())
    if level is None:
        raise Refusal(
            status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "QueryRetrieveLevel: PATIENT, STUDY, SERIES or IMAGE"
        )
    if call.context.abstract_syntax == PATIENT_STUDY_ONLY_FIND and level > Level.STUDY:
        raise Refusal(
            status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "Patient/Study Only has the levels PATIENT and STUDY"
        )
    return text, level


def _search(call: Call, parsed: Dataset, level_text: str, level: Level, *, combined: bool) -> Identifier:
    settings = call.archive.settings
    keys: dict[int, Key] = {}
    matches: dict[int, Match] = {}
    ignored = False
    for element in parsed.elements:
        tag = element.tag
        if not tag & 0xFFFF or tag < CHARACTER_SET:
            continue  # group lengths, and what is no attribute of an identifier
        vr = _vr(element)
        if element.items is not None or vr == "SQ":
            keys[tag] = Key(tag, "SQ", element.private_creator)
            ignored = ignored or _asks(element)
            continue
        text = _text(parsed, element, vr)
        keys[tag] = Key(tag, vr, element.private_creator, text)
        if tag in _NOT_MATCHED or is_private_creator(tag):
            continue
        match = _match(tag, vr, text)
        if match is not None:
            matches[tag] = match
    if len(matches) > MOST_CONSTRAINTS:
        raise Refusal(status.CANNOT_UNDERSTAND, f"An identifier can match {MOST_CONSTRAINTS} keys")
    moments = _take_moments(matches) if combined else ()
    constraints = tuple(
        Constraint(tag, match, case_sensitive=keys[tag].vr != "PN" or settings.case_sensitive_pn)
        for tag, match in matches.items()
    )
    query = Query(
        level,
        constraints,
        moments=moments,
        open_files=settings.storage_access_on_find == "Always",
    )
    answered = tuple(keys[tag] for tag in sorted(keys))
    return Identifier(query, level_text, answered, ignored)


def _vr(element: Element) -> str:
    """The VR of the dictionary, which counts more than what the caller wrote; his own for what it lacks."""
    tag = element.tag
    known = tag_vr(tag, element.private_creator if is_private(tag) else "")
    return element.vr if known == "UN" else known


def _text(parsed: Dataset, element: Element, vr: str) -> str:
    """The value of a key; one of unknown VR is taken for text."""
    raw = bytes(element.value)
    text = value_text("LT" if vr == "UN" else vr, raw, parsed.decode, parsed.sign)
    return (text or "").replace("\0", "")


def _match(tag: int, vr: str, text: str) -> Match | None:
    """What a key asks for; None for universal matching. Raises Refusal (C000H)."""
    text = text.strip()
    if text and vr not in WILDCARD_VRS and vr != "UN" and not text.strip("*"):
        return None  # strictly `*` is not for this VR, but what it means is beyond doubt
    try:
        if not is_private(tag):
            return parse(tag, text)
        if vr in RANGE_VRS and "-" in text and "\\" not in text:
            lower, _, upper = text.partition("-")
            return Range(lower.strip() or None, upper.strip() or None) if lower or upper else None
        return parse_text(text) if text else None
    except BadMatch as error:
        raise Refusal(status.CANNOT_UNDERSTAND, f"{error} ({format_tag(tag)})"[:64]) from None


def _take_moments(matches: dict[int, Match]) -> tuple[Moment, ...]:
    """Ranges of dates together with those of times, which are taken out of `matches`."""
    found = []
    for date, time in _MOMENTS:
        dates, times = matches.get(date), matches.get(time)
        if isinstance(dates, Range) and isinstance(times, Range):
            del matches[date], matches[time]
            found.append(Moment(date, time, dates, times))
    return tuple(found)


def _asks(sequence: Element) -> bool:
    """Whether an item of a sequence has a key with a value."""
    stack = [sequence]
    while stack:
        for item in stack.pop().items or ():
            for element in item:
                if element.items is not None:
                    stack.append(element)
                elif bytes(element.value).strip(b" \0*") and element.tag & 0xFFFF:
                    return True
    return False
