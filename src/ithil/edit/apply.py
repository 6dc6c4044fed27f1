"""Editing one instance by a recipe: bytes in, bytes out, without any state.

The order is the one that Orthanc's users know: private elements go, the confidentiality profile empties,
removes and renames, elements of the data set are removed and replaced, identifiers are made anew, and paths
into sequences come last. The profile, and the new names of instances that are edited together, reach into the
items of all sequences.
"""

from __future__ import annotations

import datetime
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import lru_cache

import orjson

from ithil.dicom import charsets, dictionary
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Element, decoder_of, parse_span
from ithil.dicom.encoding import DEFAULT_LIMITS, Buffer, ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.main_tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.dicom.values import clean_text
from ithil.edit import document as documents
from ithil.edit import text
from ithil.edit.document import Document
from ithil.edit.identifiers import days_to_shift, new_patient_id, new_uid
from ithil.edit.private import place_private
from ithil.edit.profile import Action, profile
from ithil.edit.recipe import IDENTIFIERS, PATIENT_NAME, Recipe
from ithil.edit.tag_path import EVERY, TagPath
from ithil.edit.values import Encoder, Value, element_of, parse_value, texts_of

_UIDS = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
_NOTHING = memoryview(b"")
_DATE = re.compile(rb"\s*(\d{4})\.?(\d{2})\.?(\d{2})")

Parents = tuple[tuple[int, int], ...]


def apply(
    recipe: Recipe | Editor,
    content: Buffer,
    renamed: Mapping[str, str] | None = None,
    *,
    head_only: bool = False,
    limits: ScanLimits = DEFAULT_LIMITS,
    sop_uid: str = "",
) -> bytes:
    """The edited form of a DICOM file; of its part before the pixel data with `head_only`.

    `renamed` maps UIDs of the studies, series and instances that are edited together to what becomes of them,
    so that references among them stay right. `sop_uid` is the SOPInstanceUID of a file that got another one
    when it was transcoded. Raises DicomError for bytes that are no acceptable DICOM,
    CodedError for a value that has no place in this very data set.
    """
    editor = recipe if isinstance(recipe, Editor) else compiled(recipe)
    default_encoding = editor.recipe.default_encoding
    document = documents.read(content, head_only=head_only, limits=limits, default_encoding=default_encoding)
    if editor.recipe.anonymizes:
        document.source_aet = ""  # the name of a device
    editor.edit(document, renamed or {}, limits, sop_uid)
    return documents.write(document)


def compiled(recipe: Recipe) -> Editor:
    """The editor for a recipe, kept for the next instance of the same job."""
    return _compiled(orjson.dumps(recipe.to_json()))


@lru_cache(maxsize=16)
def _compiled(json: bytes) -> Editor:
    return Editor(Recipe.from_json(orjson.loads(json)))


class Editor:
    """A recipe with everything looked up that is the same for all instances. Safe for threads."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._secret = bytes.fromhex(recipe.secret)
        self._profile = profile(recipe.version, recipe.options) if recipe.anonymizes else None
        self._keep = frozenset(path.tag for path in recipe.keep if path.is_plain)
        self._keep_paths = tuple(path for path in recipe.keep if not path.is_plain)
        self._remove = frozenset(path.tag for path in recipe.remove if path.is_plain)
        self._remove_paths = tuple(path for path in recipe.remove if not path.is_plain)
        values: dict[TagPath, Value] = {
            path: parse_value(path.tag, json, recipe.private_creator) for path, json in recipe.replace.items()
        }
        self._values = {path.tag: value for path, value in values.items() if path.is_plain}
        self._path_values = {path: value for path, value in values.items() if not path.is_plain}
        self._texts = tuple(found for value in values.values() for found in texts_of(value))
        # What nested elements with the patient's name become; their own path can say otherwise.
        name = self._values.get(PATIENT_NAME, "")
        self._name = name if isinstance(name, str) and name.isascii() else ""

    def edit(
        self,
        document: Document,
        renamed: Mapping[str, str],
        limits: ScanLimits = DEFAULT_LIMITS,
        sop_uid: str = "",
    ) -> None:
        """Edit `document` in place; see `apply`."""
        document.elements = [
            each for each in document.elements if each.tag > 0x0007FFFF and each.tag & 0xFFFF
        ]
        new = {tag: (old, self.new_identifier(tag, old)) for tag, old in _identifiers(document)}
        if sop_uid:
            new[SOP_INSTANCE_UID] = (
                new[SOP_INSTANCE_UID][0],
                self.new_identifier(SOP_INSTANCE_UID, sop_uid),
            )
        known = {**renamed, **{new[tag][0]: new[tag][1] for tag in _UIDS if new[tag][0]}}
        walk = _Walk(self, document, known, new[PATIENT_ID], limits)
        if self._profile is not None:
            document.elements = walk.clean(document.elements, ())
        else:
            document.elements = walk.rename(document.elements)
        document.elements = [each for each in document.elements if each.tag not in self._remove]
        encode = self._make_room(document)
        for tag, value in sorted(self._values.items()):
            self._set(document, tag, value, encode)
        for tag, (old, value) in new.items():
            if value != old or (self.recipe.renews(tag) and document.find(tag) is None):
                _put(document.elements, element_of(tag, value, encode, document.sign))
        for path in self._remove_paths:
            for item in _items_of(document.elements, path.parents, self._keep):
                item[:] = [each for each in item if each.tag != path.tag]
        for path, value in self._path_values.items():
            for item in _items_of(document.elements, path.parents, self._keep):
                _put(item, self._element(path.tag, value, encode, document.sign, item))

    def new_identifier(self, tag: int, old: str) -> str:
        """What becomes of a PatientID or of one of the three UIDs."""
        given = self._values.get(tag)
        if isinstance(given, str):
            return given
        if not self.recipe.renews(tag):
            return old
        return new_patient_id(self._secret, old) if tag == PATIENT_ID else new_uid(self._secret, old)

    def _make_room(self, document: Document) -> Encoder:
        wanted = self._values.get(text.SPECIFIC_CHARACTER_SET)
        target = None if wanted is None or not isinstance(wanted, str) else wanted.encode("ascii", "replace")
        return text.make_room(document.elements, self._texts, document.default_encoding, target)

    def _set(self, document: Document, tag: int, value: Value, encode: Encoder) -> None:
        if tag == text.SPECIFIC_CHARACTER_SET or tag in IDENTIFIERS:
            return  # done with the text, or with the other identifiers
        elements = document.elements
        if self.recipe.private_creator and dictionary.is_private(tag) and tag & 0xFFFF > 0xFF:
            tag = place_private(elements, tag, self.recipe.private_creator, encode)
        _put(elements, self._element(tag, value, encode, document.sign, elements))

    def _element(self, tag: int, value: Value, encode: Encoder, sign: str, among: list[Element]) -> Element:
        present = next((each.vr for each in among if each.tag == tag), "")
        return element_of(tag, value, encode, sign, self.recipe.private_creator, present)


def _identifiers(document: Document) -> list[tuple[int, str]]:
    return [(tag, document.text(tag)) for tag in IDENTIFIERS]


class _Walk:
    """One pass over the elements of a data set and of its sequences."""

    def __init__(
        self,
        editor: Editor,
        document: Document,
        renamed: Mapping[str, str],
        patient: tuple[str, str],
        limits: ScanLimits,
    ) -> None:
        self._e = editor
        self._secret = editor._secret
        self._drop_private = editor.recipe.remove_private
        self._renamed = renamed
        self._renamed_raw = frozenset(uid.encode("ascii", "replace") for uid in renamed)
        self._patient = patient
        self._limits = limits
        self._sign = document.sign
        self._default_encoding = document.default_encoding
        self._decode: Decoder = decoder_of(
            document.elements, charsets.decoder(None, document.default_encoding), document.default_encoding
        )

    # -- anonymisation ---------------------------------------------------------------------------------------

    def clean(self, elements: list[Element], parents: Parents) -> list[Element]:
        """The elements after the confidentiality profile."""
        profile_of = self._e._profile
        assert profile_of is not None
        remove, values = self._e._remove, self._e._values
        kept: list[Element] = []
        creators = _creators(element.tag for element in elements if self._is_kept(element.tag, parents))
        for element in elements:
            tag = element.tag
            if not tag & 0xFFFF and parents:
                continue  # a group length, which would not be right any more
            if tag & 0x10000:
                if self._drop_private and tag not in creators and not self._is_kept(tag, parents):
                    continue
                kept.append(self._clean_items(element, parents) if element.items is not None else element)
                continue
            if self._is_kept(tag, parents):
                # A sequence on the way of a path that is kept is cleaned around that path.
                kept.append(element)
                continue
            if tag in remove or (not parents and tag in values):
                if tag in values and not parents:
                    kept.append(element)
                continue
            if tag in IDENTIFIERS or tag == PATIENT_NAME:
                kept.append(self._identity(element, parents))
                continue
            cleaned = self._cleaned(element, profile_of.action(tag), parents)
            if cleaned is not None:
                kept.append(cleaned)
        return kept

    def _is_kept(self, tag: int, parents: Parents) -> bool:
        if tag in self._e._keep and (not parents or tag not in IDENTIFIERS):
            return True
        return bool(parents) and any(path.covers(parents, tag) for path in self._e._keep_paths)

    def _leads_to_kept(self, tag: int, parents: Parents) -> bool:
        way = (*parents, (tag, EVERY))
        return any(
            len(path.parents) >= len(way)
            and all(
                mine[0] == other[0] and (EVERY in (mine[1], other[1]) or mine[1] == other[1])
                for mine, other in zip(path.parents, way, strict=False)
            )
            for path in self._e._keep_paths
        )

    def _cleaned(self, element: Element, action: Action | None, parents: Parents) -> Element | None:
        tag = element.tag
        if action in (Action.REMOVE, Action.EMPTY) and self._leads_to_kept(tag, parents):
            action = None
        if action is Action.REMOVE:
            return None
        if action is Action.EMPTY:
            if element.items is not None or dictionary.tag_vr(tag) == "SQ":
                return Element(tag, "SQ", _NOTHING, [])
            return Element(tag, element.vr, _NOTHING)
        if element.vr == "UN" and element.items is None and dictionary.tag_vr(tag) == "SQ":
            expanded = self._expanded(element)
            if expanded is None:
                return None  # a sequence that cannot be read cannot be cleaned
            element = expanded
        if element.items is not None:
            return self._clean_items(element, parents)
        if action is Action.REPLACE_UID:
            return self._renamed_uids(element, all_of_them=True)
        if action is Action.SHIFT_DATE:
            return self._shifted(element)
        if element.vr == "UI":
            return self._renamed_uids(element, all_of_them=False)
        return element

    def _clean_items(self, element: Element, parents: Parents) -> Element:
        items = [
            self.clean(item, (*parents, (element.tag, number)))
            for number, item in enumerate(element.items or ())
        ]
        return Element(element.tag, "SQ", _NOTHING, items, element.private_creator)

    def _identity(self, element: Element, parents: Parents) -> Element:
        """The name and the identifiers; those of the data set itself get their values later."""
        tag = element.tag
        if tag == PATIENT_NAME:
            name = self._e._name if parents else ""
            return Element(tag, "PN", memoryview(_padded(name, b" ")))
        if not parents:
            return element
        if tag == PATIENT_ID:
            old = clean_text(bytes(element.value), self._decode)
            new = self._patient[1] if old == self._patient[0] else new_patient_id(self._secret, old)
            return Element(tag, "LO", memoryview(_padded(new, b" ") if old else b""))
        return self._renamed_uids(element, all_of_them=True)

    def _expanded(self, element: Element) -> Element | None:
        """A sequence that was written with VR UN and thus in implicit VR (PS3.5 6.2.2, note 2)."""
        header = element.tag >> 16 & 0xFFFF, element.tag & 0xFFFF
        raw = b"".join(
            (*(part.to_bytes(2, "little") for part in header), len(element.value).to_bytes(4, "little"))
        )
        raw += element.value
        try:
            found = parse_span(raw, 0, len(raw), implicit=True, big_endian=False)
        except DicomError:
            return None
        return found[0] if len(found) == 1 and found[0].items is not None else None

    def _shifted(self, element: Element) -> Element | None:
        """A date moved into the past by days that are the same for all of the patient; times stay."""
        if element.vr not in ("DA", "DT"):
            return element if element.vr in ("TM", "SH") else None
        days = datetime.timedelta(days=days_to_shift(self._secret, self._patient[0]))
        shifted = []
        for word in bytes(element.value).rstrip(b" \0").split(b"\\"):
            found = _DATE.match(word)
            if not word:
                shifted.append(b"")
                continue
            if found is None:
                return Element(element.tag, element.vr, _NOTHING)
            try:
                date = datetime.date(*(int(part) for part in found.groups())) - days
            except (ValueError, OverflowError):
                return Element(element.tag, element.vr, _NOTHING)
            shifted.append(date.strftime("%Y%m%d").rjust(8, "0").encode("ascii") + word[found.end() :])
        raw = b"\\".join(shifted)
        return Element(element.tag, element.vr, memoryview(raw + b" " if len(raw) & 1 else raw))

    # -- modification ----------------------------------------------------------------------------------------

    def rename(self, elements: list[Element], top: bool = True) -> list[Element]:
        """The elements without private ones, if those go, and with references to what is renamed."""
        kept: list[Element] = []
        keep = self._e._keep
        creators = _creators(element.tag for element in elements if element.tag in keep)
        for element in elements:
            tag = element.tag
            if not top and not tag & 0xFFFF:
                continue
            if tag & 0x10000 and self._drop_private and tag not in creators and tag not in keep:
                continue
            if element.items is not None:
                items = [self.rename(item, top=False) for item in element.items]
                kept.append(Element(tag, "SQ", _NOTHING, items, element.private_creator))
            elif element.vr == "UI" and not (top and tag in _UIDS):
                kept.append(self._renamed_uids(element, all_of_them=False))
            else:
                kept.append(element)
        return kept

    # -- UIDs ------------------------------------------------------------------------------------------------

    def _renamed_uids(self, element: Element, *, all_of_them: bool) -> Element:
        raw = bytes(element.value).rstrip(b"\0 ")
        if not raw:
            return element
        if not all_of_them and raw not in self._renamed_raw and b"\\" not in raw:
            return element
        old = raw.decode("latin_1").split("\\")
        new = [self._new_uid(uid.strip("\0 "), all_of_them=all_of_them) for uid in old]
        if old == new:
            return element
        return Element(element.tag, "UI", memoryview(_padded("\\".join(new), b"\0")))

    def _new_uid(self, old: str, *, all_of_them: bool) -> str:
        found = self._renamed.get(old)
        if found is not None:
            return found
        return new_uid(self._secret, old) if all_of_them else old


def _creators(tags: Iterable[int]) -> frozenset[int]:
    """The elements that reserve the blocks of those of `tags` that are private."""
    return frozenset(
        tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in tags if tag & 0x10000 and tag & 0xFFFF > 0xFF
    )


def _items_of(elements: list[Element], parents: Parents, kept: frozenset[int]) -> list[list[Element]]:
    """The items that a path leads to; none where a sequence or an item is not there."""
    level = [elements]
    for tag, number in parents:
        items = [
            item
            for among in level
            for element in among
            if element.tag == tag and element.items is not None and not (among is elements and tag in kept)
            for position, item in enumerate(element.items)
            if number in (EVERY, position)
        ]
        level = items
    return level


def _put(elements: list[Element], new: Element) -> None:
    """Put an element in the place of those with its tag, or where it belongs in the order of tags."""
    places = [place for place, element in enumerate(elements) if element.tag == new.tag]
    if places:
        elements[places[0]] = new
        for place in reversed(places[1:]):
            del elements[place]
    else:
        elements.insert(bisect_left(elements, new.tag, key=lambda element: element.tag), new)


def _padded(value: str, padding: bytes) -> bytes:
    raw = value.encode("utf-8", "replace")
    return raw + padding if len(raw) & 1 else raw
