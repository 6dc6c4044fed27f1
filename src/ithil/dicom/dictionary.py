"""The data dictionary: tags, keywords and VRs, public and private, plus what the configuration adds.

It draws on pydicom's tables, read on first use (`pydicom_tables`), and shows names in Orthanc's form: the
keyword, with `RETIRED_` before it if the standard has retired the element. The entries of the option
`Dictionary` are laid over them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ithil.dicom import private_tags, pydicom_tables

UNKNOWN_NAME = "Unknown Tag & Data"
"""What Orthanc calls a tag that no dictionary knows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the dictionary says of a tag. `vr` is the first one where the standard leaves a choice."""

    vr: str
    name: str
    minimum: int = 1
    maximum: int = 1
    creator: str = ""


class Dictionary:
    """The entries that a configuration adds to the standard's; one instance serves the whole process."""

    def __init__(self) -> None:
        self._public: dict[int, Entry] = {}
        self._private: dict[tuple[str, int], Entry] = {}
        self._names: dict[str, int] = {}
        self.use_private = True

    def register(self, tag: int, entry: Entry) -> None:
        """Adds or replaces an entry. A private one counts for any block its creator reserves.

        Raises ValueError if a private element has no creator or a public one has one.
        """
        if is_private(tag) != bool(entry.creator):
            raise ValueError("a private creator goes with private tags, and only with them")
        if entry.creator:
            self._private[entry.creator, tag & 0xFFFF00FF] = entry
        else:
            self._public[tag] = entry
        self._names[entry.name] = tag
        _forget()

    def clear(self) -> None:
        """Forgets all that was registered."""
        self._public.clear()
        self._private.clear()
        self._names.clear()
        _forget()

    def public(self, tag: int) -> Entry | None:
        """The entry that was registered for a public tag."""
        return self._public.get(tag)

    def private(self, tag: int, creator: str) -> Entry | None:
        """The entry that was registered for a private tag of this creator."""
        return self._private.get((creator, tag & 0xFFFF00FF))

    def by_name(self, name: str) -> int | None:
        """The tag that was registered under this name."""
        return self._names.get(name)


_dependents: list[Callable[[], object]] = []


def when_changed(forget: Callable[[], object]) -> None:
    """Have `forget` called whenever `configured` has changed.

    For whoever keeps what follows from names or VRs: a server that starts anew with another configuration does so
    in the same process.
    """
    _dependents.append(forget)


configured = Dictionary()
"""What the options `Dictionary` and `LoadPrivateDictionary` say; filled at each start of the server."""


def is_private(tag: int) -> bool:
    """Whether the tag has an odd group number (PS3.5 7.8)."""
    return bool(tag & 0x10000)


def is_private_creator(tag: int) -> bool:
    """Whether the element reserves a block of private elements: (gggg,0010-00FF) with an odd group."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


def format_tag(tag: int) -> str:
    """The tag as Orthanc writes it: `0010,0020`, in lower case."""
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


_HEXADECIMAL = re.compile(r"([0-9a-fA-F]{4})[,-]?([0-9a-fA-F]{4})\Z")


def parse_tag(text: str) -> int:
    """The tag that `PatientName`, `0010,0010`, `0010-0010` or `00100010` names; ValueError for any other."""
    match = _HEXADECIMAL.match(text)
    if match is not None:
        return int(match[1] + match[2], 16)
    tag = tag_for_keyword(text)
    if tag is None:
        raise ValueError(f"unknown DICOM tag: {text[:64]!r}")
    return tag


def tag_for_keyword(keyword: str) -> int | None:
    """The public or configured tag with this keyword or Orthanc name, or None."""
    tag = configured.by_name(keyword)
    if tag is None:
        tag = _by_keyword().get(keyword)
    return tag


@lru_cache(maxsize=1)
def _by_keyword() -> dict[str, int]:
    names = {entry[4]: tag for tag, entry in pydicom_tables.elements().items() if entry[4]}
    names.update((f"RETIRED_{e[4]}", t) for t, e in pydicom_tables.elements().items() if e[3] and e[4])
    return names


@lru_cache(maxsize=1)
def _repeaters() -> list[tuple[int, int, pydicom_tables.DictionaryEntry]]:
    """(mask, value, entry) of each repeating group."""
    masks = []
    for pattern, entry in pydicom_tables.repeaters().items():
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        masks.append((mask, int(pattern.replace("x", "0"), 16), entry))
    return masks


def _standard(tag: int) -> pydicom_tables.DictionaryEntry | None:
    entry = pydicom_tables.elements().get(tag)
    if entry is None and not is_private(tag):
        for mask, value, repeated in _repeaters():
            if tag & mask == value:
                return repeated
    return entry


def _private(tag: int, creator: str) -> tuple[str, str] | None:
    return private_tags.private_entry(tag, creator) if configured.use_private else None


@lru_cache(maxsize=16384)
def tag_vr(tag: int, creator: str = "") -> str:
    """The VR of a tag, as needed to read implicit VR; `UN` if unknown.

    Where the standard leaves a choice it is `OW` if that is one, else the first: `US` for `US or SS`.
    """
    if creator:
        entry = configured.private(tag, creator)
        if entry is not None:
            return entry.vr
        known = _private(tag, creator)
        return known[0] if known is not None else "UN"
    entry = configured.public(tag)
    if entry is not None:
        return entry.vr
    if tag & 0xFFFF == 0:
        return "UL"
    if is_private_creator(tag):
        return "LO"
    standard = _standard(tag)
    if standard is None:
        return "UN"
    choices = standard[0].split(" or ")
    return "OW" if "OW" in choices else choices[0] or "UN"


@lru_cache(maxsize=16384)
def may_be_signed(tag: int) -> bool:
    """Whether PixelRepresentation decides if the numbers of this element are US or SS."""
    standard = _standard(tag) if not is_private(tag) else None
    return standard is not None and standard[0] == "US or SS"


@lru_cache(maxsize=16384)
def tag_name(tag: int, creator: str = "") -> str:
    """The name of a tag as Orthanc shows it, `Unknown Tag & Data` if it has none.

    `creator` is the private creator whose block holds the tag, for private tags.
    """
    if creator:
        return _private_name(tag, creator)
    entry = configured.public(tag)
    if entry is not None:
        return entry.name
    if is_private(tag):
        if is_private_creator(tag):
            return "PrivateCreator"
        return "PrivateGroupLength" if tag & 0xFFFF == 0 else UNKNOWN_NAME
    standard = _standard(tag)
    if tag in _NOT_MARKED_RETIRED and standard is not None:
        return standard[4]
    if standard is not None and standard[4]:
        return f"RETIRED_{standard[4]}" if standard[3] else standard[4]
    return "GenericGroupLength" if tag & 0xFFFF == 0 else UNKNOWN_NAME


@lru_cache(maxsize=16384)
def labels(tag: int, creator: str = "") -> tuple[str, str]:
    """Number and name of a tag as Orthanc shows them, in one look for those who show many."""
    return format_tag(tag), tag_name(tag, creator)


def _private_name(tag: int, creator: str) -> str:
    entry = configured.private(tag, creator)
    if entry is not None:
        return entry.name
    known = _private(tag, creator)
    return known[1] if known is not None else UNKNOWN_NAME


_NOT_MARKED_RETIRED = frozenset(
    {
        0x00101000,  # OtherPatientIDs: a main tag of patients, which Orthanc names itself
        # Retired after the edition of the standard that Orthanc's names come from.
        *(0x00380004, 0x00701807, 0x00701808, 0x30040010, 0x30040012),
        *(0x30060085, 0x30060088, 0x3008002B, 0x30100090),
    }
)
"""Retired elements that Orthanc shows without the prefix `RETIRED_`."""


def _forget() -> None:
    tag_name.cache_clear()
    labels.cache_clear()
    tag_vr.cache_clear()
    for forget in _dependents:
        forget()
