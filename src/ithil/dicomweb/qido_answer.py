"""From matches to objects of the DICOM JSON Model (PS3.18 F): what every form of a QIDO-RS answer is made of.

The index holds attributes as text, and each VR has one small function from text to JSON, chosen once for a
request. Files are opened only for attributes that the index cannot know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from ithil.archive import find
from ithil.archive import find_attributes as archived
from ithil.archive.archive import Archive
from ithil.archive.find_attributes import File, Match, Texts
from ithil.archive.matching import LONGEST_VALUE
from ithil.dicom import json_model
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.dictionary import is_private, is_private_creator, tag_vr, when_changed
from ithil.dicom.json_model import Json, values_of_text
from ithil.dicom.level import Level
from ithil.dicom.native_values import BINARY_VRS
from ithil.dicom.uids import TRANSFER_SYNTAXES
from ithil.dicom.values import TEXT_VRS
from ithil.dicomweb.links import instance_link, series_link, study_link
from ithil.dicomweb.qido_attributes import CHARACTER_SET, IN_FILES, MODALITIES_IN_STUDY, RETRIEVE_URL, Shown
from ithil.dicomweb.qido_ready import CAPACITY, ReadyJson

LARGEST_VALUE = LONGEST_VALUE
"""Bytes of a value in a file beyond which it is left out of answers; it can be had as bulk data."""

LARGEST_RESULT = 1 << 20
"""Weight of what one result shows of a file. An element weighs its bytes and `_ELEMENT`, a sequence all that is in
it; what weighs too much together with what comes before it is left out."""

HEAVY = 1 << 20
"""Weight of a batch of results that is handed out before it has as many as `find.FILE_BATCH`."""

_ELEMENT = 64  # for what an element is in memory beside its value

_STUDY, _SERIES, _INSTANCE = "0020000d", "0020000e", "00080018"
_MODALITIES = f"{MODALITIES_IN_STUDY:08X}"
_URL = f"{RETRIEVE_URL:08X}"
_UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
_ready = ReadyJson(CAPACITY)
when_changed(_ready.clear)


Column = tuple[str, str, Callable[[str], Json], Json | None]
"""How one attribute gets into an answer: its name, its key among texts, its JSON from text, and what is shown
without a value (None: nothing). A plain tuple, since an answer goes through thousands of them."""


@dataclass(slots=True)
class Answers:
    """Makes the objects of one answer.

    `root` is the address of the service. With `whole_files` everything that files have is shown; without
    `open_files` nothing that only files have. `unread` counts the matches so far that lack something since
    their file could not be read.
    """

    archive: Archive
    level: Level
    shown: Shown
    root: str
    whole_files: bool = False
    open_files: bool = True
    unread: int = field(default=0, init=False)
    _weight: int = field(default=0, init=False)  # of the results of a batch, as far as they come from files

    def objects(self, keys: Iterable[Sequence[int]]) -> Iterator[list[Json]]:
        """The objects of the matches with these internal ids, batch by batch.

        Where files are opened, batches are small: each is handed out before many more files are read.
        """
        columns = _columns(self.shown.always, self.shown.if_known)
        for matches in self._found(keys):
            files = self._files(matches)
            objects = []
            for match in matches:
                one = _object(columns, match.texts, self._link(match.texts))
                file = files.get(match.key)
                if file is not None:
                    one = _merged(one, self._inside(file))
                objects.append(one)
                if files and (len(objects) >= find.FILE_BATCH or self._weight > HEAVY):
                    yield objects
                    objects, self._weight = [], 0
            if objects:
                yield objects

    def json(self, keys: Iterable[Sequence[int]]) -> Iterator[bytes]:
        """The same as JSON: of each batch its objects, with commas between them."""
        if self._opens_files or self.level != Level.STUDY:
            for objects in self.objects(keys):
                yield orjson.dumps(objects)[1:-1]
            return
        columns = _columns(self.shown.always, self.shown.if_known)

        def make(match: Match) -> bytes:
            return orjson.dumps(_object(columns, match.texts, self._link(match.texts)))

        for matches in self._found(keys):
            if matches:
                yield b",".join(_ready.of((self.shown, self.root), matches, make))

    def _found(self, keys: Iterable[Sequence[int]]) -> Iterator[list[Match]]:
        return archived.matches(
            self.archive,
            self.level,
            keys,
            self.shown.collected,
            declared=self.shown.in_files,
            of_one_series=self.shown.of_one_series,
        )

    def _link(self, texts: Texts) -> str:
        study = texts.get(_STUDY, "")
        if self.level == Level.STUDY:
            return study_link(self.root, study)
        if self.level == Level.SERIES:
            return series_link(self.root, study, texts.get(_SERIES, ""))
        return instance_link(self.root, study, texts.get(_SERIES, ""), texts.get(_INSTANCE, ""))

    # -- files ---------------------------------------------------------------------------------------------

    @property
    def _opens_files(self) -> bool:
        """Whether something is to be shown that may only be in files."""
        return self.open_files and (self.whole_files or bool(self.shown.in_files))

    def _files(self, matches: Sequence[Match]) -> dict[int, File]:
        """The files to look into for what is to be shown and is not in the index, by internal id."""
        wanted = self.shown.in_files
        if not self._opens_files:
            return {}
        keys = {f"{tag:08x}" for tag in wanted}
        lacking = matches if self.whole_files else [one for one in matches if not keys <= one.texts.keys()]
        if not self.whole_files and wanted <= _OF_IMAGES:
            lacking = [one for one in lacking if _may_be_image(one)]
        return archived.files(self.archive, self.level, lacking)

    def _inside(self, file: File) -> Json:
        """What is to be shown of a file."""
        wanted = self.shown.in_files
        if self.whole_files or not all(_is_plain(tag) for tag in wanted):
            return self._elements(file, wanted)
        found = archived.texts_in_file(self.archive, file, wanted)
        if found is None:
            self.unread += 1
            return {}
        return {f"{tag:08X}": _convert(tag_vr(tag))(text) for tag, text in found.items()}

    def _elements(self, file: File, wanted: frozenset[int]) -> Json:
        header = archived.header_of(self.archive, file)
        if header is None:
            self.unread += 1
            return {}
        creators = {tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in wanted if is_private(tag)}
        kept = []
        left = LARGEST_RESULT
        for each in header.elements:
            if self.whole_files or each.tag in wanted or each.tag in creators:
                weight = _weight_of(each, left)
                if weight <= left and _fits(each):
                    kept.append(each)
                    left -= weight
        self._weight += LARGEST_RESULT - left
        if not any(each.tag == CHARACTER_SET for each in kept):
            kept = [each for each in header.elements if each.tag == CHARACTER_SET] + kept
        chosen = Dataset(kept, header.transfer_syntax_uid, header.big_endian, header.default_encoding)
        found = json_model.to_object(chosen)
        found.pop(f"{CHARACTER_SET:08X}", None)
        return found


def _fits(element: Element) -> bool:
    """Whether an element of a file can be shown in an answer."""
    return len(element.value) <= LARGEST_VALUE and element.vr not in BINARY_VRS


def _weight_of(element: Element, most: int) -> int:
    """The weight of an element with all that is in it; counting ends beyond `most`."""
    weight = 0
    pending = [element]
    while pending and weight <= most:
        one = pending.pop()
        weight += _ELEMENT + len(one.value)
        for inside in one.items or ():
            weight += _ELEMENT
            if weight > most:
                break
            pending += inside
    return weight


_OF_IMAGES = frozenset(IN_FILES[Level.INSTANCE])


def _may_be_image(match: Match) -> bool:
    """Whether the file of a match may have pixels: it has, or the index cannot know, or they are elsewhere."""
    syntax = TRANSFER_SYNTAXES.get(match.texts.get("00083002", ""))
    if match.file is None or match.file[0] is not None or syntax is None:
        return True
    return syntax.deflated or syntax.uid in _REFERENCED


_REFERENCED = frozenset({"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.204"})  # JPIP


def _is_plain(tag: int) -> bool:
    """Whether the scanner finds the attribute: public, and with a text or numbers."""
    return not is_private(tag) and (tag_vr(tag) in TEXT_VRS or tag_vr(tag) in _NUMBERS)


_NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD"})


def _merged(one: Json, inside: Json) -> Json:
    """An object together with what a file has; what the index says counts more, unless it says nothing."""
    known = {name: value for name, value in one.items() if len(value) > 1 or name not in inside}
    return dict(sorted({**inside, **known}.items()))


# -- text to JSON --------------------------------------------------------------------------------------------


def _object(columns: Sequence[Column], texts: Texts, link: str) -> Json:
    shown: Json = {}
    get = texts.get
    for name, key, convert, missing in columns:
        text = get(key)
        if text is not None:
            shown[name] = convert(text)
        elif missing is not None:
            shown[name] = missing
    if len(shown.get(_MODALITIES, ())) == 1:  # without a value, on which OHIF's study list would break
        del shown[_MODALITIES]
    shown[_URL] = {"vr": "UR", "Value": [link]}
    return shown


@lru_cache(maxsize=256)
def _columns(always: frozenset[int], if_known: frozenset[int]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for tag in sorted(always | if_known):
        if is_private_creator(tag) or is_private(tag):
            continue  # a private attribute is found in files alone
        vr = tag_vr(tag)
        missing = {"vr": vr} if tag in always else None
        if tag == CHARACTER_SET:
            columns.append((f"{tag:08X}", "", _convert(vr), _UTF8))  # whatever a file has
            continue
        columns.append((f"{tag:08X}", f"{tag:08x}", _convert(vr), missing))
    return tuple(columns)


when_changed(_columns.cache_clear)


@lru_cache(maxsize=64)
def _convert(vr: str) -> Callable[[str], Json]:
    """The function that makes the JSON of an attribute of this VR from its text."""
    empty = {"vr": vr}

    def one(text: str) -> Json:
        if not text:
            return empty
        if "\\" in text or text[-1] == " ":
            return several(text)
        return {"vr": vr, "Value": [text]}

    def person(text: str) -> Json:
        if not text:
            return empty
        if "\\" in text or "=" in text:
            return several(text)
        return {"vr": vr, "Value": [{"Alphabetic": text}]}

    def number(text: str) -> Json:
        if len(text) < _EXACT_DIGITS and text.isascii() and text.isdigit():
            return {"vr": vr, "Value": [int(text)]}
        return several(text)

    def several(text: str) -> Json:
        values: list[Any] = values_of_text(vr, text)
        return {"vr": vr, "Value": values} if any(value is not None for value in values) else empty

    if vr == "PN":
        return person
    if vr == "IS":
        return number
    return one if vr in _PLAIN_TEXT else several


_EXACT_DIGITS = 16  # numbers of fewer digits are the same in every reader of JSON
_PLAIN_TEXT = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI"})
