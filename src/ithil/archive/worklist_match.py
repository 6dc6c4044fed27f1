"""What a worklist query asks for, and which scheduled steps answer it (PS3.4 K.2.2, C.2.2.2, table K.6-1).

An item of the worklist can schedule several steps; each of them is an answer of its own, with one item in its
ScheduledProcedureStepSequence. Keys inside of sequences are matched in the same item, and decide which of its
attributes are returned. A range of start dates and one of start times together are one range of moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ithil.archive.matching import RANGE_VRS, WILDCARD_VRS, BadMatch, Match, Range, accepts, parse_text
from ithil.archive.worklist_item import START_DATE, START_TIME, STATION_TITLE, STEP_STATUS, STEPS
from ithil.dicom import charsets
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Dataset, Element, decoder_of
from ithil.dicom.dictionary import format_tag, is_private, is_private_creator, tag_vr
from ithil.dicom.values import value_text

CHARACTER_SET = 0x00080005
MOST_KEYS = 1000

SCHEDULED = "SCHEDULED"
HIDDEN = frozenset({"COMPLETED", "DISCONTINUED"})
"""States of a step of which nothing is to be done, so that only who asks for them is told."""

_NOT_MATCHED = frozenset({CHARACTER_SET, 0x00080201})
_NOTHING = memoryview(b"")

Accepts = Callable[[str], bool]


class BadWorklistQuery(ValueError):
    """A query that cannot be asked; the message quotes no value."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How values are compared, and whose steps are looked at."""

    case_sensitive_names: bool = False
    case_sensitive_titles: bool = False
    station: str = ""  # only steps for this application entity title, "" for all


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute that is asked for; `keys` are those of the item in a sequence, None if it has none."""

    tag: int
    vr: str
    creator: str
    accept: Accepts | None
    keys: tuple[Key, ...] | None = None
    span: Range | None = None  # of dates or times
    value: memoryview = _NOTHING  # of a private creator


@dataclass(frozen=True, slots=True)
class Question:
    """A query that was read."""

    keys: tuple[Key, ...]
    step: tuple[Key, ...] | None
    """The keys of a scheduled step, None if the query has no item for them."""
    returns_steps: bool
    rules: Rules
    asks_state: bool


def read(query: Dataset, rules: Rules) -> Question:
    """What the identifier of a query asks for. Raises BadWorklistQuery."""
    decode = charsets.decoder(None, query.default_encoding)
    keys = _keys(query.elements, query, decode, rules, [MOST_KEYS])
    steps = next((key for key in keys if key.tag == STEPS), None)
    step = steps.keys if steps is not None else None
    asks_state = any(key.tag == STEP_STATUS and key.accept is not None for key in step or ())
    return Question(
        tuple(key for key in keys if key.tag != STEPS), step, steps is not None, rules, asks_state
    )


def answers(
    question: Question, item: Dataset, state_of: Callable[[list[Element]], str]
) -> Iterator[list[Element]]:
    """The answers that an item gives, each a tree of elements in the character set of the item.

    `state_of` tells what became of a step: "" if nobody has begun with it.
    """
    decode = decoder_of(item.elements, charsets.decoder(None, item.default_encoding), item.default_encoding)
    if not all(_matches(key, item.elements, item, decode) for key in question.keys):
        return
    steps = _steps(question, item, decode, state_of)
    stored = next((element for element in item.elements if element.tag == STEPS), None)
    if not steps and ((stored is not None and stored.items) or _is_picky(question)):
        return
    head = [_returned(key, item.elements, item, decode) for key in question.keys]
    head += [element for element in item.elements if element.tag == CHARACTER_SET]
    if not question.returns_steps:
        yield _in_order(head)
        return
    for step in steps or [[]]:
        found = step
        if question.step is not None:
            inner = decoder_of(step, decode, item.default_encoding)
            found = _in_order([_returned(key, step, item, inner) for key in question.step])
        yield _in_order([*head, Element(STEPS, "SQ", _NOTHING, [found] if found else [])])


def _steps(
    question: Question, item: Dataset, decode: Decoder, state_of: Callable[[list[Element]], str]
) -> list[list[Element]]:
    """The steps of an item that match, with the state that they have now."""
    found = []
    for each in next((element.items or [] for element in item.elements if element.tag == STEPS), []):
        state = state_of(each)
        if state in HIDDEN and not question.asks_state:
            continue
        step = _with_state(each, state)
        inner = decoder_of(step, decode, item.default_encoding)
        if question.rules.station and not _is_for(step, question.rules, item, inner):
            continue
        if _matches_step(question.step or (), step, item, inner):
            found.append(step)
    return found


def _is_picky(question: Question) -> bool:
    """Whether an item without steps cannot match."""
    return bool(question.rules.station) or any(_asks(key) for key in question.step or ())


def _asks(key: Key) -> bool:
    return key.accept is not None or any(_asks(inner) for inner in key.keys or ())


def _with_state(step: list[Element], state: str) -> list[Element]:
    """A step with its status: as performed, else as the item says, else scheduled."""
    present = next((element for element in step if element.tag == STEP_STATUS), None)
    if not state and present is not None and bytes(present.value).strip(b" \0"):
        return step
    text = (state or SCHEDULED).encode("ascii")
    status = Element(STEP_STATUS, "CS", memoryview(text + b" " * (len(text) & 1)))
    return _in_order([element for element in step if element.tag != STEP_STATUS] + [status])


def _is_for(step: list[Element], rules: Rules, item: Dataset, decode: Decoder) -> bool:
    element = next((each for each in step if each.tag == STATION_TITLE), None)
    title = rules.station if rules.case_sensitive_titles else rules.station.upper()
    text = "" if element is None else _text(element, "AE", item, decode)
    if not rules.case_sensitive_titles:
        text = text.upper()
    return title in (part.strip() for part in text.split("\\"))


# -- reading keys --------------------------------------------------------------------------------------------


def _keys(
    elements: Sequence[Element], query: Dataset, inherited: Decoder, rules: Rules, left: list[int]
) -> tuple[Key, ...]:
    decode = decoder_of(list(elements), inherited, query.default_encoding)
    found: dict[int, Key] = {}
    for element in elements:
        tag = element.tag
        if not tag & 0xFFFF or tag < CHARACTER_SET or tag == CHARACTER_SET:
            continue
        left[0] -= 1
        if left[0] < 0:
            raise BadWorklistQuery(f"An identifier can have {MOST_KEYS} keys")
        if is_private_creator(tag):
            value = element.value if element.items is None else _NOTHING
            found[tag] = Key(tag, "LO", "", None, value=value)
            continue
        vr = tag_vr(tag, element.private_creator if is_private(tag) else "")
        vr = element.vr if vr == "UN" else vr
        if element.items is not None or vr == "SQ":
            items = element.items or []
            if len(items) > 1:
                raise BadWorklistQuery(f"{format_tag(tag)} must have one item")
            inner = _keys(items[0], query, decode, rules, left) if items else None
            found[tag] = Key(tag, "SQ", element.private_creator, None, inner or None)
            continue
        text = "" if tag in _NOT_MATCHED else _text(element, vr, query, decode).strip()
        found[tag] = _key(tag, vr, element.private_creator, text, rules)
    return tuple(found[tag] for tag in sorted(found))


def _key(tag: int, vr: str, creator: str, text: str, rules: Rules) -> Key:
    if not text.strip("*") or (text == "-" and vr in RANGE_VRS):
        return Key(tag, vr, creator, None)
    if vr in RANGE_VRS and "\\" not in text:
        if "*" in text or "?" in text:
            raise BadWorklistQuery(f"Wildcards are not allowed on {format_tag(tag)}")
        span = _span(vr, text)
        return Key(tag, vr, creator, _within(vr, span), span=span if "-" in text else None)
    try:
        match = parse_text(text)
    except BadMatch:
        raise BadWorklistQuery(f"The value of {format_tag(tag)} cannot be matched") from None
    if ("*" in text or "?" in text) and vr not in WILDCARD_VRS and vr != "UN":
        raise BadWorklistQuery(f"Wildcards are not allowed on {format_tag(tag)}")
    return Key(tag, vr, creator, _accepts(match, vr, rules))


def _accepts(match: Match, vr: str, rules: Rules) -> Accepts:
    if vr == "PN":
        accept = accepts(match, case_sensitive=rules.case_sensitive_names)
        # A name matches in any of its representations (PS3.5 6.2.1.1), with or without trailing delimiters.
        return lambda value: (
            accept(value) or any(accept(group) or accept(group.rstrip("^ ")) for group in value.split("="))
        )
    return accepts(match, case_sensitive=vr != "AE" or rules.case_sensitive_titles)


# -- dates and times -----------------------------------------------------------------------------------------


def _span(vr: str, text: str) -> Range:
    """The range that a text asks for; a single value is the range of what it may stand for."""
    if "-" not in text:
        return Range(_plain(vr, text), _plain(vr, text))
    lower, _, upper = text.partition("-")
    return Range(_plain(vr, lower) or None, _plain(vr, upper) or None)


def _plain(vr: str, text: str) -> str:
    """A date or time without the delimiters of its older forms (PS3.5 6.2, notes)."""
    text = text.strip()
    return text.replace(".", "") if vr == "DA" else text.replace(":", "")


def _within(vr: str, span: Range) -> Accepts:
    """Whether a value lies in a range; what a bound leaves out (the seconds of a time) counts in full."""

    def accept(value: str) -> bool:
        for part in value.split("\\"):
            plain = _plain(vr, part)
            if plain and _is_between(vr, plain, span):
                return True
        return False

    return accept


def _is_between(vr: str, value: str, span: Range) -> bool:
    return (span.lower is None or _first(vr, value) >= _first(vr, span.lower)) and (
        span.upper is None or _first(vr, value) <= _last(vr, span.upper)
    )


_DIGITS = {"DA": 8, "TM": 6, "DT": 14}  # before the fraction
_WIDTH = 26  # characters of the longest of these values


def _first(vr: str, text: str) -> str:
    """The first moment that a text can stand for, in a form that sorts."""
    return _filled(vr, text, "0")


def _last(vr: str, text: str) -> str:
    """The last one."""
    return _filled(vr, text, "9")


def _filled(vr: str, text: str, digit: str) -> str:
    whole, _, fraction = text.partition(".")
    return f"{whole.ljust(_DIGITS[vr], digit)}.{fraction}".ljust(_WIDTH, digit)


def _matches_step(keys: Sequence[Key], step: list[Element], item: Dataset, decode: Decoder) -> bool:
    moment = _moment(keys)
    if moment is None:
        return all(_matches(key, step, item, decode) for key in keys)
    others = [key for key in keys if key.tag not in (START_DATE, START_TIME)]
    return all(_matches(key, step, item, decode) for key in others) and _starts_in(moment, step, item, decode)


def _starts_in(moment: tuple[Range, Range], step: list[Element], item: Dataset, decode: Decoder) -> bool:
    """Whether a step starts within the moments that two ranges tell together (table K.6-1)."""
    texts = [
        next((_text(element, vr, item, decode) for element in step if element.tag == tag), "")
        for tag, vr in ((START_DATE, "DA"), (START_TIME, "TM"))
    ]
    date, time = _plain("DA", texts[0]), _plain("TM", texts[1])
    if not date:
        return False
    dates, times = moment
    lower = None if dates.lower is None else dates.lower + _first("TM", times.lower or "")
    upper = None if dates.upper is None else dates.upper + _last("TM", times.upper or "")
    value = date + _first("TM", time)
    return (lower is None or value >= lower) and (upper is None or value <= upper)


def _moment(keys: Sequence[Key]) -> tuple[Range, Range] | None:
    spans = {key.tag: key.span for key in keys}
    dates, times = spans.get(START_DATE), spans.get(START_TIME)
    return None if dates is None or times is None else (dates, times)


# -- matching and returning ----------------------------------------------------------------------------------


def _matches(key: Key, elements: Sequence[Element], item: Dataset, decode: Decoder) -> bool:
    if not _asks(key):
        return True
    element = _find(elements, key)
    if element is None:
        return False
    if key.keys is not None:
        keys = key.keys
        return any(
            all(
                _matches(inner, found, item, decoder_of(found, decode, item.default_encoding))
                for inner in keys
            )
            for found in element.items or ()
        )
    return key.accept is not None and key.accept(_text(element, key.vr, item, decode))


def _returned(key: Key, elements: Sequence[Element], item: Dataset, decode: Decoder) -> Element:
    """The attribute as the answer has it, empty if the item does not have it."""
    if is_private_creator(key.tag):
        return Element(key.tag, "LO", key.value)
    element = _find(elements, key)
    if element is None:
        items: list[list[Element]] | None = [] if key.vr == "SQ" else None
        return Element(key.tag, key.vr, _NOTHING, items, key.creator)
    if key.keys is None or element.items is None:
        return replace(element, tag=key.tag)
    kept = []
    for found in element.items:
        inner = decoder_of(found, decode, item.default_encoding)
        if all(_matches(each, found, item, inner) for each in key.keys):
            own = [each for each in found if each.tag == CHARACTER_SET]
            kept.append(_in_order([*own, *(_returned(each, found, item, inner) for each in key.keys)]))
    return Element(key.tag, "SQ", _NOTHING, kept, key.creator)


def _find(elements: Sequence[Element], key: Key) -> Element | None:
    if is_private(key.tag) and key.creator:
        place = key.tag & 0xFFFF00FF
        return next(
            (
                each
                for each in elements
                if each.tag & 0xFFFF00FF == place and each.private_creator == key.creator
            ),
            None,
        )
    return next((each for each in elements if each.tag == key.tag), None)


def _text(element: Element, vr: str, item: Dataset, decode: Decoder) -> str:
    if element.items is not None:
        return ""
    kind = element.vr if element.vr != "UN" else vr
    text = value_text("LT" if kind == "UN" else kind, bytes(element.value), decode, item.sign)
    return (text or "").replace("\0", "")


def _in_order(elements: Sequence[Element]) -> list[Element]:
    return sorted(elements, key=lambda element: element.tag)
