"""Which workitems a search or a filtered subscription takes (PS3.4 C.2.2.2, CC.2.8).

A workitem matches if each key does; keys of attributes in the items of one sequence must all match in the same
item. Workitems are matched one by one in Python: there are thousands of them at most,
and a search that names a state, a patient or a study looks at those only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.archive.fuzzy import like, words
from ithil.archive.matching import RANGE_VRS, Accepts, BadMatch, Equal, Match, Range, accepts, parse
from ithil.archive.workitems_model import Attributes, as_text, items, values
from ithil.dicom.dictionary import parse_tag, tag_vr
from ithil.error_codes import CodedError

MOST_KEYS = 100
MOST_DEPTH = 8  # tags of one path
LONGEST_KEY = 1024  # characters

_WIDTH = 26  # characters of the longest date and time


@dataclass(frozen=True, slots=True)
class Key:
    """What an attribute must be like: its value, or those of `inner` in some item of it."""

    tag: str  # eight digits
    match: Match | None  # None takes everything
    test: Accepts
    inner: tuple[Key, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether there is anything that it does not take."""
        return self.match is not None or any(key.asks for key in self.inner)

    def takes(self, attributes: Attributes) -> bool:
        """Whether a data set matches."""
        if not self.asks:
            return True
        if self.inner:
            return any(matches(self.inner, item) for item in items(attributes, self.tag))
        return any(self.test(as_text(value)) for value in values(attributes, self.tag))


def parse_path(name: str) -> tuple[str, ...]:
    """The tags that `PatientID`, `00100020` or `00404025.00080100` names. Raises CodedError (bad request)."""
    parts = name.split(".") if len(name) <= LONGEST_KEY else []
    if not 0 < len(parts) <= MOST_DEPTH:
        raise CodedError(codes.BAD_REQUEST, "An attribute is a keyword, a tag, or several with dots between")
    try:
        return tuple(f"{parse_tag(part):08X}" for part in parts)
    except ValueError:
        shown = f': "{name}"' if len(name) <= 64 and name.isascii() and name.isprintable() else ""
        raise CodedError(codes.BAD_REQUEST, f"No attribute has this keyword or tag{shown}") from None


def parse_keys(
    pairs: Iterable[tuple[str, str]], *, case_sensitive: bool = False, fuzzy: bool = False
) -> list[Key]:
    """The keys that names and texts ask for; `fuzzy` takes similar names of persons too (see `fuzzy`).

    Raises CodedError (bad request).
    """
    found: list[tuple[tuple[str, ...], Key]] = []
    for name, text in pairs:
        path = parse_path(name)
        tag = int(path[-1], 16)
        vr = tag_vr(tag)
        if vr == "SQ" and text:
            raise CodedError(codes.BAD_REQUEST, "A sequence is searched by an attribute of its items")
        if vr == "UI":
            text = text.replace(",", "\\")  # lists of UIDs, as PS3.18 8.3.4.1 writes them
        try:
            match = parse(tag, text) if vr != "SQ" else None
        except BadMatch as error:
            raise CodedError(codes.BAD_REQUEST, str(error)) from None
        test = _test(match, vr, case_sensitive)
        if fuzzy and vr == "PN" and words(text):
            test = _either(test, like(text))
        found.append((path, Key(path[-1], match, test)))
        if len(found) > MOST_KEYS:
            raise CodedError(codes.BAD_REQUEST, f"A search can have {MOST_KEYS} keys")
    return _grouped(found)


def _grouped(found: Sequence[tuple[tuple[str, ...], Key]]) -> list[Key]:
    """The keys with those of one sequence together."""
    grouped = [key for path, key in found if len(path) == 1]
    for tag in dict.fromkeys(path[0] for path, _ in found if len(path) > 1):
        below = [(path[1:], key) for path, key in found if len(path) > 1 and path[0] == tag]
        grouped.append(Key(tag, None, _anything, tuple(_grouped(below))))
    return grouped


def _anything(_value: str) -> bool:
    return True


def _either(first: Accepts, second: Accepts) -> Accepts:
    return lambda value: first(value) or second(value)


def matches(keys: Sequence[Key], attributes: Attributes) -> bool:
    """Whether all keys take a data set."""
    return all(key.takes(attributes) for key in keys)


def narrowed(keys: Sequence[Key], tag: str) -> str:
    """The one value that the keys demand of a top-level attribute, "" if they do not."""
    for key in keys:
        if key.tag == tag and isinstance(key.match, Equal):
            return key.match.value
    return ""


def _test(match: Match | None, vr: str, case_sensitive: bool) -> Accepts:
    if match is None:
        return _anything
    if vr in RANGE_VRS:
        return _moment(match)
    accept = accepts(match, case_sensitive=case_sensitive)
    if vr == "PN":
        # A name matches in any of its representations, with or without trailing delimiters (PS3.5 6.2.1.1).
        return lambda value: (
            accept(value) or any(accept(group) or accept(group.rstrip("^ ")) for group in value.split("="))
        )
    return accept


def _moment(match: Match) -> Accepts:
    """Dates and times, where what a text leaves out (the hour of a day) counts in full."""
    if isinstance(match, Equal):
        span = Range(match.value, match.value)
    elif isinstance(match, Range):
        span = match
    else:
        return accepts(match, case_sensitive=True)
    lower = _plain(span.lower).ljust(_WIDTH, "0") if span.lower else ""
    upper = _plain(span.upper).ljust(_WIDTH, "9") if span.upper else "~"
    return lambda value: bool(value.strip()) and lower <= _plain(value).ljust(_WIDTH, "0") <= upper


def _plain(text: str) -> str:
    """A date and time without its offset from UTC and without delimiters."""
    return text.strip().split("+", 1)[0].split("-", 1)[0].replace(".", "").replace(":", "")
